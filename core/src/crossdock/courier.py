"""Delivering alerts, each until its notifier takes it, and writing anew the messages that stand."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from crossdock_sdk import Alert, ConnectorError, ConversationNotifier, Interactive, NotFoundError, Notifier
from crossdock_sdk.crashpoints import reach

from crossdock.config.telling import Telling
from crossdock.connections import Connections
from crossdock.journal.base import Journal, StoredAlert, Talk
from crossdock.journal.talks import Joining, Part
from crossdock.metrics import RuntimeMetrics
from crossdock.retelling import Retelling, likeness

_log = logging.getLogger("crossdock.alerts")

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
DELIVERY_TIMEOUT = timedelta(seconds=30)
HOLD = DELIVERY_TIMEOUT + timedelta(seconds=5)
AT_ONCE = 20
"""How many deliveries one notifier may have in hand before the rest of its alerts wait."""
PARTING = timedelta(seconds=2)
"""How long deliveries have to finish at a stop: one that is cut off may be told twice."""
PLAIN_ALIKE = 10
"""So many alerts of runs that fail alike a notifier gets one by one that cannot change what it has said."""
_PATIENT = 8
"""So often a vendor's own wish is granted before it is left alone for longer."""


class Courier:
    """Delivers stored alerts, each until its notifier takes it. One that fails, is slow or hangs delays no other."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        metrics: RuntimeMetrics,
        now: Callable[[], datetime],
        retelling: Retelling | None = None,
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._metrics = metrics
        self._now = now
        self._retelling = retelling or Retelling(journal)
        self._pacing = Pacing(now)
        self._in_hand: dict[asyncio.Task[None], StoredAlert | Talk] = {}

    async def dispatch(self) -> int:
        """Take up alerts and messages that are due, and begin to deliver them side by side; how many.

        Raises `JournalError`, also for a delivery that has ended since and could not be noted.
        """
        self._reap()
        alerts = [one for one in self._in_hand.values() if isinstance(one, StoredAlert)]
        counted = Counter(stored.data.get("notifier", "") for stored in alerts)
        due = await self._journal.due_alerts(
            self._now(),
            hold=HOLD,
            limit=AT_ONCE,
            but_for=[name for name, count in counted.items() if count >= AT_ONCE],
            in_hand=[stored.id for stored in alerts],
        )
        for stored in due:
            task = asyncio.create_task(self._deliver(stored), name=f"crossdock-alert {stored.id}")
            self._in_hand[task] = stored
        return len(due) + await self._dispatch_talks()

    async def _dispatch_talks(self) -> int:
        writing = [one.no for one in self._in_hand.values() if isinstance(one, Talk)]
        if len(writing) >= AT_ONCE:
            return 0
        due = await self._journal.talks.due(self._now(), hold=HOLD, limit=AT_ONCE - len(writing), in_hand=writing)
        for talk in due:
            task = asyncio.create_task(self._rewrite(talk), name=f"crossdock-talk {talk.no}")
            self._in_hand[task] = talk
        return len(due)

    async def round(self) -> int:
        """Deliver what is due, each to its end; how many there were. Raises as `dispatch`."""
        count = await self.dispatch()
        if self._in_hand:
            await asyncio.wait(self._in_hand)
        self._reap()
        return count

    async def idle(self, longest: timedelta) -> None:
        """Wait until a delivery ends, which makes room for others, but not longer than this."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=longest.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(longest.total_seconds())

    async def stop(self) -> None:
        """Let deliveries in hand finish for a moment, then cut them off; they are tried again."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=PARTING.total_seconds())
        for task in self._in_hand:
            task.cancel()
        await asyncio.gather(*self._in_hand, return_exceptions=True)
        self._in_hand.clear()

    def _reap(self) -> None:
        ended = [task for task in self._in_hand if task.done()]
        for task in ended:
            del self._in_hand[task]
        for task in ended:
            failure = None if task.cancelled() else task.exception()
            if isinstance(failure, Exception):
                raise failure

    async def _deliver(self, stored: StoredAlert) -> None:
        name = stored.data["notifier"]
        alert = Alert.model_validate(stored.data["alert"])
        telling, note = self._connections.telling(name), bool(stored.data.get("note"))
        if note and not telling.notes:
            await self._journal.mark_alert(stored.id, retry_at=None)
            return
        conversing = self._conversing(name)
        part, talk = await self._journal.talks.join(
            _joining(stored.id, name, alert, telling, converses=conversing is not None, note=note), self._now()
        )
        if part is Part.GATHERED:
            return
        retry_at = self._pacing.again(name, stored.tries) if part is Part.LATER else None
        if part in (Part.LEAD, Part.REPLY, Part.ALONE):
            retry_at = await self._try(stored, lambda: self._tell(name, alert, conversing, part, talk, note))
        await self._journal.mark_alert(stored.id, retry_at=retry_at)

    def _conversing(self, name: str) -> ConversationNotifier | None:
        """The notifier, if its messages can be changed; one that does not start is told of where it is used."""
        try:
            notifier: Notifier = self._connections.notifier(name)
        except ConnectorError:
            return None
        return notifier if isinstance(notifier, ConversationNotifier) and notifier.converses else None

    async def _try(self, stored: StoredAlert, tell: Callable[[], object]) -> datetime | None:
        """Tell an alert; when to try again if it failed."""
        name, retry_at = stored.data["notifier"], None
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT.total_seconds()):
                reach("alert.taken")
                await tell()  # type: ignore[misc]
                reach("alert.delivered")
        except Exception as error:
            retry_at = self._pacing.again(name, stored.tries, error)
            _log.error("alert %s is not delivered by %s yet, again at %s: %s", stored.id, name, retry_at, error)
        self._metrics.alerts.add(name, "failed" if retry_at else "delivered")
        return retry_at

    async def _tell(
        self, name: str, alert: Alert, conversing: ConversationNotifier | None, part: Part, talk: Talk, note: bool
    ) -> None:
        if conversing is None:
            await self._connections.notifier(name).notify(alert)
        elif part is Part.LEAD:
            posted = await conversing.post(await self._armed(alert, name, conversing), None)
            await self._journal.talks.posted(talk, posted, self._now())
        else:
            try:
                await conversing.post(alert, talk.posted)
            except NotFoundError:
                await conversing.post(alert, None)
            await self._journal.talks.answered(talk, self._now(), last=note)

    async def _armed(self, alert: Alert, name: str, notifier: ConversationNotifier) -> Alert:
        return await self._retelling.armed(alert, name) if _pressable(notifier) else alert

    async def _rewrite(self, talk: Talk) -> None:
        """Write a talk's message anew; what had joined it is told with that."""
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT.total_seconds()):
                await self._write(talk)
        except Exception as error:
            until = self._pacing.again(talk.notifier, talk.tries, error)
            _log.error("%s is not told of %s anew yet, again at %s: %s", talk.notifier, talk.lead, until, error)
            await self._journal.talks.put_off(talk, until)
            return
        every = {} if talk.posted else {"every": self._connections.telling(talk.notifier).group}
        await self._journal.talks.written(talk, self._now(), **every)

    async def _write(self, talk: Talk) -> None:
        conversing = self._conversing(talk.notifier)
        if conversing is None or talk.posted is None:
            gathered = await self._retelling.gathered(talk)
            if gathered is not None:
                await self._connections.notifier(talk.notifier).notify(gathered)
            return
        alert = await self._retelling.again(talk, pressable=_pressable(conversing))
        # What it began with may be gone by retention, and what joined it not.
        alert = alert or await self._retelling.gathered(talk)
        if alert is None:
            return
        try:
            await conversing.update(talk.posted, alert)
        except NotFoundError:
            # Somebody has deleted it. What it has not told yet must be told all the same.
            if (await self._journal.talks.pending(talk, 1))[1]:
                posted = await conversing.post(alert.model_copy(update={"id": f"{alert.id}:{talk.version}"}), None)
                await self._journal.talks.posted(talk, posted, self._now())


