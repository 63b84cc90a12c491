"""What a person may do to a run, for the API and the command line alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from crossdock.actors import Actor
from crossdock.approval import asked_for
from crossdock.config.models import Flow
from crossdock.edits import Edit, applied
from crossdock.heritage import heritage
from crossdock.ids import run_id
from crossdock.journal.base import Act, AlreadyReplayed, Checkpoint, Journal, NewRun, PayloadRemoved, RunRow
from crossdock.possible import RESUMABLE, Action, why_not
from crossdock.state import Run, Status, fold, unsettled
from crossdock.telemetry import RunTrace
from crossdock.words import did_you_mean


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
        self,
        run_id_: str,
        plan_hash: str | None = None,
        *,
        edits: Sequence[Edit] = (),
        from_leg: str | None = None,
        why: str | None = None,
        reread: bool = False,
    ) -> RunRow:
        """Run the event of an ended run again, or let a stopped run go on; the run that works now.

        An ended run gets a successor that takes over what stands and makes only the rest; `plan_hash` is the
        flow's plan now in force. The successor reads its records anew, unless people have edited them: then it keeps
        those, but for `reread`. With `edits` as `edit`, with `from_leg` as `retake`. Raises `UnknownRunError`,
        `NotPossibleError`, and with edits `EditError`.
        """
        if edits:
            return await self.edit(run_id_, edits, plan_hash, why=why, from_leg=from_leg)
        if from_leg:
            return await self.retake(run_id_, from_leg, plan_hash, why=why)
        row = await self._row_for(Action.REPLAY, run_id_)
        if row.status in RESUMABLE:
            return await self._told(row, "resume", act=self._act("replay", row, why))
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

    async def retake(self, run_id_: str, leg: str, plan_hash: str | None = None, *, why: str | None = None) -> RunRow:
        """Replay a run from a leg: take back what it and later legs made, newest first, and make that again.

        What the legs before it made is kept. Possible for a run that succeeded, too. Raises as `replay`, and
        `NotPossibleError` if nothing that is to be made again stands.
        """
        row = await self._row_for(Action.RETAKE, run_id_)
        run = await self._folded(row)
        again = await self._from(row, run, leg, plan_hash)
        act = self._act("replay from a leg", row, why, after={"leg": leg})
        if row.status == Status.HELD:
            return await self._told(row, "retake", leg, {"retake": again}, act=act)
        first = [*await self._kept_edits(row, run), self._step("retake", leg, {"retake": again})]
        return await self._successor(row, plan_hash, act, first)

    async def _from(self, row: RunRow, run: Run, leg: str, plan_hash: str | None) -> list[str]:
        """The leg and those after it, of the plan by which the run goes on."""
        held = row.status == Status.HELD
        plan = await self.journal.plan(row.plan_hash if held or not plan_hash else plan_hash)
        again = from_leg_on(Flow.from_plan(plan), leg)
        if not any(item.leg in again and item.phase in {"stands", "amiss"} for item in heritage(run)):
            raise NotPossibleError(f"nothing that {leg} or a later leg made stands; a replay makes what is missing")
        return again

    async def edit(
        self,
        run_id_: str,
        edits: Sequence[Edit],
        plan_hash: str | None = None,
        *,
        why: str | None = None,
        from_leg: str | None = None,
    ) -> RunRow:
        """Change the records that a run has read, and replay it with them, or let it go on if it is held.

        The records are not read anew: they are those that the run saw, with the edits. `from_leg` as for `retake`.
        Raises `EditError`, and as `replay`.
        """
        row = await self._row_for(Action.RETAKE if from_leg else Action.EDIT, run_id_)
        run = await self._folded(row)
        if run.records is None:
            raise NotPossibleError(f"run {row.id} has not read its records, so there is nothing to edit; replay it")
        records, changes = applied(run.records, edits)
        if not changes:
            raise NotPossibleError(f"the edits change nothing in run {row.id}; replay it as it is")
        if self.journal.masks(records):
            raise NotPossibleError("what was typed contains one of this installation's secrets; nothing was changed")
        told = [{"path": change.path, "before": change.before, "after": change.after} for change in changes]
        data = {"records": records, "edits": told} | await self._read_from(row, run)
        data |= {"retake": await self._from(row, run, from_leg, plan_hash)} if from_leg else {}
        act = replace(
            self._act("edit and replay", row, why, after={change.path: change.after for change in changes}),
            before={change.path: change.before for change in changes},
        )
        if row.status == Status.HELD:
            return await self._told(row, "edit", None, data, act=act)
        step = self._step("edit", None, data)
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

    async def cancel(self, run_id_: str, *, keep: bool = False, why: str | None = None) -> RunRow:
        """Ask a run that has not ended to undo what it made and end; to `keep` that, and end. Raises as `replay`."""
        row = await self._row_for(Action.CANCEL, run_id_)
        act = self._act("cancel", row, why, after={"keep": True} if keep else None)
        return await self._told(row, "cancel", None, {"keep": True} if keep else {}, act=act)

    async def approve(self, run_id_: str, plan: str, *, why: str | None = None) -> RunRow:
        """Say yes to what a run would write. `plan` is the one that the person saw. Raises as `replay`."""
        return await self._decide(run_id_, plan, Action.APPROVE, why)

    async def reject(self, run_id_: str, plan: str, *, why: str | None = None) -> RunRow:
        """Say no: the run ends, and nothing more is written. `plan` as for `approve`. Raises as `replay`."""
        return await self._decide(run_id_, plan, Action.REJECT, why)

    async def _decide(self, run_id_: str, plan: str, kind: Action, why: str | None) -> RunRow:
        row = await self._row_for(kind, run_id_)
        if asked_for(await self._folded(row)) != plan:
            raise NotPossibleError(f"run {row.id} would write something else by now; look again")
        act = self._act(kind, row, why, after={"plan": plan})
        return await self._told(row, kind, None, {"plan": plan, "why": why}, act=act)

    async def dismiss(self, run_id_: str, *, why: str | None = None) -> RunRow:
        """Say that nothing more is to be done about a failed run: it needs nobody any more. Raises as `replay`."""
        row = await self._row_for(Action.DISMISS, run_id_)
        if not await self.journal.dismiss(row.id, self._act("dismiss", row, why)):
            raise NotPossibleError(f"run {row.id} was replayed or dismissed meanwhile")
        return await self._row(row.id)

    async def resolve(self, run_id_: str, leg: str, exists: str | None, *, why: str | None = None) -> RunRow:
        """Settle a leg that is in doubt by what a person has seen at the vendor.

        `exists` is the vendor's id of what the leg made; None says that it made nothing, and it is written again.
        Raises as `replay`.
        """
        row = await self._row_for(Action.RESOLVE, run_id_)
        run = await self._folded(row)
        doubtful = [name for name, state in run.legs.items() if unsettled(state)]
        if leg not in doubtful:
            told = f"in doubt is {', '.join(doubtful)}" if doubtful else "no leg of it is"
            raise NotPossibleError(f"leg {leg} of run {row.id} is not in doubt; {told}")
        act = self._act("resolve", row, why, after={"leg": leg, "exists": exists})
        return await self._told(row, "resolve", leg, {"exists": exists}, act=act)

    async def _told(
        self, row: RunRow, kind: str, leg: str | None = None, data: Mapping[str, Any] | None = None, *, act: Act
    ) -> RunRow:
        """The run after one more step of a person's. Raises `NotPossibleError` if it has ended meanwhile."""
        step = self._step(kind, leg, data or {})
        if not await self.journal.add_step(row.id, step, step.at, act):
            raise NotPossibleError(f"run {row.id} has ended meanwhile")
        return await self._row(row.id)

    def _step(self, kind: str, leg: str | None, data: Mapping[str, Any]) -> Checkpoint:
        return Checkpoint(kind, leg, "done", {**data, "by": self.by.name}, self.now())

    def _act(self, action: str, row: RunRow, why: str | None, *, after: Any = None) -> Act:
        return Act(self.now(), self.by, action, "run", row.id, why, before={"status": row.status}, after=after)

    async def _row_for(self, action: Action, run_id_: str) -> RunRow:
        """The run, if this may be done to it. Raises `UnknownRunError`, `NotPossibleError`."""
        row = await self._row(run_id_)
        if (why := why_not(action, row)) is not None:
            raise NotPossibleError(f"run {row.id} is {row.status}: {why}")
        return row

    async def _row(self, run_id_: str) -> RunRow:
        row = await self.journal.run(run_id_)
        if row is None:
            raise UnknownRunError(f"no run has the id {run_id_}")
        return row


def from_leg_on(flow: Flow, leg: str) -> list[str]:
    """The leg and those after it. Raises `NotPossibleError` if the flow has no such leg."""
    legs = [one.name for one in flow.legs]
    if leg not in legs:
        hint = did_you_mean(leg, legs) or f"; there are {', '.join(legs)}"
        raise NotPossibleError(f"flow {flow.name} has no leg {leg}{hint}")
    return legs[legs.index(leg) :]
