"""What a person may do to a run, for the API and the command line alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from crossdock.actors import Actor
from crossdock.ids import run_id
from crossdock.journal.base import Act, AlreadyReplayed, Checkpoint, Journal, NewRun, PayloadRemoved, RunRow
from crossdock.state import FINAL, Run, Status, fold, unsettled
from crossdock.telemetry import RunTrace

REPLAYABLE = frozenset({Status.ROLLED_BACK, Status.DEAD, Status.CANCELLED, Status.IGNORED})
RESUMABLE = frozenset({Status.HELD, Status.IN_DOUBT, Status.WAITING})


class NotPossibleError(Exception):
    """The run's state does not allow it; one line for the person who asked."""


class UnknownRunError(LookupError):
    """No run has this id."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Acts on runs through the journal alone; a running server picks the work up within a second.

    Who acted is noted in the audit, in the same transaction; `why` is in that person's words.
    """

    journal: Journal
    by: Actor
    now: Callable[[], datetime]
    random: random.Random

    async def replay(self, run_id_: str, plan_hash: str | None = None, *, why: str | None = None) -> RunRow:
        """Run the event of an ended run again, or let a stopped run go on; the run that works now.

        An ended run gets a successor that takes over what stands and makes only the rest; `plan_hash` is the
        flow's plan now in force. Raises `UnknownRunError`, `NotPossibleError`.
        """
        row = await self._row(run_id_)
        if row.status in RESUMABLE:
            await self._tell(row, "resume", act=self._act("replay", row, why))
            return await self._row(row.id)
        if row.status not in REPLAYABLE:
            raise NotPossibleError(f"run {row.id} is {row.status}: {_why_not(row)}")
        new = NewRun(
            id=run_id(self.now(), self.random),
            flow=row.flow,
            key=row.key,
            plan_hash=plan_hash or row.plan_hash,
            trace=replace(RunTrace.new(), sampled=RunTrace.decode(row.trace).sampled if row.trace else True).encode(),
            replay_of=row.id,
        )
        try:
            act = self._act("replay", row, why, after={"run": new.id})
            await self.journal.add_run(new, row.event_seq, act=act)
        except (AlreadyReplayed, PayloadRemoved) as error:
            raise NotPossibleError(str(error)) from None
        return await self._row(new.id)

    async def cancel(self, run_id_: str, *, why: str | None = None) -> RunRow:
        """Ask a run that has not ended to undo what it made and end. Raises as `replay`."""
        row = await self._row(run_id_)
        if row.status in FINAL or not await self._tell(row, "cancel", act=self._act("cancel", row, why)):
            raise NotPossibleError(f"run {row.id} has ended already ({row.status}); nothing is left to cancel")
        return await self._row(row.id)

    async def resolve(self, run_id_: str, leg: str, exists: str | None, *, why: str | None = None) -> RunRow:
        """Settle a leg that is in doubt by what a person has seen at the vendor.

        `exists` is the vendor's id of what the leg made; None says that it made nothing, and it is written again.
        Raises as `replay`.
        """
        row = await self._row(run_id_)
        run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), await self.journal.steps(row.id))
        doubtful = [name for name, state in run.legs.items() if unsettled(state)]
        if row.status != Status.IN_DOUBT or leg not in doubtful:
            told = f"in doubt is {', '.join(doubtful)}" if doubtful else "no leg of it is"
            raise NotPossibleError(f"leg {leg} of run {row.id} ({row.status}) is not in doubt; {told}")
        act = self._act("resolve", row, why, after={"leg": leg, "exists": exists})
        if not await self._tell(row, "resolve", leg, {"exists": exists}, act=act):
            raise NotPossibleError(f"run {row.id} has ended meanwhile")
        return await self._row(row.id)

    async def _tell(
        self, row: RunRow, kind: str, leg: str | None = None, data: Mapping[str, Any] | None = None, *, act: Act
    ) -> bool:
        now = self.now()
        step = Checkpoint(kind, leg, "done", {**(data or {}), "by": self.by.name}, now)
        return await self.journal.add_step(row.id, step, now, act)

    def _act(self, action: str, row: RunRow, why: str | None, *, after: Any = None) -> Act:
        return Act(self.now(), self.by, action, "run", row.id, why, before={"status": row.status}, after=after)

    async def _row(self, run_id_: str) -> RunRow:
        row = await self.journal.run(run_id_)
        if row is None:
            raise UnknownRunError(f"no run has the id {run_id_}")
        return row


def _why_not(row: RunRow) -> str:
    if row.status == Status.SUCCEEDED:
        return "everything it should make is there, and a replay would make nothing"
    return "it is still at work; wait for its end, or cancel it"
