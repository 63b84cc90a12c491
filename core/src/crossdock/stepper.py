"""Performs one decision: intent checkpoint → call the connector → outcome checkpoint, inside one span."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock_sdk import (
    ConnectorError,
    Event,
    EventSpec,
    Record,
)
from crossdock_sdk.crashpoints import reach
from pydantic import ValidationError

from crossdock.approval import wanted
from crossdock.calling import Caller
from crossdock.circuits import Circuits
from crossdock.connections import Connections
from crossdock.heritage import Heritage, heritage
from crossdock.journal.base import (
    Checkpoint,
    Earlier,
    Journal,
    JournalError,
    LockHeld,
    ObjectUse,
    Overtaken,
    RunRow,
    RunUpdate,
    connection_wait,
)
from crossdock.legs import Legs, uses
from crossdock.logs import bind
from crossdock.origins import Origins
from crossdock.planning import PlanError, Planned, plan_run
from crossdock.program import ProgramError
from crossdock.recorder import Job, Outcome, Recorder
from crossdock.saga import (
    Apply,
    Decision,
    FindOrigin,
    Hydrate,
    Inherit,
    MakePlan,
    Recover,
    Undo,
    Verify,
    Work,
)
from crossdock.state import Phase, Run, Status, fold

_WITH_INTENT = frozenset({"apply", "undo"})


@dataclass(slots=True)
class Stepper:
    """Performs decisions. It keeps nothing of a run: all state is in the journal and in the `Job`."""

    journal: Journal
    recorder: Recorder
    circuits: Circuits
    connections: Connections
    caller: Caller
    legs: Legs
    origins: Origins
    now: Callable[[], datetime]

    async def perform(self, job: Job, work: Work) -> Decision | None:
        """Perform one decision and return the next; None when the run has left this performer's hands.

        Raises `LeaseLost` when another performer has the run.
        """
        connection = self._connection_of(job, work)
        kind, leg = _named(work)
        with bind(leg=leg, connection=connection):
            if connection is not None and await self.circuits.must_wait(connection, job.row.id):
                await self.recorder.park(job, connection_wait(connection))
                return None
            try:
                reach("step.decided", kind)
                outcome = await self._outcome(job, work)
                reach("step.performed", kind)
            except LockHeld as held:
                await self.recorder.park(job, held.name)
                return None
            except Overtaken:
                return await self.recorder.decided_anew(job)
            except JournalError:
                raise
            except Exception:
                # What has happened must not be forgotten over a defect in what comes next.
                await self.recorder.flush(job)
                raise
            failed = outcome.checkpoint.data.get("error") if outcome.checkpoint.phase == "failed" else None
            if connection is not None and failed is not None and self.circuits.is_outage(connection, failed):
                failed["outage"] = True
            # Recorded before anything else is asked of the journal: what is known now must not be forgotten.
            following = await self.recorder.record(job, outcome)
            if connection is not None:
                await self.circuits.heed(connection, failed, job.row, job.program.flow.notify)
            reach("step.recorded", kind)
            return following

    async def _outcome(self, job: Job, work: Work) -> Outcome:
        try:
            return await self._do(job, work)
        except (ConnectorError, ValidationError) as error:
            # The connection is gone from the configuration, or the connector's models have changed since.
            kind, leg = _named(work)
            if isinstance(work, (Verify, Recover, Undo)) or (isinstance(work, Apply) and work.redo):
                # Nothing was asked, so nothing is settled: what may stand is still there to be found or undone.
                raise ProgramError(f"{kind} {leg}: {' '.join(str(error).split())}") from error
            return Outcome(Checkpoint(kind, leg, "failed", self.caller.facts(error, "config"), self.now()))

    async def _do(self, job: Job, work: Work) -> Outcome:
        match work:
            case Inherit():
                return await self._inherit(job)
            case Verify(leg):
                return await self.legs.verify(job, job.program.leg(leg))
            case FindOrigin():
                return await self._find_origin(job)
            case Hydrate():
                return await self._hydrate(job)
            case MakePlan():
                return await self._plan(job)
            case Apply(leg, redo):
                return await self.legs.apply(job, job.program.leg(leg), redo=redo)
            case Recover(leg, named):
                return await self.legs.recover(job, job.program.leg(leg), named)
            case Undo(leg):
                return await self.legs.undo(job, job.program.leg(leg))

    async def _find_origin(self, job: Job) -> Outcome:
        found = await self.origins.find(job)
        if found.phase == "done":
            # Flows about one object go one at a time: what is read last must be written last.
            await self.recorder.reserve(job, None, self.origins.lock(job))
        return Outcome(found)

    async def _inherit(self, job: Job) -> Outcome:
        parent_id = job.row.replay_of or job.row.id
        steps = await self.journal.steps(parent_id)
        parent = await self.journal.run(parent_id)
        if parent is None:
            gone = f"run {parent_id}, which this one replays, is gone from the journal: what it left is not known"
            return Outcome(
                Checkpoint("plan", None, "failed", {"error": {"kind": "mapping", "message": gone}}, self.now())
            )
        before = fold(Run(id=parent_id, root=job.row.root, replay_of=parent.replay_of), steps)
        items, followed = heritage(before), (before.origin or {}).get("run") or before.followed
        inherited = [_inherit_checkpoint(item, self.now()) for item in items]
        strayed = self._strayed(job, parent_id, items)
        facts = {"run": parent_id} | ({"origin": followed} if followed else {})
        facts |= {"approved": before.approved} if before.approved else {}
        done = Checkpoint("inherit", None, "done", facts, self.now())
        if strayed:
            await self.recorder.append(job, [*inherited, done], RunUpdate(str(Status.RUNNING)))
            return Outcome(Checkpoint("plan", None, "failed", strayed, self.now()))
        if inherited:
            used = _inherited_uses(job, inherited)
            await self.recorder.append(job, inherited, RunUpdate(str(Status.RUNNING), objects_used=used))
        return Outcome(done)

    def _strayed(self, job: Job, parent: str, items: Sequence[Heritage]) -> dict[str, Any] | None:
        """The error to stop with if what stands was written by a leg that the flow has no longer as it was."""
        legs = {leg.name: leg for leg in job.program.compiled.enabled}
        kept = [item for item in items if item.phase != "fresh"]
        reasons = []
        for item in kept:
            left = f"{item.leg} ({item.do}{', id ' + item.receipt['id'] if item.receipt else ''})"
            if item.leg not in legs:
                reasons.append(f"{left}, and the flow has no such leg now")
            elif moved := self.legs.elsewhere(legs[item.leg], item.do, item.account):
                reasons.append(f"{left}, and {moved}")
        if not reasons:
            return None
        message = f"run {parent} left {'; '.join(reasons)}; put it back, or see to it by hand"
        return {"error": {"kind": "mapping", "message": message}}

    async def _hydrate(self, job: Job) -> Outcome:
        event = job.event
        told = Event(event.type, event.id, event.subject, event.data, event.occurred_at)

        async def read() -> dict[str, Any]:
            source = self.connections.source(job.program.flow.source)
            records = _as_declared(await source.hydrate(told), job.program.spec)
            dumped = {name: record.model_dump() for name, record in records.items()}
            self.caller.hold_unmasked(dumped, f"{told.type} {told.subject}: its record")
            connection = job.program.flow.source
            return {"records": dumped, "from": {connection: self.connections.account(connection)}}

        done = await self.caller.call(job, "hydrate", None, "transient", read)
        return Outcome(done)

    async def _plan(self, job: Job) -> Outcome:
        begun = self.now()
        try:
            planned = plan_run(job.known, job.run)
        except PlanError as error:
            self.caller.note_span(job, "plan", None, job.run.steps + 1, begun, str(error), {})
            return Outcome(Checkpoint("plan", None, "failed", {"error": error.facts}, self.now()))
        again = await self._earlier(job, planned.fingerprint)
        self.caller.note_span(job, "plan", None, job.run.steps + 1, begun, None, {})
        data: dict[str, Any] = {"inputs": planned.inputs, "fingerprint": planned.fingerprint}
        data |= {"again": again} if again else {}
        data |= {"changed": list(planned.changed)} if planned.changed else {}
        data |= {"left_out": dict(planned.left_out)} if planned.left_out else {}
        approval = await self._approval(job, planned)
        data |= {"approval": approval} if approval else {}
        return Outcome(Checkpoint("plan", None, "done", data, self.now()))

    async def _approval(self, job: Job, planned: Planned) -> dict[str, Any] | None:
        flow = job.program.compiled
        if flow.flow.approve is None and flow.flow.supervise is None:
            return None
        names = {leg.leg.connection for leg in flow.enabled}
        accounts = {name: self.connections.account(name) for name in sorted(names)}
        approved = await self.journal.approved(job.row.flow) if flow.flow.supervise else 0
        return wanted(flow, job.run, planned, accounts, approved)

    async def _earlier(self, job: Job, fingerprint: str) -> dict[str, Any] | None:
        row = job.row
        earlier: Earlier | RunRow | None = await self.journal.last_succeeded(row.flow, row.key, row.root)
        succeeded = earlier is not None
        same = earlier is not None and earlier.fingerprint == fingerprint and not await self._overwritten(job, earlier)
        if earlier is None:
            earlier = await self.journal.leaving(row.flow, row.key, row.root)
        if earlier is None:
            return None
        folded = fold(Run(earlier.id, earlier.root), await self.journal.steps(earlier.id))
        return {"run": earlier.id, "same": same, "succeeded": succeeded, "stands": list(_standing(folded))}

    async def _overwritten(self, job: Job, earlier: Earlier | RunRow) -> bool:
        """Whether something else has happened to the object since, and was written: what was may stand no more."""
        before = await self.journal.run(earlier.id) if job.program.flow.follow else None
        if before is None:
            return False
        event = job.event
        return await self.journal.others_since(
            job.row.key, event.connection, event.type, event.subject, before.event_seq
        )

    def _connection_of(self, job: Job, work: Work) -> str | None:
        match work:
            case Hydrate():
                return job.program.flow.source
            case Apply(leg) | Recover(leg) | Undo(leg) | Verify(leg):
                return job.program.leg(leg).leg.connection
            case _:
                return None


def _named(work: Work) -> tuple[str, str | None]:
    match work:
        case Apply(leg, _):
            return "apply", leg
        case Recover(leg, _):
            return "recover", leg
        case Undo(leg):
            return "undo", leg
        case Verify(leg):
            return "verify", leg
        case MakePlan():
            return "plan", None
        case FindOrigin():
            return "origin", None
        case _:
            return type(work).__name__.lower(), None


def _standing(run: Run) -> Iterator[str]:
    """What a run left, in words: `invoice 1041 (number INV-1041, https://…)`."""
    for name, leg in run.legs.items():
        if leg.receipt is not None and leg.phase in {Phase.APPLIED, Phase.AMISS, Phase.STANDS}:
            told = [f"number {leg.receipt['number']}"] if leg.receipt.get("number") else []
            told += [leg.receipt["url"]] if leg.receipt.get("url") else []
            yield f"{name} {leg.receipt['id']}" + (f" ({', '.join(told)})" if told else "")


def _as_declared(records: Mapping[str, Any], spec: EventSpec) -> Mapping[str, Record]:
    """The records of a hydrated event. Raises `TypeError` if they are not those that its spec declares."""
    wrong = [n for n, kind in spec.records.items() if not isinstance(records.get(n), kind)]
    wrong += [n for n in records if n not in spec.records]
    if wrong:
        raise TypeError(f"hydrate did not return {', '.join(wrong)} as its EventSpec declares")
    return records


def _inherit_checkpoint(item: Heritage, now: datetime) -> Checkpoint:
    return Checkpoint("inherit", item.leg, item.phase, item.facts(), now)


def _inherited_uses(job: Job, inherited: Sequence[Checkpoint]) -> tuple[ObjectUse, ...]:
    legs = job.program.compiled.legs
    return tuple(
        use
        for checkpoint in inherited
        if (leg := legs.get(checkpoint.leg or "")) and leg.action_class
        for use in uses(leg, leg.action_class, checkpoint.data.get("receipt"))
    )
