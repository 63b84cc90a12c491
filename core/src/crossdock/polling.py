"""From what a vendor tells when it is asked to durable runs: a page's events and its cursor in one commit."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crossdock_sdk import AuthError, ConfigError, ConnectorError, Event, PollPage, PollRequest, TransientError
from crossdock_sdk.crashpoints import reach

from crossdock.alerts import poll_alert, poll_gap_alert, post
from crossdock.config.compiled import CompiledFlow
from crossdock.config.polls import PollSettings
from crossdock.connections import Connections
from crossdock.ids import owner_alive
from crossdock.intake import Intake
from crossdock.journal.base import Accepted, Journal, JournalError, Poll, PollLost
from crossdock.journal.pauses import CONNECTION
from crossdock.metrics import RuntimeMetrics
from crossdock.telemetry import PastSpan, Telemetry

_log = logging.getLogger("crossdock.polling")

LOOK = timedelta(seconds=1)
"""How often it is looked whether a source is due."""
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=5)
PATIENCE = timedelta(minutes=10)
"""How long a source may fail before a person is told: webhooks may be all that brings its events meanwhile."""


SKEW = timedelta(minutes=1)
"""How far a source without a start point is read back behind its first use: a vendor's clock is not ours, and many tell
whole seconds."""


class Poller:
    """Reads the sources of all flows that can be polled, each by one process at a time. `start`, then `stop`."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        intake: Intake,
        flows: Callable[[], Mapping[str, CompiledFlow]],
        telemetry: Telemetry,
        metrics: RuntimeMetrics,
        now: Callable[[], datetime],
        rng: random.Random,
        *,
        owner: str,
        timeout: timedelta,
        wake: Callable[[], None],
        known: Callable[[], timedelta] = lambda: timedelta.max,
    ) -> None:
        """`known` is how long the journal knows an event again."""
        self._known = known
        self._journal = journal
        self._connections = connections
        self._intake = intake
        self._flows = flows
        self._telemetry = telemetry
        self._metrics = metrics
        self._now = now
        self._rng = rng
        self._owner = owner
        self._timeout = timeout
        self._lease = timeout + timedelta(seconds=30)
        self._wake = wake
        self._begun: dict[str, tuple[str, datetime | None]] = {}
        """Connection → account and start point, of the sources that are in the journal."""
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Free what dead processes were reading, and begin."""
        await self._journal.polls.free(owner_alive)
        self._loop = asyncio.create_task(self._forever(), name="crossdock-poller")

    async def stop(self) -> None:
        """Stop reading; a page that is not stored yet is read again."""
        tasks = [*self._reading.values(), *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self) -> None:
        told: str | None = None
        while True:
            try:
                await self.look()
                told = None
            except JournalError as error:
                if str(error) != told:
                    _log.error("the journal is not available: %s", error)
                told = str(error)
            except Exception:
                _log.exception("the poller met an error of its own and goes on")
            await asyncio.sleep(LOOK.total_seconds())

    async def look(self) -> None:
        """Begin to read what is due. Raises `JournalError`."""
        polled = self._polled()
        if not polled:
            return
        for name, settings in polled.items():
            await self._begin(name, settings)
        now = self._now()
        stopped = {one.name for one in await self._journal.pauses.all() if one.kind == CONNECTION}
        for poll in await self._journal.polls.all():
            if poll.connection not in polled or poll.connection in self._reading or poll.connection in stopped:
                continue
            if poll.called or poll.due_at <= now:
                claimed = await self._journal.polls.claim(poll.connection, self._owner, now, now + self._lease)
                if claimed is not None:
                    self._read_beside(claimed, polled[poll.connection])

    async def settle(self) -> None:
        """Wait until all that is being read now has been read."""
        while self._reading:
            await asyncio.wait(list(self._reading.values()))

    def _polled(self) -> dict[str, PollSettings]:
        """The connections that are to be polled, with how."""
        found: dict[str, PollSettings] = {}
        for flow in self._flows().values():
            name = flow.flow.source
            settings = self._connections.polling(name)
            if settings is not None:
                found[name] = settings
        return found

    async def _begin(self, name: str, settings: PollSettings) -> None:
        """See that the journal has the source, for the account that the connection is for now."""
        try:
            account = self._connections.account(name)
        except ConfigError:
            return
        if self._begun.get(name) == (account, settings.since):
            return
        now = self._now()
        since = settings.since or now - SKEW
        # From nowhere to now there is nothing to read yet; only a start point in the past is worth asking for.
        due = now if settings.since else now + settings.every
        # Whoever moves the start point back wants what lies between; what is known of it starts nothing again.
        if await self._journal.polls.begin(name, account, since, due, moved=settings.since is not None):
            _log.info("%s is polled every %s, for what happens from %s on", account, settings.every, since.isoformat())
        self._begun[name] = account, settings.since

    def _read_beside(self, poll: Poll, settings: PollSettings) -> None:
        task = asyncio.create_task(self._read(poll, settings), name=f"crossdock-poll-{poll.connection}")
        self._reading[poll.connection] = task
        task.add_done_callback(lambda _: self._reading.pop(poll.connection, None))

    async def _read(self, poll: Poll, settings: PollSettings) -> None:
        try:
            await self._read_all(poll, settings)
        except PollLost as lost:
            _log.warning("%s", lost)
        except JournalError as error:
            _log.error(
                "what %s told when it was polled could not be stored, and is read again: %s", poll.connection, error
            )
        except asyncio.CancelledError:
            await asyncio.shield(self._journal.polls.release(poll))
            raise
        except Exception as error:
            await self._failed(poll, settings, error)

    async def _read_all(self, poll: Poll, settings: PollSettings) -> None:
        """Page after page, each stored before the next is asked for."""
        source = self._connections.source(poll.connection)
        events = frozenset(f.flow.event for f in self._flows().values() if f.flow.source == poll.connection)
        while True:
            trace, begun = self._telemetry.new_trace(), self._now()
            with self._telemetry.inside(trace, trace.root_span_id):
                async with asyncio.timeout(self._timeout.total_seconds()):
                    page = await source.poll(PollRequest(poll.cursor, poll.since, settings.overlap, events))
            if page.more and page.cursor == poll.cursor:
                raise TransientError("there is more to read, and no way on: the cursor is the one before")
            reach("poll.read")
            floor = max(poll.since, self._horizon())
            wanted = [event for event in page.events if _wanted(event, floor)]
            arrivals, unrouted = self._intake.arrivals(poll.connection, wanted, trace, begun, "poll")
            if page.more:
                accepted = await self._journal.polls.turn(poll, page.cursor, self._now() + self._lease, arrivals)
            else:
                due = self._now() + settings.every * self._rng.uniform(0.95, 1.05)
                accepted = await self._journal.polls.end(poll, page.cursor, due, arrivals)
            reach("poll.stored")
            if not accepted.runs:
                self._telemetry.tell_root(trace, PastSpan(f"poll {poll.connection}", begun, self._now()))
            self._count(poll.connection, len(arrivals), accepted, unrouted)
            await self._tell_missed(poll, page)
            if not page.more:
                return
            poll = replace(poll, cursor=page.cursor)

    def _horizon(self) -> datetime:
        """What happened before this may be done and forgotten: to take it for new would do it twice."""
        known = self._known()
        return self._now() - known if known < timedelta(days=36_500) else datetime.min.replace(tzinfo=UTC)

    def _count(self, connection: str, arrivals: int, accepted: Accepted, unrouted: int) -> None:
        self._intake.count(connection, "poll", arrivals - accepted.duplicates, accepted.duplicates, unrouted)
        self._metrics.polls.add(connection, "read")
        if accepted.runs:
            self._wake()

    async def _tell_missed(self, poll: Poll, page: PollPage) -> None:
        if page.missed is not None:
            alert = poll_gap_alert(poll.connection, page.missed, self._now())
            await post(self._journal, alert, self._notifiers(poll.connection), self._now())

    async def _failed(self, poll: Poll, settings: PollSettings, error: Exception) -> None:
        """Put the source off; tell a person once of each episode that is more than a hiccup."""
        now = self._now()
        message = _said(error, self._timeout)
        asked = error.retry_after if isinstance(error, ConnectorError) else None
        pause = max(min(FIRST_RETRY * 2 ** min(poll.failures, 16), LONGEST_RETRY), timedelta(seconds=asked or 0))
        if not isinstance(error, (ConnectorError, TimeoutError)):
            _log.exception("the connector of %s failed over a poll", poll.connection)
        _log.warning("%s cannot be polled, again in %s: %s", poll.connection, pause, message)
        self._metrics.polls.add(poll.connection, "failed")
        try:
            await self._journal.polls.fail(poll, now + pause, message)
            since = poll.failing_since or now
            if isinstance(error, (AuthError, ConfigError)) or now - since >= PATIENCE:
                alert = poll_alert(poll.connection, since, message, now)
                await post(self._journal, alert, self._notifiers(poll.connection), now)
        except JournalError as trouble:
            _log.error("that %s cannot be polled could not be stored: %s", poll.connection, trouble)

    def _notifiers(self, connection: str) -> tuple[str, ...]:
        flows = [f.flow for f in self._flows().values() if f.flow.source == connection]
        return tuple(dict.fromkeys(name for flow in flows for name in flow.notify))


def _wanted(event: Event, floor: datetime) -> bool:
    """Whether it happened after the start point: a vendor lists old records too, once somebody touches them."""
    return event.occurred_at is None or event.occurred_at >= floor


def _said(error: Exception, timeout: timedelta) -> str:
    if isinstance(error, ConnectorError):
        return str(error.message)
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout.total_seconds():g} s"
    return " ".join(f"the connector failed: {type(error).__name__}: {error}".split())
