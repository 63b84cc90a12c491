"""What a person may do to a run, for the API and the command line alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from crossdock.actors import Actor
from crossdock.edits import Edit, applied
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

    async def replay(
        self, run_id_: str, plan_hash: str | None = None, *, why: str | None = None, reread: bool = False
    ) -> RunRow:
        """Run the event of an ended run again, or let a stopped run go on; the run that works now.

        An ended run gets a successor that takes over what stands and makes only the rest; `plan_hash` is the
        flow's plan now in force. The successor reads its records anew, unless people have edited them: then it keeps
        those, but for `reread`. Raises `UnknownRunError`, `NotPossibleError`.
        """
        row = await self._row(run_id_)
        if row.status in RESUMABLE:
            await self._tell(row, "resume", act=self._act("replay", row, why))
            return await self._row(row.id)
        if row.status not in REPLAYABLE:
            raise NotPossibleError(f"run {row.id} is {row.status}: {_why_not(row)}")
        kept = [] if reread else await self._kept_edits(row, await self._folded(row))
        return await self._successor(row, plan_hash, self._act("replay", row, why), kept)

    async def _successor(
        self, row: RunRow, plan_hash: str | None, act: Act, first: Sequence[Checkpoint] = ()
    ) -> RunRow:
        sampled = RunTrace.decode(row.trace).sampled if row.trace else True
        new = NewRun(
            id=run_id(self.now(), self.random),
            flow=row.flow,
            key=row.key,
            plan_hash=plan_hash or row.plan_hash,
            trace=replace(RunTrace.new(), sampled=sampled).encode(),
            replay_of=row.id,
        )
        try:
            await self.journal.add_run(new, row.event_seq, first, act)
        except (AlreadyReplayed, PayloadRemoved) as error:
            raise NotPossibleError(str(error)) from None
        return await self._row(new.id)

    async def edit(
        self, run_id_: str, edits: Sequence[Edit], plan_hash: str | None = None, *, why: str | None = None
    ) -> RunRow:
        """Change the records that a run has read, and replay it with them, or let it go on if it is held.

        The records are not read anew: they are those that the run saw, with the edits. Raises `EditError`, and as
        `replay`.
        """
        row = await self._row(run_id_)
        if row.status not in REPLAYABLE | {Status.HELD}:
            raise NotPossibleError(f"run {row.id} is {row.status}: {_why_not_edited(row)}")
        if row.emptied_at is not None:
            raise NotPossibleError(str(PayloadRemoved(row.id, row.emptied_at)))
        run = await self._folded(row)
        if run.records is None:
            raise NotPossibleError(f"run {row.id} has not read its records, so there is nothing to edit; replay it")
        records, changes = applied(run.records, edits)
        if not changes:
            raise NotPossibleError(f"the edits change nothing in run {row.id}; replay it as it is")
        if self.journal.masks(records):
            raise NotPossibleError("what was typed contains one of this installation's secrets; nothing was changed")
        told = [{"path": change.path, "before": change.before, "after": change.after} for change in changes]
        step = self._step("edit", None, {"records": records, "edits": told} | await self._read_from(row, run))
        act = replace(
            self._act("edit and replay", row, why, after={change.path: change.after for change in changes}),
            before={change.path: change.before for change in changes},
        )
        if row.status == Status.HELD:
            if not await self.journal.add_step(row.id, step, step.at, act):
                raise NotPossibleError(f"run {row.id} has ended meanwhile")
            return await self._row(row.id)
        return await self._successor(row, plan_hash, act, [*await self._kept_edits(row, run), step])

    async def _kept_edits(self, row: RunRow, run: Run) -> list[Checkpoint]:
        """What people changed before in the records of a run, for its replay to begin with."""
        if not run.edits or run.records is None:
            return []
        kept = {"records": run.records, "edits": list(run.edits), "kept_from": row.id}
        return [self._step("edit", None, kept | await self._read_from(row, run))]

    async def _read_from(self, row: RunRow, run: Run) -> dict[str, Any]:
        """The account that the records are of: the replay must not write what was read in another one."""
        event = await self.journal.event(row.event_seq)
        account = run.accounts.get(event.connection) if event else None
        return {"from": {event.connection: account}} if event and account is not None else {}

    async def _folded(self, row: RunRow) -> Run:
        return fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), await self.journal.steps(row.id))

    async def cancel(self, run_id_: str, *, why: str | None = None) -> RunRow:
        """Ask a run that has not ended to undo what it made and end. Raises as `replay`."""
        row = await self._row(run_id_)
        if row.status in FINAL or not await self._tell(row, "cancel", act=self._act("cancel", row, why)):
            raise NotPossibleError(f"run {row.id} has ended already ({row.status}); nothing is left to cancel")
        return await self._row(row.id)

    async def dismiss(self, run_id_: str, *, why: str | None = None) -> RunRow:
        """Say that nothing more is to be done about a failed run: it needs nobody any more. Raises as `replay`."""
        row = await self._row(run_id_)
        if not await self.journal.dismiss(row.id, self._act("dismiss", row, why)):
            raise NotPossibleError(
                f"run {row.id} ({row.status}) waits for nobody, or has not ended: there is nothing to dismiss"
            )
        return await self._row(row.id)

    async def resolve(self, run_id_: str, leg: str, exists: str | None, *, why: str | None = None) -> RunRow:
        """Settle a leg that is in doubt by what a person has seen at the vendor.

        `exists` is the vendor's id of what the leg made; None says that it made nothing, and it is written again.
        Raises as `replay`.
        """
        row = await self._row(run_id_)
        run = await self._folded(row)
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
        step = self._step(kind, leg, data or {})
        return await self.journal.add_step(row.id, step, step.at, act)

    def _step(self, kind: str, leg: str | None, data: Mapping[str, Any]) -> Checkpoint:
        return Checkpoint(kind, leg, "done", {**data, "by": self.by.name}, self.now())

    def _act(self, action: str, row: RunRow, why: str | None, *, after: Any = None) -> Act:
        return Act(self.now(), self.by, action, "run", row.id, why, before={"status": row.status}, after=after)

    async def _row(self, run_id_: str) -> RunRow:
        row = await self.journal.run(run_id_)
        if row is None:
            raise UnknownRunError(f"no run has the id {run_id_}")
        return row


def _why_not_edited(row: RunRow) -> str:
    if row.status == Status.SUCCEEDED:
        return "everything it should make is there; change it at the vendor"
    if row.status == Status.IN_DOUBT:
        return "settle the doubt first, for what is in doubt is repeated exactly as it was sent"
    return "it is still at work; wait until it stops or ends, or cancel it"


def _why_not(row: RunRow) -> str:
    if row.status == Status.SUCCEEDED:
        return "everything it should make is there, and a replay would make nothing"
    return "it is still at work; wait for its end, or cancel it"
