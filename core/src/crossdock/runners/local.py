"""The runner of one process: asyncio tasks, as many runs at once as it is told, durable waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from crossdock_sdk.crashpoints import reach

from crossdock.courier import Courier
from crossdock.ids import owner_alive, owner_id
from crossdock.journal.base import Checkpoint, ClaimedRun, Journal, JournalError, LeaseLost
from crossdock.logs import bind
from crossdock.program import ProgramError, Programs
from crossdock.recorder import Job
from crossdock.runners.teller import Teller
from crossdock.runners.trouble import STUCK, Trouble, suspected, suspicion
from crossdock.saga import End, Stop, Wait, decide
from crossdock.state import Phase, Run, cut_off, fold
from crossdock.stepper import Stepper
from crossdock.telemetry import RunTrace
from crossdock.telemetry.story import in_hand

_log = logging.getLogger("crossdock.runner")

POLL = timedelta(seconds=1)
"""How often it looks for work that another process has left or made."""


class LocalRunner:
    """Claims runs that are due and drives each until it waits, stops or ends.

    `start` frees the runs of processes that died, then works until `stop`.
    """

    def __init__(
        self,
        journal: Journal,
        stepper: Stepper,
        programs: Programs,
        courier: Courier,
        now: Callable[[], datetime],
        *,
        concurrency: int = 32,
        owner: str | None = None,
    ) -> None:
        self.owner = owner or owner_id()
        self._journal = journal
        self._stepper = stepper
        self._programs = programs
        self._courier = courier
        self._now = now
        self._concurrency = concurrency
        self._driving: dict[asyncio.Task[None], ClaimedRun] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._awake = asyncio.Event()
        self._stopping = False
        self._teller = Teller(journal, stepper.caller.telemetry, now)
        self._trouble = Trouble(journal, programs, now, stepper.caller.redact)
        self._quarantine = asyncio.Lock()
        self._owed: list[ClaimedRun] = []
        """Runs that could not be given back, for the journal took no write."""
        self._stuck_runs: set[str] = set()
        self._beaten = now()
        self.moved_at = now()
        """When a run was last brought to a rest: a long queue that moves is not a stall."""
        self.trouble: str | None = None
        """Why the journal refused the newest checkpoint; None while all is well."""

    async def start(self) -> None:
        """Take up what earlier processes left, and begin to work."""
        await self._journal.release_dead(owner_alive)
        await self._teller.catch_up()
        turns = (self._claim, self._keep, self._probe, self._tell)
        self._loops = [asyncio.create_task(self._forever(turn)) for turn in turns]

    async def reloaded(self) -> None:
        """Look again at the runs that could not go on with the configuration before this one."""
        stuck, self._stuck_runs = self._stuck_runs, set()
        for run_id in stuck:
            now = self._now()
            await self._journal.add_step(run_id, Checkpoint("reload", None, "done", {}, now), now)
        self.wake()

    def wake(self) -> None:
        """Look for work now."""
        self._awake.set()

    async def stop(self, grace: timedelta = timedelta(seconds=25)) -> None:
        """Claim nothing more, let steps in hand finish within `grace`, give the runs back."""
        self._stopping = True
        self._awake.set()
        if self._driving:
            await asyncio.wait(self._driving, timeout=grace.total_seconds())
        await _cancelled([*self._driving, *self._loops])
        await self._courier.stop()
        await self._teller.stop()

    @property
    def busy(self) -> bool:
        """Whether it has a run in hand."""
        return bool(self._driving)

    async def quiesced(self) -> None:
        """Wait until every run that is in hand now has been let go of."""
        if self._driving:
            await asyncio.wait(list(self._driving))

    async def _forever(self, turn: Callable[[], object]) -> None:
        told: str | None = None
        while not self._stopping:
            try:
                await turn()  # type: ignore[misc]
                told = None
            except JournalError as error:
                if str(error) != told:
                    _log.error("the journal is not available: %s", error)
                told = str(error)
                await asyncio.sleep(POLL.total_seconds())
            except Exception:
                _log.exception("the runner met an error of its own and goes on")
                await asyncio.sleep(POLL.total_seconds())

    async def _claim(self) -> None:
        self._awake.clear()
        free = self._concurrency - len(self._driving)
        claimed = []
        if self._now() - self._beaten > self._stepper.recorder.lease / 3:
            # The clock may have jumped: what is in hand here must not look abandoned, to ourselves first of all.
            await self._beat()
        if free > 0:
            claimed = await self._journal.claim(self.owner, free, self._now(), self._stepper.recorder.lease)
        # Of several suspects, who has been alone least often goes first: one that is innocent gets on.
        for one in sorted(claimed, key=suspicion):
            task = asyncio.create_task(self._drive(one))
            self._driving[task] = one
            task.add_done_callback(self._let_go)
        if not claimed:
            await self._rest()

    async def _rest(self) -> None:
        due = await self._journal.next_due(self._now())
        seconds = POLL.total_seconds()
        if due is not None:
            seconds = min(max((due - self._now()).total_seconds(), 0.0), seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    async def _keep(self) -> None:
        """Prolong the leases of what is in hand; free what dead processes hold."""
        await asyncio.sleep(min(self._stepper.recorder.lease.total_seconds() / 3, 5.0))
        if self._journal.trouble:
            # Who is not ready gets no webhooks, and would never hear that it is well again.
            await self._journal.probe()
        await self._beat()
        owed, self._owed = self._owed, []
        for claimed in owed:
            await self._give_back(claimed, timedelta())
        if await self._journal.release_dead(owner_alive):
            self.wake()
        await self._trouble.tell_blocked()

    async def _probe(self) -> None:
        """Have closed connections tried again."""
        if await self._stepper.circuits.probe():
            self.wake()
        await asyncio.sleep(POLL.total_seconds())

    async def _beat(self) -> None:
        """Prolong the leases of what is in hand; stop what somebody else has taken."""
        self._beaten = self._now()
        claims = [one.claim for one in self._driving.values()]
        void = await self._journal.heartbeat(claims, self._now() + self._stepper.recorder.lease) if claims else []
        for task, one in list(self._driving.items()):
            if one.claim in void and not task.done() and await self._is_anothers(one):
                _log.warning("run %s has another performer; it is left alone", one.row.id)
                task.cancel()

    async def _is_anothers(self, claimed: ClaimedRun) -> bool:
        """Whether somebody else has the run: a claim is void too once we have given it back ourselves."""
        row = await self._journal.run(claimed.row.id)
        return row is not None and row.fence != claimed.claim.fence

    async def _tell(self) -> None:
        if not await self._courier.dispatch():
            await self._courier.idle(POLL / 4)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._driving.pop(task, None)
        self._awake.set()

    async def _drive(self, claimed: ClaimedRun) -> None:
        trace_id = RunTrace.decode(claimed.row.trace).hex
        with bind(run=claimed.row.id, flow=claimed.row.flow, trace_id=trace_id):
            try:
                reach("run.claimed")
                await self._drive_to_rest(claimed)
                self.trouble, self.moved_at = None, self._now()
            except LeaseLost:
                _log.warning("another performer has this run; it is left alone")
            except JournalError as error:
                self.trouble = str(error)
                _log.error("the journal refused a checkpoint, the run goes on later: %s", error)
                await self._give_back(claimed, POLL)
            except Exception as error:
                _log.exception("a run met an error of the runtime, and is tried again in %s", STUCK)
                await self._failed_over(claimed, f"{type(error).__name__}: {error}")

    async def _failed_over(self, claimed: ClaimedRun, message: str) -> None:
        try:
            await self._trouble.defective(claimed, message)
        except JournalError:
            await self._give_back(claimed, STUCK)

    async def _give_back(self, claimed: ClaimedRun, pause: timedelta) -> None:
        try:
            await self._journal.release(claimed.claim, self._now() + pause)
        except JournalError:
            self._owed.append(claimed)

    async def _drive_to_rest(self, claimed: ClaimedRun) -> None:
        row = claimed.row
        if claimed.damage:
            message = f"run {row.id}: what the database holds of it cannot be read: {claimed.damage}"
            _log.error("%s", message)
            await self._trouble.defective(claimed, message)
            return
        if await self._trouble.deadly(claimed):
            return
        try:
            program = await self._programs.get(row.plan_hash)
        except ProgramError as error:
            if not await self._trouble.cancelled(claimed):
                self._stuck_runs.add(row.id)
                await self._trouble.stuck(row, str(error))
                await self._trouble.put_off(claimed, str(error), "config")
            return
        run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), claimed.steps)
        job = Job(row, claimed.event, claimed.claim, program, run, lease_until=row.lease_until)
        try:
            if suspected(claimed):
                await self._perform_alone(claimed, job)
            else:
                await self._perform(claimed, job)
        except ProgramError as error:
            self._stuck_runs.add(row.id)
            await self._trouble.stuck(row, str(error))
            await self._stepper.recorder.put_off(job, str(error), self._now() + STUCK)
        reach("run.rested")
        await self._teller.rested(job)

    async def _perform_alone(self, claimed: ClaimedRun, job: Job) -> None:
        """Perform a run that may be what ends its performers while no other such run is in hand here."""
        async with self._quarantine:
            job.lease_until = self._now() + self._stepper.recorder.lease
            if await self._journal.heartbeat([claimed.claim], job.lease_until):
                raise LeaseLost(claimed.claim.run_id, claimed.claim.fence)
            await self._perform(claimed, job, alone=True)

    async def _perform(self, claimed: ClaimedRun, job: Job, *, alone: bool = False) -> None:
        """Decide and perform until the run comes to a rest. Raises `ProgramError` if it cannot go on."""
        row, program = claimed.row, job.program
        if claimed.taken_over or any(map(cut_off, job.run.legs.values())):
            await self._take_over(job, alone)
        await self._teller.remember(job, claimed)
        if await self._stepper.circuits.lifted(row.waits_for, row.id):
            await self._stepper.recorder.note(job, "reconnect", {"connection": row.waits_for})
        if job.run.awaits and await self._stepper.origins.over(row.waits_for):
            await self._stepper.recorder.note(job, "awaited", {"run": job.run.awaits.run})
        decision = decide(program.plan, job.run, self._now())
        while True:
            if isinstance(decision, (Wait, Stop, End)):
                following = await self._stepper.recorder.settle(job, decision)
                if following is None:
                    break
                decision = following
                continue
            following = await self._stepper.perform(job, decision)
            if following is None:
                break
            if alone:
                # What it has got done must be seen, should it end us next.
                await self._stepper.recorder.flush(job)
            if self._stopping:
                await self._stepper.recorder.flush(job)
                await self._journal.release(claimed.claim, self._now())
                break
            decision = following

    async def _take_over(self, job: Job, alone: bool) -> None:
        """Say in the run's history that its performer vanished, and in what; `alone`: with no other suspect."""
        _log.warning("this run's performer vanished; it goes on here")
        sent = [name for name, leg in job.run.legs.items() if leg.phase is Phase.SENT]
        looks_first = {leg.name for leg in job.program.compiled.enabled if leg.looks_first}
        asking = in_hand(decide(job.program.plan, job.run, self._now()), looks_first)
        facts = {"owner": self.owner, "cut_off": sent, "in_hand": asking, "alone": alone}
        await self._stepper.recorder.note(job, "takeover", facts)
        reach("run.taken_over")


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
