"""What has happened to a run, written down together with what follows from it.

A failure is committed with the wait that it brings, the last step with the run's ending, so that no crash can
fall between the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import Alert
from crossdock_sdk.crashpoints import reach

from crossdock.alerts import Links, outbox, recovery_note, run_alert, tell_log
from crossdock.heritage import leaves
from crossdock.journal.base import (
    Checkpoint,
    Claim,
    Journal,
    NewAlert,
    ObjectUse,
    Overtaken,
    RunRow,
    RunUpdate,
    StoredEvent,
    connection_wait,
    run_wait,
)
from crossdock.metrics import RuntimeMetrics
from crossdock.payload import label_of
from crossdock.planning import Known
from crossdock.program import Program
from crossdock.saga import (
    Apply,
    Decision,
    End,
    MakePlan,
    Stop,
    Undo,
    Wait,
    culprit,
    decide,
    held_up,
    next_look,
    why_ended,
    why_held,
)
from crossdock.state import Run, Status, evolve, fold, unsettled
from crossdock.telemetry import PastSpan, RunTrace, Telemetry
from crossdock.telemetry.story import run_span

_log = logging.getLogger("crossdock.run")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to: its checkpoint, and the vendor objects and locks that it takes or frees."""

    checkpoint: Checkpoint
    used: tuple[ObjectUse, ...] = ()
    released: tuple[ObjectUse, ...] = ()
    unlock: tuple[str, ...] = ()


@dataclass(slots=True)
class Job:
    """A claimed run in the hands of a runner; `run` moves on with every checkpoint."""

    row: RunRow
    event: StoredEvent
    claim: Claim
    program: Program
    run: Run
    unsaved: list[Outcome] = field(default_factory=list)
    """Steps that `run` has taken in and the journal has not: they are written with the intent that follows."""
    lease_until: datetime | None = None
    spans: list[PastSpan] = field(default_factory=list)
    """What is to be told of the run when it comes to a rest."""
    trace: RunTrace = field(init=False)
    known: Known = field(init=False)

    def __post_init__(self) -> None:
        self.trace = RunTrace.decode(self.row.trace)
        self.known = Known(self.program.compiled, self.program.spec, self.program.receipts)


