"""How long the journal keeps what: payloads for a while, the facts of runs for longer, and nothing that is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock.config.models import Retention
from crossdock.journal.base import Expired, Journal, JournalError

_log = logging.getLogger("crossdock.retention")

KNOWN = timedelta(days=30)
"""An event is known again for at least so long, whatever else is pruned: longer than any vendor delivers it anew."""
UNFINISHED = timedelta(days=1)
"""So long a webhook's registration that broke off is kept, for the next `hooks sync` to take up."""
SESSION_IDLE = timedelta(hours=12)
SESSION = timedelta(days=7)
"""How long somebody who signed in is let in: after the last sign of them, and in all."""
REFUSED = timedelta(days=1)
"""So long failed sign-ins are remembered."""
FIRST = timedelta(minutes=1)
"""So long after its start a server looks first: what was left while it was down comes before."""
EVERY = timedelta(hours=1)
BATCH = 20
"""Runs in one transaction: few, for a webhook may wait behind them."""
EVENTS = 200
"""Events in one transaction."""
BREATH = 0.02
"""Seconds between two transactions."""
SPARE = 0.2
"""The share of the file that is kept free for what comes next; giving it back would be work for nothing."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken: `payloads` of runs, `runs` and `events` as rows, and `bytes` given back to the disk."""

    payloads: int = 0
    runs: int = 0
    events: int = 0
    bytes: int = 0

    def __bool__(self) -> bool:
        return any((self.payloads, self.runs, self.events, self.bytes))


def remembered(policy: Retention) -> timedelta:
    """How long an event is known again at least, whatever has become of its runs."""
    return max(policy.runs, KNOWN) - EVERY


class Keeper:
    """Takes out of a journal what is older than `policy()` allows. `sleep` takes seconds."""

    def __init__(
        self,
        journal: Journal,
        policy: Callable[[], Retention],
        now: Callable[[], datetime],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._policy = policy
        self._now = now
        self._sleep = sleep
        self._next = now() + FIRST
        self.last: datetime | None = None
        """When this process ended its newest whole round."""

    async def expired(self) -> Expired:
        """What a round would take now."""
        now, policy = self._now(), self._policy()
        return await self._journal.expired(now - policy.payloads, now - policy.runs)

    async def round(self, *, spare: float = SPARE, taken: Callable[[int], object] = lambda _: None) -> Pruned:
        """Take all there is to take, in small steps. Raises `JournalError`.

        `taken` is called with the number of payloads and runs of each step, which add up to what `expired` said.
        """
        now, policy = self._now(), self._policy()
        payloads_before, runs_before = now - policy.payloads, now - policy.runs
        journal = self._journal
        payloads = await self._all(lambda: journal.empty(payloads_before, BATCH), taken)
        await self._all(lambda: journal.empty_events(payloads_before, EVENTS))
        runs = await self._all(lambda: journal.prune(runs_before, BATCH), taken)
        events = await self._all(lambda: journal.forget_events(min(runs_before, now - KNOWN), EVENTS))
        await journal.forget_alerts(payloads_before)
        await journal.talks.forget(payloads_before, now)
        await journal.forget_endings(now)
        await journal.hooks.forget(now - UNFINISHED)
        await journal.bulk.forget(payloads_before)
        await journal.people.forget(now - SESSION_IDLE, now - SESSION, now - REFUSED)
        freed = await journal.give_back(spare)
        self.last = self._now()
        return Pruned(payloads, runs, events, freed)

    async def look(self) -> None:
        """A round, if it is time for one; a journal that fails is tried again at the next."""
        if self._now() < self._next:
            return
        self._next = self._now() + EVERY
        try:
            pruned = await self.round()
        except JournalError as error:
            _log.error("retention: %s; the next try is at %s", error, self._next.isoformat(timespec="seconds"))
            return
        if pruned:
            _log.info(
                "retention: the payloads of %s runs removed, %s runs deleted, %s events forgotten, %s bytes given back",
                pruned.payloads,
                pruned.runs,
                pruned.events,
                pruned.bytes,
            )

    async def _all(self, batch: Callable[[], Awaitable[int]], taken: Callable[[int], object] = lambda _: None) -> int:
        total = 0
        while number := await batch():
            total += number
            taken(number)
            await self._sleep(BREATH)
        return total
