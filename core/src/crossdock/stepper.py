"""Performs one decision: intent checkpoint → call the connector → outcome checkpoint, inside one span."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import (
    Action,
    AuthError,
    ConfigError,
    ConnectorError,
    DiscrepancyError,
    Event,
    EventSpec,
    Receipt,
    Record,
    RejectedError,
    TransientError,
    jsonio,
)
from pydantic import ValidationError

from crossdock.config.compiled import CompiledLeg
from crossdock.connections import Connections
from crossdock.journal.base import (
    Checkpoint,
    Journal,
    JournalError,
    LeaseLost,
    LockHeld,
    ObjectUse,
    RunUpdate,
    connection_wait,
)
from crossdock.logs import bind
from crossdock.metrics import RuntimeMetrics
from crossdock.pauses import Pauses
from crossdock.planning import PlanError, check_receipts, leg_input, plan_run
from crossdock.program import ProgramError
from crossdock.recorder import Job, Outcome, Recorder
from crossdock.saga import (
    Apply,
    Decision,
    Hydrate,
    Inherit,
    MakePlan,
    Recover,
    Undo,
    Work,
    settles,
)
from crossdock.state import Heritage, LegState, Phase, Run, Status, evolve, fold, heritage, leg_key, undecided
from crossdock.telemetry import PastSpan, Telemetry

_WITH_INTENT = frozenset({"apply", "undo"})


@dataclass(slots=True)
class Stepper:
    """Performs decisions. It keeps nothing of a run: all state is in the journal and in the `Job`.

    `timeout` cuts off a connector that hangs; it is shorter than a claim's lease.
    """

    journal: Journal
    recorder: Recorder
    pauses: Pauses
    connections: Connections
    telemetry: Telemetry
    metrics: RuntimeMetrics
    now: Callable[[], datetime]
    random: random.Random
    timeout: timedelta = timedelta(seconds=120)
    redact: Callable[[str], str] = str
    """What the journal does to every text, so that it is known when that would change a record."""

    async def perform(self, job: Job, work: Work) -> Decision | None:
        """Perform one decision and return the next; None when the run has left this performer's hands.

        Raises `LeaseLost` when another performer has the run.
        """
        connection = self._connection_of(job, work)
        with bind(leg=_named(work)[1], connection=connection):
            if connection is not None and await self.pauses.must_wait(connection, job.row.id):
                await self.recorder.park(job, connection_wait(connection))
                return None
            try:
                outcome = await self._outcome(job, work)
            except LockHeld as held:
                await self.recorder.park(job, held.name)
                return None
            except JournalError:
                raise
            except Exception:
                # What has happened must not be forgotten over a defect in what comes next.
                await self.recorder.flush(job)
                raise
            if connection is not None:
                failed = outcome.checkpoint.data.get("error") if outcome.checkpoint.phase == "failed" else None
                await self.pauses.heed(connection, failed, job.row, job.program.flow.notify)
            return await self.recorder.record(job, outcome)

    async def _outcome(self, job: Job, work: Work) -> Outcome:
        try:
            return await self._do(job, work)
        except (ConnectorError, ValidationError) as error:
            # The connection is gone from the configuration, or the connector's models have changed since.
            kind, leg = _named(work)
            if isinstance(work, (Recover, Undo)) or (isinstance(work, Apply) and work.redo):
                # Nothing was asked, so nothing is settled: what may stand is still there to be found or undone.
                raise ProgramError(f"{kind} {leg}: {' '.join(str(error).split())}") from error
            return Outcome(Checkpoint(kind, leg, "failed", self._facts(error, "config"), self.now()))

    async def _do(self, job: Job, work: Work) -> Outcome:
        match work:
            case Inherit():
                return await self._inherit(job)
            case Hydrate():
                return await self._hydrate(job)
            case MakePlan():
                return await self._plan(job)
            case Apply(leg, redo):
                return await self._apply(job, job.program.leg(leg), redo=redo)
            case Recover(leg, named):
                return await self._recover(job, job.program.leg(leg), named)
            case Undo(leg):
                return await self._undo(job, job.program.leg(leg))

    async def _inherit(self, job: Job) -> Outcome:
        parent_id = job.row.replay_of or job.row.id
        steps = await self.journal.steps(parent_id)
        parent = await self.journal.run(parent_id)
        of = parent.replay_of if parent else None
        items = heritage(fold(Run(id=parent_id, root=job.row.root, replay_of=of), steps))
        inherited = [_inherit_checkpoint(item, self.now()) for item in items]
        strayed = self._strayed(job, parent_id, items)
        done = Checkpoint("inherit", None, "done", {"run": parent_id}, self.now())
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
        lost = [i for i in kept if i.leg not in legs or self._elsewhere(legs[i.leg], i.do, i.account)]
        if not lost:
            return None
        told = ", ".join(f"{i.leg} ({i.do}{', id ' + i.receipt['id'] if i.receipt else ''})" for i in lost)
        message = f"run {parent} left {told}, but the flow has no such leg now; put it back, or see to it by hand"
        return {"error": {"kind": "mapping", "message": message, "leg": lost[0].leg}}

    def _elsewhere(self, leg: CompiledLeg, do: str | None, account: str | None) -> str | None:
        """Why what this action once wrote into this account cannot be looked for or undone by the leg as it is now."""
        if do is not None and do != leg.leg.do:
            return f"{leg.name} was written by {do}, and the flow has {leg.leg.do} there now; put it back"
        now = self.connections.account(leg.leg.connection)
        if account is not None and account != now:
            return f"{leg.name} was written into {account}, and {leg.leg.connection} is {now} now; put the account back"
        return None

    def _hold_place(self, leg: CompiledLeg, state: LegState) -> None:
        """Raise `ProgramError` unless the leg still writes where it wrote before."""
        if moved := self._elsewhere(leg, state.do, state.account):
            raise ProgramError(moved)

    async def _hydrate(self, job: Job) -> Outcome:
        event = job.event
        told = Event(event.type, event.id, event.subject, event.data, event.occurred_at)

        async def read() -> dict[str, Any]:
            source = self.connections.source(job.program.flow.source)
            records = _as_declared(await source.hydrate(told), job.program.spec)
            dumped = {name: record.model_dump() for name, record in records.items()}
            self._hold_unmasked(dumped, f"{told.type} {told.subject}: its record")
            return {"records": dumped}

        done = await self._call(job, "hydrate", None, "transient", read)
        return Outcome(done)

    def _hold_unmasked(self, data: Any, what: str) -> None:
        """Raise `RejectedError` for a secret in what is stored: masked, it would be written into other systems."""
        text = jsonio.dumps(data).decode()
        if self.redact(text) != text:
            raise RejectedError(f"{what} contains one of this installation's secrets; change one of the two")

    async def _plan(self, job: Job) -> Outcome:
        begun = self.now()
        try:
            planned = plan_run(job.known, job.run)
        except PlanError as error:
            self._note_span(job, "plan", None, job.run.steps + 1, begun, str(error), {})
            return Outcome(Checkpoint("plan", None, "failed", {"error": error.facts}, self.now()))
        again = await self._earlier(job, planned.fingerprint)
        self._note_span(job, "plan", None, job.run.steps + 1, begun, None, {})
        data: dict[str, Any] = {"inputs": planned.inputs, "fingerprint": planned.fingerprint}
        data |= {"again": again} if again else {}
        data |= {"changed": list(planned.changed)} if planned.changed else {}
        return Outcome(Checkpoint("plan", None, "done", data, self.now()))

    async def _earlier(self, job: Job, fingerprint: str) -> dict[str, Any] | None:
        row = job.row
        earlier = await self.journal.last_succeeded(row.flow, row.key)
        same = earlier is not None and earlier.fingerprint == fingerprint
        if earlier is None:
            earlier = await self.journal.leaving(row.flow, row.key, row.root)
        if earlier is None:
            return None
        folded = fold(Run(earlier.id, earlier.root), await self.journal.steps(earlier.id))
        return {"run": earlier.id, "same": same, "stands": list(_standing(folded))}

    async def _apply(self, job: Job, leg: CompiledLeg, *, redo: bool) -> Outcome:
        state = job.run.leg(leg.name)
        action = self._action(leg)
        try:
            if redo:
                self._hold_place(leg, state)
            data = _again(action, state) if redo else self._input(job, leg)
            self._hold_unmasked(_sent(data), f"leg {leg.name}: its input")
        except PlanError as error:
            return Outcome(Checkpoint("apply", leg.name, "failed", {"error": error.facts}, self.now()))
        key = leg_key(job.run.root, leg.name, state.generation)
        lock = _lock(leg, action, data)
        before = state.before
        intent: dict[str, Any] = {"key": key, "input": _sent(data), "redo": redo, "do": leg.leg.do}
        intent["account"] = self.connections.account(leg.leg.connection)
        if not redo and leg.looks_first:
            await self.recorder.append(job, [], RunUpdate(str(Status.RUNNING), leg=leg.name), acquire=lock)
            seen = await self._before(job, leg, action, data)
            if seen.phase == "failed":
                return Outcome(seen, unlock=lock)
            before = seen.data["before"]
            intent["looked"] = True
        if before is not None:
            intent["before"] = before
        await self.recorder.intend(job, "apply", leg.name, intent, lock)
        self._hold_lease(job)

        async def write() -> dict[str, Any]:
            try:
                found = await made_already(action, data, key) if redo else None
                made = found or _receipt(action, "apply", await action.apply(data, key))
            except DiscrepancyError as error:
                error.receipt = _with_before(error.receipt, before)
                raise
            receipt = _with_before(made, before)
            if redo and not found and action.redo == "native_key" and not await _still_there(action, receipt):
                raise RejectedError(
                    f"the vendor repeats an old reply, but {receipt.id} does not exist any more; replay"
                )
            self._hold_checks(job, leg, receipt)
            self._hold_receipt(leg, receipt)
            return {"receipt": receipt.model_dump()}

        done = await self._call(job, "apply", leg, "ambiguous", write, key=key)
        if done.phase == "failed":
            done = _with_doubt(done, action, repeated=redo)
        return self._applied(job, leg, action, done, lock)

    async def _before(self, job: Job, leg: CompiledLeg, action: Action[Any], data: Record) -> Checkpoint:
        async def look() -> dict[str, Any]:
            before = await action.before(data)
            self._hold_unmasked(before, f"leg {leg.name}: what stands there now")
            return {"before": before}

        seen = _as_a_read(await self._call(job, "before", leg, "transient", look), {"ambiguous", "unavailable"})
        return Checkpoint("apply", leg.name, seen.phase, {**seen.data, "in": "before"}, seen.at)

    async def _recover(self, job: Job, leg: CompiledLeg, named: str | None) -> Outcome:
        state = job.run.leg(leg.name)
        action = self._action(leg)
        self._hold_place(leg, state)
        key = leg_key(job.run.root, leg.name, state.generation)
        data = _again(action, state)

        async def ask() -> dict[str, Any]:
            receipt = await (action.recover(data, key) if named is None else action.named(named, data, key))
            if receipt is not None:
                receipt = _with_before(_receipt(action, "recover", receipt), state.before)
                self._hold_checks(job, leg, receipt)
            return {"receipt": receipt.model_dump() if receipt else None}

        done = await self._call(job, "recover", leg, "transient", ask, key=key)
        if done.phase == "failed" and "receipt" in done.data:
            done = Checkpoint("apply", leg.name, "failed", done.data, done.at)
        elif named is None:
            # Whoever refuses a look has not said what there is to see.
            done = _as_a_read(done, {"ambiguous", "unavailable", "rejected", "not_found"})
        return self._applied(job, leg, action, done, _lock(leg, action, data))

    def _applied(
        self, job: Job, leg: CompiledLeg, action: Action[Any], done: Checkpoint, lock: tuple[str, ...]
    ) -> Outcome:
        used = uses(leg, action, done.data.get("receipt"))
        unsettled = undecided(evolve(job.run, done).leg(leg.name))
        return Outcome(done, used=used, unlock=() if unsettled else lock)

    async def _undo(self, job: Job, leg: CompiledLeg) -> Outcome:
        state = job.run.leg(leg.name)
        action = self._action(leg)
        self._hold_place(leg, state)
        receipt = action.receipt.model_validate(state.receipt)
        used = uses(leg, action, state.receipt)
        lock = _lock(leg, action, _again(action, state)) if state.input is not None else ()
        await self.recorder.intend(job, "undo", leg.name, {"id": receipt.id}, lock)
        self._hold_lease(job)
        others = [await self.journal.other_users(u.connection, u.object, u.object_id, job.row.root) for u in used]
        shared = [run for runs in others for run in runs]
        if shared and receipt.created:
            kept = {"id": receipt.id, "used_by": shared[:20]}
            return Outcome(Checkpoint("undo", leg.name, "kept", kept, self.now()), released=used, unlock=lock)

        async def take_back() -> dict[str, Any]:
            if receipt.created:
                await action.undo(receipt)
            return {"id": receipt.id, "touched": receipt.created}

        done = await self._call(job, "undo", leg, "transient", take_back)
        return Outcome(done, released=used if done.phase == "done" else (), unlock=lock)

    def _hold_lease(self, job: Job) -> None:
        """Raise `LeaseLost` if the process stood still for so long that somebody else may perform the run by now."""
        if job.lease_until is not None and self.now() >= job.lease_until:
            raise LeaseLost(job.claim.run_id, job.claim.fence)

    def _hold_receipt(self, leg: CompiledLeg, receipt: Receipt) -> None:
        try:
            self._hold_unmasked(receipt, f"leg {leg.name}: what the vendor answered")
        except RejectedError as error:
            raise DiscrepancyError(error.message, receipt=receipt) from None

    def _hold_checks(self, job: Job, leg: CompiledLeg, receipt: Receipt) -> None:
        try:
            check_receipts(job.known, leg, job.run, receipt)
        except PlanError as error:
            raise DiscrepancyError(str(error), receipt=receipt) from None

    async def _call(
        self,
        job: Job,
        kind: str,
        leg: CompiledLeg | None,
        foreign: str,
        call: Callable[[], Awaitable[dict[str, Any]]],
        **attributes: str,
    ) -> Checkpoint:
        """Call into a connector; whatever it raises becomes a failed checkpoint.

        `foreign` is the kind of an error that is none of the SDK's: a connector's bug says nothing about
        whether a write took effect.
        """
        name = leg.name if leg else None
        connection = leg.leg.connection if leg else job.program.flow.source
        started, begun = time.perf_counter(), self.now()
        seq = job.run.steps if kind in _WITH_INTENT else job.run.steps + 1
        if kind == "before":
            # The intent that follows has this number.
            seq = -seq
        with self.telemetry.inside_step(job.trace, job.row.id, seq):
            try:
                async with asyncio.timeout(self.timeout.total_seconds()):
                    data = await call()
                # What cannot be recorded must fail here, where it is the connector's fault; and a run must not
                # know more than the journal gives back, or it would decide otherwise after a crash.
                data = jsonio.loads(jsonio.dumps(data))
            except Exception as error:
                data = self._facts(error, foreign)
                phase = "failed"
            else:
                phase = "done"
        wrong = data["error"]["message"] if phase == "failed" else None
        self._note_span(job, kind, leg, seq, begun, wrong, attributes)
        self.metrics.steps.observe(time.perf_counter() - started, kind, connection, phase)
        return Checkpoint(kind, name, phase, data, self.now())

    def _facts(self, error: Exception, foreign: str) -> dict[str, Any]:
        if isinstance(error, ConnectorError):
            facts = error.facts()
        elif isinstance(error, TimeoutError):
            facts = {
                "kind": foreign,
                "message": f"no answer from the connector within {self.timeout.total_seconds():g} s",
            }
        else:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            facts = {"kind": foreign, "message": f"the connector failed: {said}"}
        data: dict[str, Any] = {"error": facts | {"jitter": round(self.random.random(), 3)}}
        if isinstance(error, DiscrepancyError):
            data["receipt"] = jsonio.loads(jsonio.dumps(error.receipt))
        return data

    def _note_span(
        self,
        job: Job,
        kind: str,
        leg: CompiledLeg | None,
        seq: int,
        begun: datetime,
        error: str | None,
        more: Mapping[str, str],
    ) -> None:
        if not self.telemetry.recording:
            return
        named = {"crossdock.flow": job.row.flow, "crossdock.run": job.row.id, "crossdock.step": kind}
        if leg:
            named |= {"crossdock.leg": leg.name, "crossdock.action": leg.leg.do}
        named |= {f"crossdock.{name}": value for name, value in more.items()}
        title = f"{kind} {leg.name}" if leg else kind
        job.spans.append(PastSpan(title, begun, self.now(), seq, named, error))

    def _input(self, job: Job, leg: CompiledLeg) -> Record:
        return leg_input(job.known, leg, job.run)

    def _action(self, leg: CompiledLeg) -> Action[Any]:
        return self.connections.action(leg.leg.connection, leg.leg.action)

    def _connection_of(self, job: Job, work: Work) -> str | None:
        match work:
            case Hydrate():
                return job.program.flow.source
            case Apply(leg) | Recover(leg) | Undo(leg):
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
        case _:
            return type(work).__name__.lower(), None


def _as_a_read(seen: Checkpoint, passing: Set[str]) -> Checkpoint:
    """A read whose failure is of a `passing` kind has failed for now: nothing can have taken effect."""
    error = seen.data.get("error") if seen.phase == "failed" else None
    if error is None or error["kind"] not in passing:
        return seen
    return replace(seen, data={**seen.data, "error": error | {"kind": "transient"}})


def _with_doubt(failed: Checkpoint, action: Action[Any], *, repeated: bool) -> Checkpoint:
    """The failure of a write with what it leaves open, by how the action can be asked again."""
    error = failed.data["error"]
    if repeated and not settles(action.redo, error["kind"]):
        return replace(failed, data={**failed.data, "unsettled": True})
    if error["kind"] == "unavailable" and action.redo == "unsafe":
        return replace(failed, data={**failed.data, "error": error | {"kind": "ambiguous"}})
    return failed


def _standing(run: Run) -> Iterator[str]:
    """What a run left, in words: `invoice 1041 (number INV-1041, https://…)`."""
    for name, leg in run.legs.items():
        if leg.receipt is not None and leg.phase in {Phase.APPLIED, Phase.AMISS, Phase.STANDS}:
            told = [f"number {leg.receipt['number']}"] if leg.receipt.get("number") else []
            told += [leg.receipt["url"]] if leg.receipt.get("url") else []
            yield f"{name} {leg.receipt['id']}" + (f" ({', '.join(told)})" if told else "")


def _again(action: Action[Any], state: LegState) -> Record:
    """The input exactly as it was sent, so that a repeated request is the same request."""
    return action.input_model().model_validate(state.input)


async def made_already(action: Action[Any], data: Record, key: str) -> Receipt | None:
    """What an earlier try made, where an action whose vendor keeps our key can look for it as well."""
    if action.redo != "native_key" or not action.recovers():
        return None
    try:
        found = await action.recover(data, key)
    except DiscrepancyError:
        raise
    except RejectedError as error:
        # A refusal to look settles nothing; as a refusal of the write it would end the doubt.
        raise TransientError(error.message, code=error.code, status=error.status) from error
    return None if found is None else _receipt(action, "recover", found)


def _with_before(receipt: Receipt, before: dict[str, Any] | None) -> Receipt:
    return receipt if before is None else receipt.model_copy(update={"undo": {**receipt.undo, "before": before}})


async def _still_there(action: Action[Any], receipt: Receipt) -> bool:
    """Whether an object exists. That it cannot be read says nothing, neither for nor against the write."""
    try:
        return await action.exists(receipt)
    except (TransientError, AuthError):
        raise
    except ConnectorError as error:
        raise TransientError(f"whether {receipt.id} exists cannot be read: {error.message}") from error


def _sent(data: Record) -> dict[str, Any]:
    """The input as the journal keeps it: only what was given, nothing derived, so that it can be read back."""
    derived = set(type(data).model_computed_fields)
    return data.model_dump(exclude_defaults=True, exclude=derived)


def _as_declared(records: Mapping[str, Any], spec: EventSpec) -> Mapping[str, Record]:
    """The records of a hydrated event. Raises `TypeError` if they are not those that its spec declares."""
    wrong = [n for n, kind in spec.records.items() if not isinstance(records.get(n), kind)]
    wrong += [n for n in records if n not in spec.records]
    if wrong:
        raise TypeError(f"hydrate did not return {', '.join(wrong)} as its EventSpec declares")
    return records


def _receipt(action: Action[Any], method: str, returned: object) -> Receipt:
    if isinstance(returned, action.receipt):
        return returned
    raise TypeError(f"{action.name}: {method} returned a {type(returned).__name__}, not a {action.receipt.__name__}")


def _lock(leg: CompiledLeg, action: Action[Any], data: Record) -> tuple[str, ...]:
    try:
        name = action.serialize_by(data)
    except Exception as error:
        told = f"{leg.leg.do}: the connector failed in serialize_by: {type(error).__name__}: {error}"
        raise ConfigError(told) from error
    return (f"lock:{leg.leg.connection}:{name}",) if name is not None else ()


def uses(
    leg: CompiledLeg, action: Action[Any] | type[Action[Any]], receipt: dict[str, Any] | None
) -> tuple[ObjectUse, ...]:
    """The vendor objects on which the leg's effect rests, by its receipt."""
    if receipt is None or action.object is None:
        return ()
    return (ObjectUse(leg.leg.connection, action.object, str(receipt["id"]), leg.name),)


def _inherit_checkpoint(item: Heritage, now: datetime) -> Checkpoint:
    data: dict[str, Any] = {"generation": item.generation}
    if item.receipt is not None:
        data["receipt"] = item.receipt
    if item.input is not None:
        data |= {"input": item.input, "before": item.before}
    data |= {"do": item.do, "account": item.account}
    return Checkpoint("inherit", item.leg, item.phase, data, now)


def _inherited_uses(job: Job, inherited: Sequence[Checkpoint]) -> tuple[ObjectUse, ...]:
    legs = job.program.compiled.legs
    return tuple(
        use
        for checkpoint in inherited
        if (leg := legs.get(checkpoint.leg or "")) and leg.action_class
        for use in uses(leg, leg.action_class, checkpoint.data.get("receipt"))
    )