@dataclass(slots=True)
class Recorder:
    """Writes checkpoints. `lease` is how long a claim lasts from each one on.

    All methods raise `LeaseLost` when another performer has the run.
    """

    journal: Journal
    telemetry: Telemetry
    metrics: RuntimeMetrics
    now: Callable[[], datetime]
    links: Links = field(default_factory=Links)
    lease: timedelta = timedelta(seconds=150)

    async def intend(self, job: Job, kind: str, leg: str, data: dict[str, Any], lock: tuple[str, ...]) -> None:
        """Record that a leg is about to be written or undone.

        Raises `LockHeld` if another run has the lock, `Overtaken` if a person has added a step meanwhile.
        """
        checkpoint = Checkpoint(kind, leg, "intent", data, self.now())
        status = Status.ROLLING_BACK if kind == "undo" else Status.RUNNING
        await self.append(job, [checkpoint], self._knowing(job, RunUpdate(str(status), leg=leg)), acquire=lock)
        reach("leg.intended", kind)

    async def reserve(self, job: Job, leg: str | None, lock: tuple[str, ...]) -> None:
        """Take a lock before anything is written; without a leg it is kept to the run's end. Raises as `intend`."""
        await self.append(job, [], self._knowing(job, RunUpdate(str(Status.RUNNING), leg=leg)), acquire=lock)
        reach("lock.reserved")

    def _knowing(self, job: Job, update: RunUpdate) -> RunUpdate:
        """The update, to be refused if a person has come between: nothing more is to be begun then."""
        return replace(update, known_steps=job.run.steps - len(job.unsaved))

    async def decided_anew(self, job: Job) -> Decision:
        """Write what is unsaved and take in what a person has added; the decision that follows from both."""
        await self.flush(job)
        await self._reread(job)
        return decide(job.program.plan, job.run, self.now())

    async def append(
        self, job: Job, checkpoints: Sequence[Checkpoint], update: RunUpdate, *, acquire: tuple[str, ...] = ()
    ) -> None:
        """Record facts from which nothing follows yet."""
        count = await self._commit(job, checkpoints, update, self.now() + self.lease, acquire=acquire)
        job.run = fold(job.run, checkpoints)
        await self._heed(job, count)

    async def flush(self, job: Job) -> None:
        """Write what is unsaved, where nothing that comes next would."""
        if job.unsaved:
            await self.append(job, [], RunUpdate(str(Status.RUNNING), leg=job.unsaved[-1].checkpoint.leg))

    async def _commit(
        self,
        job: Job,
        checkpoints: Sequence[Checkpoint],
        update: RunUpdate,
        until: datetime | None,
        *,
        acquire: tuple[str, ...] = (),
    ) -> int:
        """One transaction with all that is unsaved, which stays so if this raises."""
        steps = list(checkpoints)
        unlock: tuple[str, ...] = ()
        if job.unsaved:
            steps = [outcome.checkpoint for outcome in job.unsaved] + steps
            unlock = tuple(name for outcome in job.unsaved for name in outcome.unlock if name not in acquire)
            update = _with_outcomes(update, job.unsaved)
        update = replace(update, stopped_connection=_stopped_connection(job, update))
        count = await self.journal.checkpoint(job.claim, steps, update, until, acquire=acquire, unlock=unlock)
        job.unsaved.clear()
        job.lease_until = until or job.lease_until
        return count

    async def note(self, job: Job, kind: str, data: dict[str, Any]) -> None:
        """Record a fact that is no step of the flow."""
        await self.append(job, [Checkpoint(kind, None, "done", data, self.now())], RunUpdate(str(Status.RUNNING)))

    async def park(self, job: Job, waits_for: str) -> None:
        """Let the run wait until a lock or a connection is free; whoever frees it makes the run due."""
        error = job.run.error
        status = Status.ROLLING_BACK if any(leg.undoing for leg in job.run.legs.values()) else Status.WAITING
        update = RunUpdate(str(status), None, error, job.row.leg, waits_for=waits_for, release=True)
        await self._commit(job, [], update, None)

    async def put_off(self, job: Job, message: str, until: datetime) -> None:
        """Let a run that cannot go on as things are configured wait, in the status that it has."""
        undoing = any(leg.undoing for leg in job.run.legs.values())
        doubtful = any(unsettled(leg) for leg in job.run.legs.values())
        status = Status.ROLLING_BACK if undoing else Status.IN_DOUBT if doubtful else Status.WAITING
        error = {"kind": "config", "message": message}
        await self._commit(job, [], RunUpdate(str(status), until, error, job.row.leg, release=True), None)

    async def settle(self, job: Job, decision: Wait | Stop | End) -> Decision | None:
        """Record that a run waits, stops or ends without a step before it; a decision if a person came between."""
        return await self._follow(job, decision)

    async def record(self, job: Job, outcome: Outcome) -> Decision | None:
        """Record a step and what follows; the next decision, or None if the run waits, stops or has ended.

        A step that is followed at once by an intent is written with it: until then nothing else happens, so a
        crash in between is the same as one just before this step was recorded.
        """
        job.run = evolve(job.run, outcome.checkpoint)
        job.unsaved.append(outcome)
        decision = decide(job.program.plan, job.run, self.now())
        if _commits_at_once(job, decision):
            return decision
        following = await self._follow(job, decision)
        if isinstance(decision, Wait) and outcome.checkpoint.phase == "failed":
            self.metrics.retries.add(job.row.flow, outcome.checkpoint.leg or "")
            error = outcome.checkpoint.data["error"]
            # To be asked to slow down is nothing that anybody need look at.
            level = logging.INFO if error["kind"] == "throttled" else logging.WARNING
            until = decision.until.isoformat(timespec="seconds")
            _log.log(level, "%s again at %s: %s", decision.status, until, error["message"])
        return following

    async def _follow(self, job: Job, decision: Decision) -> Decision | None:
        while True:
            try:
                heeded = await self._write(job, decision)
            except Overtaken:
                await self._reread(job)
                decision = decide(job.program.plan, job.run, self.now())
                if not job.unsaved and not isinstance(decision, (Wait, Stop, End)):
                    return decision
                continue
            if isinstance(decision, (Wait, Stop, End)):
                return None
            return decide(job.program.plan, job.run, self.now()) if heeded else decision

    async def _reread(self, job: Job) -> None:
        row = job.row
        stored = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), await self.journal.steps(row.id))
        job.run = fold(stored, [outcome.checkpoint for outcome in job.unsaved])

    async def _heed(self, job: Job, count: int) -> bool:
        """Take in what a person has added to the run meanwhile, such as a wish to cancel it."""
        if count == job.run.steps or job.run.ended:
            return False
        await self._reread(job)
        return True

    async def _write(self, job: Job, decision: Decision) -> bool:
        closing = _closing(decision, self.now())
        alert = self._alert(job, decision)
        alerts = outbox(alert, job.program.flow.notify, self.now()) if alert else await self._note(job, decision)
        update = self._knowing(job, replace(_update(job, decision), alerts=alerts))
        count = await self._commit(job, closing, update, self.now() + self.lease)
        job.run = fold(job.run, closing)
        if alert:
            tell_log(alert)
        if isinstance(decision, End):
            self._ended(job, decision.status)
        return not isinstance(decision, (Wait, Stop, End)) and await self._heed(job, count)

    def _alert(self, job: Job, decision: Decision) -> Alert | None:
        if not isinstance(decision, (Wait, Stop, End)) or not decision.alert:
            return None
        return run_alert(job.program, job.row, job.run, decision.status, self.now(), self.links)

    async def _note(self, job: Job, decision: Decision) -> tuple[NewAlert, ...]:
        """That all is well after all, where people were told of trouble with the run or with what it replays."""
        if not isinstance(decision, End) or decision.status is not Status.SUCCEEDED or not job.program.flow.notify:
            return ()
        if not job.run.troubled and not (job.row.replay_of and await self.journal.talks.troubled(job.row.root)):
            return ()
        note = recovery_note(job.program, job.row, job.run, self.now(), self.links)
        return outbox(note, job.program.flow.notify, self.now(), note=True)

    def _ended(self, job: Job, status: Status) -> None:
        self.metrics.runs.add(job.row.flow, str(status))
        _log.info("run %s", status, extra={"key": job.row.key, "status": str(status)})
        row = job.row
        self.telemetry.tell_run(job.trace, run_span(row.flow, row.id, str(status), row.created_at, self.now()))


