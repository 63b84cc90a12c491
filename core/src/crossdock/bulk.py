"""Acts on many runs, one after the other at a pace, and stops by itself when it goes badly."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock.actors import Actor
from crossdock.edits import Edit, EditError
from crossdock.ids import run_id
from crossdock.journal.base import Act, Journal, JournalError, RunBrief, RunFilter, RunRow
from crossdock.journal.bulk import Job, NewJob
from crossdock.operations import NotPossibleError, Operations, UnknownRunError
from crossdock.possible import FAILED, Action, why_not
from crossdock.state import Status

_log = logging.getLogger("crossdock.bulk")

MOST = 10_000
"""Runs of one job at most."""
FASTEST = 50.0
PACE = 5.0
"""Runs a second, at most and by default: replays share the vendors' limits with what is new."""
LEASE = timedelta(seconds=30)
LOOK = 0.5
"""Seconds between looks for work, and at runs whose end is waited for."""
_SHOWN = 20
ACTIONS = ("replay", "cancel", "dismiss")


class BulkError(Exception):
    """A job cannot be made, or changed; one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `runs`: these; else those that `wanted` finds, at most `cap` of them, the oldest first."""

    action: str
    wanted: RunFilter
    runs: tuple[str, ...] = ()
    cap: int = MOST
    pace: float = PACE
    stop_after: int | None = None
    edits: tuple[Edit, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a job would come to: runs that it can act on, those that it leaves out by reason, and the first of them."""

    fit: int
    left_out: dict[str, int]
    first: tuple[RunRow, ...]
    partial: bool
    """There are more runs than the job would take."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """Makes jobs, and says how they stand."""

    journal: Journal
    by: Actor
    now: Callable[[], datetime]
    random: random.Random

    async def prospect(self, wish: Wish) -> Prospect:
        """What a job would come to; nothing is done. Raises `BulkError`."""
        rows, partial = await self._rows(wish)
        told = list(_told(wish.action, rows))
        fit = [run for run, reason in told if reason is None]
        first = [await self.journal.run(run) for run in fit[:_SHOWN]]
        left = Counter(reason for _, reason in told if reason is not None)
        return Prospect(len(fit), dict(left), tuple(filter(None, first)), partial)

    async def begin(self, wish: Wish, idempotency_key: str | None = None) -> Job:
        """Store a job; a running server works through it. Raises `BulkError` if there is nothing to do."""
        rows, _ = await self._rows(wish)
        runs = [run for run, reason in _told(wish.action, rows) if reason is None]
        if not runs:
            raise BulkError("no run that matches can be acted on so")
        job = NewJob(
            id=run_id(self.now(), self.random),
            action=wish.action,
            runs=runs,
            wanted={"runs": list(wish.runs)} if wish.runs else _plain(wish.wanted),
            pace=min(wish.pace, FASTEST),
            stop_after=wish.stop_after,
            edits=[asdict(edit) for edit in wish.edits],
            why=wish.why,
            idempotency_key=idempotency_key,
        )
        told = {"runs": len(runs), "of": job.wanted, "edits": list(job.edits)}
        act = Act(self.now(), self.by, f"{wish.action} many", "bulk", job.id, wish.why, after=told)
        return await self._job(await self.journal.bulk.add(job, act))

    async def stop(self, job_id: str, why: str | None = None) -> Job:
        """What was begun goes on; the rest waits. Raises `BulkError`."""
        job = await self._job(job_id)
        reason = f"stopped by {self.by.name}" + (f": {why}" if why else "")
        if not await self.journal.bulk.stop(job.id, reason, self._act("stop", job, why)):
            raise BulkError(f"job {job.id} is {job.status}; there is nothing to stop")
        return await self._job(job_id)

    async def go_on(self, job_id: str, why: str | None = None) -> Job:
        """Raises `BulkError` unless it is stopped."""
        job = await self._job(job_id)
        if not await self.journal.bulk.go_on(job.id, self._act("continue", job, why)):
            raise BulkError(f"job {job.id} is {job.status}; it cannot go on")
        return await self._job(job_id)

    def _act(self, action: str, job: Job, why: str | None) -> Act:
        return Act(self.now(), self.by, action, "bulk", job.id, why, before={"status": job.status})

    async def _job(self, job_id: str) -> Job:
        job = await self.journal.bulk.get(job_id)
        if job is None:
            raise BulkError(f"no job has the id {job_id}")
        return job

    async def _rows(self, wish: Wish) -> tuple[Sequence[RunRow | RunBrief], bool]:
        """The runs, oldest first, and whether there are more of them than one job takes."""
        if wish.action not in ACTIONS:
            raise BulkError(f"{wish.action} is nothing to do to many; there are {', '.join(ACTIONS)}")
        if wish.edits and wish.action != "replay":
            raise BulkError("edits go with a replay")
        cap = min(wish.cap, MOST)
        if wish.runs:
            found = [row for name in wish.runs[:cap] if (row := await self.journal.run(name)) is not None]
            return found, len(wish.runs) > cap
        rows: list[RunBrief] = []
        cursor: str | None = None
        while len(rows) <= MOST:
            page = await self.journal.briefs(wish.wanted, cursor=cursor)
            rows += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        # The oldest have waited longest.
        rows.reverse()
        return rows[:cap], len(rows) > cap


def _told(action: str, rows: Iterable[RunRow | RunBrief]) -> Iterator[tuple[str, str | None]]:
    """Each run, and why the action would be refused. Of thousands, few differ in what that depends on."""
    known: dict[tuple[str, bool, bool], str | None] = {}
    for row in rows:
        alike = (row.status, row.needs_person, row.emptied_at is None)
        if alike not in known:
            known[alike] = _unfit(action, row)
        yield row.id, known[alike]


def _unfit(action: str, row: RunRow | RunBrief) -> str | None:
    """Why the action would be refused; what has changed by its turn is found then."""
    told = f"{row.status}: "
    if (why := why_not(Action(action), row)) is not None:
        return told + why
    if action == "replay" and row.status in FAILED and not row.needs_person:
        # A person may replay one that was seen to; of many, nobody has looked at each.
        return f"{told}replayed or dismissed already"
    return None


def _plain(wanted: RunFilter) -> dict[str, Any]:
    return {name: value for name, value in asdict(wanted).items() if value not in (None, (), False)}


class BulkWorker:
    """Works through jobs, in one process at a time for each. `plan_of` gives a flow's plan in force."""

    def __init__(
        self,
        journal: Journal,
        plan_of: Callable[[str], str | None],
        wake: Callable[[], None],
        now: Callable[[], datetime],
        rng: random.Random,
        owner: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._plan_of = plan_of
        self._wake = wake
        self._now = now
        self._rng = rng
        self._owner = owner
        self._sleep = sleep

    async def work(self) -> None:
        """Until cancelled; a journal that fails is tried again."""
        while True:
            try:
                if not await self.round():
                    await self._sleep(LOOK)
            except JournalError as error:
                _log.debug("bulk: %s", error)
                await self._sleep(LOOK * 10)
            except Exception:
                _log.exception("a bulk job met an error of the runtime, and is tried again")
                await self._sleep(LOOK * 10)

    async def round(self) -> bool:
        """Work on one job until it is done, stopped or in other hands; False if there is none."""
        job = await self._journal.bulk.claim(self._owner, self._now(), self._now() + LEASE)
        if job is None:
            return False
        try:
            while await self._step(job):
                await self._sleep(1 / job.pace)
        except asyncio.CancelledError:
            await asyncio.shield(self._journal.bulk.leave(job))
            raise
        return True

    async def _step(self, job: Job) -> bool:
        """Act on the next run; False if the job is over for now."""
        if not await self._journal.bulk.keep(job, self._now() + LEASE):
            return False
        if job.stop_after is not None:
            progress = await self._journal.bulk.progress(job)
            if progress.failed >= job.stop_after:
                reason = f"{progress.failed} of {progress.done} came to nothing good; look at them, then let it go on"
                await self._journal.bulk.end(job, "stopped", reason, self._now())
                return False
            if progress.at_work >= job.stop_after - progress.failed:
                # As many as may still fail are at work: to begin more would be to look away.
                await self._sleep(LOOK)
                return True
        item = await self._journal.bulk.next(job)
        if item is None:
            await self._journal.bulk.end(job, "done", None, self._now())
            return False
        place, run = item
        state, result, told = await self._done(job, run)
        return await self._journal.bulk.note(job, place, state, result, told)

    async def _done(self, job: Job, run: str) -> tuple[str, str | None, str | None]:
        operations = Operations(self._journal, job.by, self._now, self._rng)
        try:
            row = await self._act(job, operations, run)
        except (NotPossibleError, UnknownRunError, EditError) as error:
            return await self._refused(job, run, str(error))
        self._wake()
        return "done", row.id, None

    async def _act(self, job: Job, operations: Operations, run: str) -> RunRow:
        if job.action == "cancel":
            return await operations.cancel(run, why=job.why)
        if job.action == "dismiss":
            return await operations.dismiss(run, why=job.why)
        row = await self._journal.run(run)
        plan = self._plan_of(row.flow) if row else None
        edits = [Edit(one["path"], one["value"]) for one in job.edits]
        return await operations.replay(run, plan, edits=edits, why=job.why)

    async def _refused(self, job: Job, run: str, told: str) -> tuple[str, str | None, str | None]:
        """What a refusal comes to: it may have been done by us, just before the process ended."""
        replay = await self._journal.replay_of(run) if job.action == "replay" else None
        row = await self._journal.run(run)
        if replay is not None:
            return "done", replay.id, "it had been replayed"
        if job.action == "cancel" and row is not None and row.status == Status.CANCELLED:
            return "done", run, "it had been cancelled"
        return "skipped", None, told
