"""Runs that cannot go on: put off, with a person told once of each episode."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from crossdock_sdk import Alert

from crossdock.alerts import blocked_alert, defect_alert, post, stuck_alert
from crossdock.heritage import leaves
from crossdock.journal.base import Checkpoint, ClaimedRun, Journal, RunRow, RunUpdate, StoredStep
from crossdock.program import Programs
from crossdock.saga import ends_unasked
from crossdock.state import Run, Status, fold

_log = logging.getLogger("crossdock.runner")

STUCK = timedelta(seconds=30)
"""How often a run is looked at again that cannot go on as things are configured, or over which we fail."""
SUSPECT = 10
"""So many performers of a run vanish, one after the other without a step done, that it may be the run that ends them.

Whoever shared a process with it looks the same, so suspects are performed one at a time from then on.
"""
GUILTY = 5
"""So many performers vanish over a run while no other suspect is in hand that it is the run."""
_KEPT = frozenset({Status.IN_DOUBT, Status.ROLLING_BACK})


class Trouble:
    """Remembers nothing of a run: that it waits for a reason that has been told is in its row."""

    def __init__(
        self, journal: Journal, programs: Programs, now: Callable[[], datetime], redact: Callable[[str], str]
    ) -> None:
        self._journal = journal
        self._programs = programs
        self._now = now
        self._redact = redact
        self._told_blocked: set[tuple[str, str]] = set()

    async def stuck(self, row: RunRow, message: str) -> None:
        """What the run needs is not configured or installed."""
        _log.error("%s", message)
        if not self._told_before(row, message):
            await self._post(row, stuck_alert(row, message, self._now()))

    async def defective(self, claimed: ClaimedRun, message: str) -> None:
        """The runtime fails over the run, or cannot read its rows. Raises `JournalError`."""
        if not self._told_before(claimed.row, message):
            await self._post(claimed.row, defect_alert(claimed.row, message, self._now()))
        await self.put_off(claimed, message, "defect")

    async def deadly(self, claimed: ClaimedRun) -> bool:
        """Whether the run is put off for a while, because one performer after the other has vanished over it."""
        if not claimed.taken_over or suspicion(claimed) < GUILTY:
            return False
        message = "one performer after the other has vanished over one step of this run; it may be what ends them"
        if not self._told_before(claimed.row, message):
            await self._post(claimed.row, defect_alert(claimed.row, message, self._now()))
        await self.put_off(claimed, message, "defect", min(STUCK * claimed.row.takeovers, timedelta(hours=1)))
        return True

    async def cancelled(self, claimed: ClaimedRun) -> bool:
        """End a run that cannot be performed, if a person has cancelled it and nothing is to be taken back."""
        row = claimed.row
        run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), claimed.steps)
        if not ends_unasked(run):
            return False
        status = str(Status.CANCELLED)
        end = Checkpoint("end", None, status, {"alert": False}, self._now())
        await self._journal.checkpoint(claimed.claim, [end], RunUpdate(status, ended=True, leaves=leaves(run)), None)
        return True

    async def put_off(self, claimed: ClaimedRun, message: str, kind: str, pause: timedelta = STUCK) -> None:
        """Let the run wait, in the status that it has. Raises `JournalError`."""
        update = RunUpdate(
            claimed.row.status if claimed.row.status in _KEPT else str(Status.WAITING),
            due_at=self._now() + pause,
            error={"kind": kind, "message": message},
            release=True,
        )
        await self._journal.checkpoint(claimed.claim, [], update, None)

    async def tell_blocked(self) -> None:
        """Tell a person, once each, of runs that wait behind one that waits for a person."""
        blocked = {(one.row.id, one.behind): one for one in await self._journal.blocked()}
        for one in (blocked[pair] for pair in sorted(blocked.keys() - self._told_blocked)):
            await self._post(one.row, blocked_alert(one, self._now()))
        self._told_blocked = set(blocked)

    async def _post(self, row: RunRow, alert: Alert) -> None:
        await post(self._journal, alert, await self._programs.notifiers(row.plan_hash), self._now())

    def _told_before(self, row: RunRow, message: str) -> bool:
        """Whether the run waits for this very reason already; the row has it as the journal keeps texts."""
        return row.error is not None and row.error.get("message") == self._redact(message)


def suspected(claimed: ClaimedRun) -> bool:
    """Whether it may be this run that ends its performers."""
    return len(_takeovers(claimed.steps)) + claimed.taken_over >= SUSPECT


def suspicion(claimed: ClaimedRun) -> int:
    """How often a performer of the run went on without a step done while no other suspect was in hand."""
    return sum(step.data["alone"] for step in _takeovers(claimed.steps))


def _takeovers(steps: Sequence[StoredStep]) -> list[StoredStep]:
    """Those since the last step that was done, newest first."""
    others = itertools.takewhile(lambda step: step.kind == "takeover" or step.phase != "done", reversed(steps))
    return [step for step in others if step.kind == "takeover"]
