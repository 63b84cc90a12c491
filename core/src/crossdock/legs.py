"""One leg at its vendor: written, looked for, or taken back; each write between its intent and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from crossdock_sdk import (
    Action,
    AmbiguousError,
    AuthError,
    ConfigError,
    ConnectorError,
    DiscrepancyError,
    Receipt,
    Record,
    RejectedError,
    TransientError,
)

from crossdock.calling import Caller
from crossdock.config.compiled import CompiledLeg
from crossdock.connections import Connections
from crossdock.journal.base import Checkpoint, Journal, LeaseLost, ObjectUse
from crossdock.planning import PlanError, check_receipts, leg_input
from crossdock.program import ProgramError
from crossdock.recorder import Job, Outcome, Recorder
from crossdock.saga import left_open
from crossdock.state import LegState, evolve, leg_key, undecided


@dataclass(slots=True)
class Legs:
    """Performs what concerns one leg. Raises `ProgramError` if the leg writes elsewhere now than it wrote before."""

    journal: Journal
    recorder: Recorder
    connections: Connections
    caller: Caller
    now: Callable[[], datetime]

    async def apply(self, job: Job, leg: CompiledLeg, *, redo: bool) -> Outcome:
        state = job.run.leg(leg.name)
        action = self._action(leg)
        self._hold_account(job, leg)
        if redo:
            self._hold_place(leg, state)
        # An update that an earlier run began is made with what is true now: it names its object, and no key.
        repeats = redo and not (state.inherited and action.redo == "upsert")
        try:
            data = _again(action, state) if repeats else leg_input(job.known, leg, job.run)
            self.caller.hold_unmasked(_sent(data), f"leg {leg.name}: its input")
        except PlanError as error:
            return Outcome(Checkpoint("apply", leg.name, "failed", {"error": error.facts}, self.now()))
        key = leg_key(job.run.root, leg.name, state.generation)
        lock = _lock(leg, action, data)
        before = state.before
        intent: dict[str, Any] = {"key": key, "input": _sent(data), "redo": redo, "do": leg.leg.do}
        intent["account"] = self.connections.account(leg.leg.connection)
        if not redo and leg.looks_first:
            await self.recorder.reserve(job, leg.name, lock)
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

        done = await self.caller.call(job, "apply", leg, "ambiguous", write, key=key)
        if done.phase == "failed":
            done = replace(done, data={**done.data, **left_open(action.redo, done.data["error"], repeated=redo)})
        return self._applied(job, leg, action, done, lock)

    async def _before(self, job: Job, leg: CompiledLeg, action: Action[Any], data: Record) -> Checkpoint:
        async def look() -> dict[str, Any]:
            before = await action.before(data)
            self.caller.hold_unmasked(before, f"leg {leg.name}: what stands there now")
            return {"before": before}

        seen = _as_a_read(await self.caller.call(job, "before", leg, "transient", look), {"ambiguous", "unavailable"})
        return Checkpoint("apply", leg.name, seen.phase, {**seen.data, "in": "before"}, seen.at)

    async def recover(self, job: Job, leg: CompiledLeg, named: str | None) -> Outcome:
        state = job.run.leg(leg.name)
        action = self._action(leg)
        self._hold_place(leg, state)
        key = leg_key(job.run.root, leg.name, state.generation)
        data = _again(action, state)

        async def ask() -> dict[str, Any]:
            receipt = await (action.recover(data, key) if named is None else action.named(named, data, key))
            if receipt is not None:
                receipt = _with_before(_receipt(action, "recover", receipt), state.before)
                if named is not None:
                    await self._hold_unclaimed(job, leg, action, receipt)
                self._hold_checks(job, leg, receipt)
                self._hold_receipt(leg, receipt)
            return {"receipt": receipt.model_dump() if receipt else None, "named": named}

        done = await self.caller.call(job, "recover", leg, "transient", ask, key=key)
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

    async def verify(self, job: Job, leg: CompiledLeg) -> Outcome:
        """Whether what an earlier run made is still there; it only reads."""
        state = job.run.leg(leg.name)
        action = self._action(leg)
        self._hold_place(leg, state)
        receipt = action.receipt.model_validate(state.receipt)

        async def look() -> dict[str, Any]:
            return {"there": await action.exists(receipt)}

        seen = await self.caller.call(job, "verify", leg, "transient", look)
        return Outcome(_as_a_read(seen, {"ambiguous", "unavailable", "rejected", "not_found"}))

    async def _hold_unclaimed(self, job: Job, leg: CompiledLeg, action: Action[Any], receipt: Receipt) -> None:
        """Raise `RejectedError` for an object that a person names and that another run has made."""
        for use in uses(leg, action, receipt.model_dump()) if receipt.created else ():
            others = await self.journal.other_users(use.connection, use.object, use.object_id, job.row.root)
            if others:
                raise RejectedError(
                    f"{use.object} {receipt.id} belongs to run {others[0]}; name the one that this made"
                )

    async def undo(self, job: Job, leg: CompiledLeg) -> Outcome:
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

        done = await self.caller.call(job, "undo", leg, "transient", take_back)
        return Outcome(done, released=used if done.phase == "done" else (), unlock=lock)

    def elsewhere(self, leg: CompiledLeg, do: str | None, account: str | None) -> str | None:
        """Why what this action once wrote into this account cannot be looked for or undone by the leg as it is now."""
        if do is not None and do != leg.leg.do:
            return f"{leg.name} was written by {do}, and the flow has {leg.leg.do} there now; put it back"
        now = self.connections.account(leg.leg.connection)
        if account is not None and account != now:
            return f"{leg.name} was written into {account}, and {leg.leg.connection} is {now} now; put the account back"
        return None

    def _hold_account(self, job: Job, leg: CompiledLeg) -> None:
        """Raise `ProgramError` if the run has used this connection for another account before.

        What it writes now is made of what it read and wrote there.
        """
        now, before = self.connections.account(leg.leg.connection), job.run.accounts.get(leg.leg.connection)
        if before is not None and before != now:
            raise ProgramError(
                f"the run began in {before}, and {leg.leg.connection} is {now} now; put the account back, or cancel"
            )

    def _hold_place(self, leg: CompiledLeg, state: LegState) -> None:
        """Raise `ProgramError` unless the leg still writes where it wrote before."""
        if moved := self.elsewhere(leg, state.do, state.account):
            raise ProgramError(moved)

    def _hold_lease(self, job: Job) -> None:
        """Raise `LeaseLost` if the process stood still for so long that somebody else may perform the run by now."""
        if job.lease_until is not None and self.now() >= job.lease_until:
            raise LeaseLost(job.claim.run_id, job.claim.fence)

    def _hold_receipt(self, leg: CompiledLeg, receipt: Receipt) -> None:
        try:
            self.caller.hold_unmasked(receipt, f"leg {leg.name}: what the vendor answered")
        except RejectedError as error:
            raise DiscrepancyError(error.message, receipt=receipt) from None

    def _hold_checks(self, job: Job, leg: CompiledLeg, receipt: Receipt) -> None:
        try:
            check_receipts(job.known, leg, job.run, receipt)
        except PlanError as error:
            raise DiscrepancyError(str(error), receipt=receipt) from None

    def _action(self, leg: CompiledLeg) -> Action[Any]:
        return self.connections.action(leg.leg.connection, leg.leg.action)


def _as_a_read(seen: Checkpoint, passing: Set[str]) -> Checkpoint:
    """A read whose failure is of a `passing` kind has failed for now: nothing can have taken effect."""
    error = seen.data.get("error") if seen.phase == "failed" else None
    if error is None or error["kind"] not in passing:
        return seen
    return replace(seen, data={**seen.data, "error": error | {"kind": "transient"}})


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
    except AuthError:
        raise
    except ConnectorError as error:
        # The write has been answered by now, be it with an old reply: it is a doubt until this is read.
        raise AmbiguousError(f"whether {receipt.id} exists cannot be read: {error.message}") from error


def _sent(data: Record) -> dict[str, Any]:
    """The input as the journal keeps it: only what was given, nothing derived, so that it can be read back."""
    derived = set(type(data).model_computed_fields)
    return data.model_dump(exclude_defaults=True, exclude=derived)


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
