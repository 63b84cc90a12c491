"""Looks up which run of the followed flow made what an event is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock.config.models import Flow
from crossdock.connections import Connections
from crossdock.following import origin_facts, stands
from crossdock.journal.base import Checkpoint, Journal, RunRow, run_wait
from crossdock.recorder import Job
from crossdock.state import Run, fold


@dataclass(frozen=True, slots=True)
class _About:
    """What is looked for: an object at the flow's source, and the flow that may have made it."""

    flow: str
    source: str
    object: str
    subject: str

    def __str__(self) -> str:
        return f"{self.object} {self.subject}"

    def facts(self) -> dict[str, Any]:
        return {"flow": self.flow, "object": self.object, "subject": self.subject}


@dataclass(slots=True)
class Origins:
    """Answers from the journal alone; no vendor is asked."""

    journal: Journal
    connections: Connections
    now: Callable[[], datetime]

    async def find(self, job: Job) -> Checkpoint:
        """The origin with its receipts, a run to wait for, or why there is nothing to follow."""
        about = self._about(job)
        # Before the look for what is known to be made: a receipt that comes in between is found by one of the two.
        maker = await self._maker(job, about)
        row = await self._newest(job, about)
        if row is None and maker is not None:
            return self._awaited(about, maker, made=False)
        if row is None:
            return await self._strange(job, about)
        return self._awaited(about, row, made=True) if row.ended_at is None else await self._ended(job, about, row)

    async def _maker(self, job: Job, about: _About) -> RunRow | None:
        """A run that had sent a write when the event came, and has no answer yet: only its receipt will tell."""
        actions = self.connections.actions_making(about.source, about.object)
        return await self.journal.making(about.source, about.object, about.flow, actions, job.event.received_at)

    def lock(self, job: Job) -> tuple[str, ...]:
        """The name of what the run is about, for all flows that follow."""
        about = self._about(job)
        return (f"lock:{about.source}:followed:{about}",)

    def _about(self, job: Job) -> _About:
        flow = job.program.flow
        return _About(flow.follow or "", flow.source, job.program.spec.object, job.event.subject)

    async def over(self, waits_for: str | None) -> bool:
        """Whether the run that this waits for has ended."""
        prefix = run_wait("")
        if waits_for is None or not waits_for.startswith(prefix):
            return False
        row = await self.journal.run(waits_for.removeprefix(prefix))
        return row is None or row.ended_at is not None

    async def _newest(self, job: Job, about: _About) -> RunRow | None:
        """The run on which the object rests, or, for a replay, that of the run before; of its replays the newest."""
        row = await self.journal.run(job.run.followed) if job.run.followed else None
        row = row or await self.journal.origin(about.source, about.object, about.subject, about.flow)
        while row is not None and (replay := await self.journal.replay_of(row.id)) is not None:
            row = replay
        return row

    async def _ended(self, job: Job, about: _About, row: RunRow) -> Checkpoint:
        steps = await self.journal.steps(row.id)
        run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), steps)
        making = self.connections.actions_making(about.source, about.object)
        made = [leg for leg in run.legs.values() if leg.do in making and stands(leg)]
        legs = [leg for leg in made if str((leg.receipt or {}).get("id")) == about.subject]
        if not legs:
            return self._taken_back(about, row)
        account = self.connections.account(about.source)
        if not any(leg.account in (None, account) for leg in legs):
            told = f"run {row.id} of {about.flow} made {about} in {legs[0].account}"
            return self._void(about, f"{told}, and {about.source} is {account} now", account=account)
        flow = Flow.from_plan(await self.journal.plan(row.plan_hash))
        facts = {"run": row.id, "status": row.status} | origin_facts(run, flow, job.program.compiled.reads)
        return Checkpoint("origin", None, "done", about.facts() | facts, self.now())

    async def _strange(self, job: Job, about: _About) -> Checkpoint:
        awaits = job.run.awaits
        if awaits is not None and awaits.made and (row := await self.journal.run(awaits.run)) is not None:
            return self._taken_back(about, row)
        return self._void(about, f"no run of {about.flow} made {about}")

    def _taken_back(self, about: _About, row: RunRow) -> Checkpoint:
        return self._void(
            about, f"{about}, which run {row.id} of {about.flow} made, stands no more: that run ended {row.status}"
        )

    def _awaited(self, about: _About, row: RunRow, *, made: bool) -> Checkpoint:
        return Checkpoint("origin", None, "awaited", about.facts() | {"run": row.id, "made": made}, self.now())

    def _void(self, about: _About, message: str, **facts: Any) -> Checkpoint:
        error = {"kind": "void", "message": message}
        return Checkpoint("origin", None, "failed", about.facts() | facts | {"error": error}, self.now())