def _joining(id_: str, name: str, alert: Alert, telling: Telling, *, converses: bool, note: bool) -> Joining:
    alike = likeness(alert) if telling.group and not note else None
    at_once = 1 if converses else PLAIN_ALIKE
    return Joining(id_, name, alert.thread, alike, converses, telling.group, at_once, note)


def _pressable(notifier: ConversationNotifier) -> bool:
    return isinstance(notifier, Interactive) and notifier.takes_presses


class Pacing:
    """When to try again: ever later, or when the vendor says, and then one after the other."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._taken: dict[str, datetime] = {}
        """Notifier → the last instant that one of its throttled deliveries has been given."""

    def again(self, notifier: str, tries: int, error: Exception | None = None) -> datetime:
        """The instant of the next try, after so many before the one that failed."""
        now = self._now()
        wish = _wish(error)
        if wish is None:
            return now + _grown(tries)
        # Who was told to wait beside others would meet them all again at that instant.
        slot = max(now, self._taken.get(notifier, now)) + wish
        self._taken[notifier] = slot = min(slot, now + LONGEST_RETRY)
        return max(slot, now + _grown(tries)) if tries > _PATIENT else slot


def _grown(tries: int) -> timedelta:
    grown: timedelta = min(FIRST_RETRY * 4 ** min(tries, 6), LONGEST_RETRY)
    return grown


def _wish(error: Exception | None) -> timedelta | None:
    """How long the vendor asks to wait, ten minutes at most; None if it does not say."""
    asked = error.retry_after if isinstance(error, ConnectorError) else None
    if asked is None or asked <= 0:
        return None
    # What a vendor asks for may be more than a timedelta holds, or no number at all.
    return timedelta(seconds=asked) if asked < LONGEST_RETRY.total_seconds() else LONGEST_RETRY