def _commits_at_once(job: Job, decision: Decision) -> bool:
    """Whether the next thing that happens to the run is a commit, with only computing before it."""
    match decision:
        case Apply(leg, redo):
            return redo or not job.program.leg(leg).looks_first
        case MakePlan() | Undo():
            return True
        case _:
            return False


def _with_outcomes(update: RunUpdate, outcomes: Sequence[Outcome]) -> RunUpdate:
    prints = [outcome.checkpoint.data.get("fingerprint") for outcome in outcomes]
    records = [outcome.checkpoint.data.get("records") for outcome in outcomes]
    return replace(
        update,
        fingerprint=next((one for one in reversed(prints) if one), None),
        label=next((label_of(read) for read in reversed(records) if read), None),
        objects_used=tuple(use for outcome in outcomes for use in outcome.used),
        objects_released=tuple(use for outcome in outcomes for use in outcome.released),
    )


def _closing(decision: Decision, now: datetime) -> list[Checkpoint]:
    match decision:
        case End(status, alert):
            return [Checkpoint("end", None, str(status), {"alert": alert}, now)]
        case Stop(status, alert) | Wait(_, status, alert) if alert:
            return [Checkpoint("stop", None, str(status), {"alert": True}, now)]
        case _:
            return []


def _update(job: Job, decision: Decision) -> RunUpdate:
    leg = culprit(job.program.plan, job.run)
    error = job.run.leg(leg).error if leg else job.run.error
    match decision:
        case Wait(until, status, _):
            pause = None
            # What it waits for is not always what it will end with: a rollback may meet a closed connection.
            for held, why in held_up(job.run, until):
                leg, error, pause = held or leg, why, connection_wait(_connection(job, held))
            if (awaits := job.run.awaits) and next_look(job.run) == until:
                pause = run_wait(awaits.run)
                error = {"kind": "origin", "message": f"it follows run {awaits.run}, and waits for that to end"}
            if status is Status.AWAITING_APPROVAL:
                leg, error = None, why_held(job.run)
            return RunUpdate(str(status), due_at=until, error=error, leg=leg, waits_for=pause, release=True)
        case Stop(status, _):
            return RunUpdate(str(status), error=error or why_held(job.run), leg=leg, release=True)
        case End(status, _):
            left = status is not Status.SUCCEEDED and leaves(job.run)
            error = why_ended(job.run, status) or error
            return RunUpdate(str(status), error=error, leg=leg, ended=True, leaves=left)
        case Undo(name):
            return RunUpdate(str(Status.ROLLING_BACK), error=error, leg=name)
        case _:
            return RunUpdate(str(Status.RUNNING), error=error, leg=leg)


def _stopped_connection(job: Job, update: RunUpdate) -> str | None:
    """The connection that a person would look at first."""
    prefix = connection_wait("")
    if update.waits_for is not None and update.waits_for.startswith(prefix):
        return update.waits_for.removeprefix(prefix)
    if update.error is None:
        return None
    if update.leg is None:
        return job.program.flow.source if job.run.records is None else None
    known = job.program.compiled.legs.get(update.leg)
    return known.leg.connection if known else None


def _connection(job: Job, leg: str | None) -> str:
    return job.program.leg(leg).leg.connection if leg else job.program.flow.source
