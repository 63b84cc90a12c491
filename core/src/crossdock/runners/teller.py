"""Tells the spans of runs that have come to a rest, each once, whichever process had them in hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from opentelemetry.trace import SpanKind

from crossdock.journal.base import ClaimedRun, Journal, JournalError, RunRow, StoredEvent
from crossdock.recorder import Job
from crossdock.telemetry import PastSpan, RunTrace, Telemetry
from crossdock.telemetry.story import root, run_span, story

_log = logging.getLogger("crossdock.runner")
_GATHER = 0.05
"""Seconds that spans gather before they are exported, so that many runs share one export."""
_CATCH_UP = timedelta(minutes=10)
"""How long ago a run may have ended for its spans to be told after a restart."""
_WHOLE = 2**31
"""More steps than any run has: there is nothing left to tell."""


class Teller:
    """The journal keeps how far a run has been told; what a killed process left out is told from its checkpoints."""

    def __init__(self, journal: Journal, telemetry: Telemetry, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._telemetry = telemetry
        self._now = now
        self._told: dict[str, int] = {}
        """How far this process has told runs of which the journal does not say so yet."""
        self._sending: asyncio.Task[None] | None = None

    async def catch_up(self) -> None:
        """Tell the runs that ended shortly before a kill, which nobody will claim again."""
        if not self._telemetry.recording:
            return
        for row in await self._journal.untold(self._now() - _CATCH_UP):
            event = await self._journal.event(row.event_seq)
            if event is None or row.ended_at is None:
                continue
            trace = RunTrace.decode(row.trace)
            steps = story(await self._journal.steps(row.id), row.created_at)
            await self._tell(trace, row, event, [span for span in steps if abs(span.seq) > row.told])
            self._telemetry.tell_run(trace, run_span(row.flow, row.id, row.status, row.created_at, row.ended_at))
            self._note(row.id, _WHOLE)

    async def remember(self, job: Job, claimed: ClaimedRun) -> None:
        """Put with the job's own spans what earlier performers of the run have not told."""
        row = claimed.row
        if not self._telemetry.recording or (not claimed.steps and not claimed.taken_over):
            return
        told = max(row.told, self._told.get(row.id, row.told))
        # A takeover is the newest step, and says where the one before it was cut off.
        steps = await self._journal.steps(row.id) if claimed.taken_over else claimed.steps
        job.spans[:0] = [span for span in story(steps, row.created_at) if abs(span.seq) > told]

    async def rested(self, job: Job) -> None:
        """The run has been let go of: tell what is its own."""
        if not self._telemetry.recording:
            return
        await self._tell(job.trace, job.row, job.event, job.spans)
        self._note(job.row.id, _WHOLE if job.run.ended else job.run.steps)

    async def stop(self) -> None:
        """Wait until all that was told has gone, and is noted."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    def _note(self, run_id: str, steps: int) -> None:
        self._told[run_id] = steps
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="crossdock-teller")

    async def _tell(self, trace: RunTrace, row: RunRow, event: StoredEvent, spans: Sequence[PastSpan]) -> None:
        if row.told < 0 and row.id not in self._told and trace.bears_root:
            await self._root(trace, row, event)
        self._telemetry.tell_steps(trace, row.id, spans)

    async def _root(self, trace: RunTrace, row: RunRow, event: StoredEvent) -> None:
        told = root(event, row)
        if row.replay_of is None:
            kind = SpanKind.INTERNAL if event.via == "poll" else SpanKind.SERVER
            self._telemetry.tell_root(trace, told, kind=kind)
            return
        replayed = await self._journal.run(row.replay_of)
        links = [RunTrace.decode(replayed.trace)] if replayed and replayed.trace else []
        self._telemetry.tell_root(trace, told, kind=SpanKind.INTERNAL, links=links)

    async def _send(self) -> None:
        """Export, then note in the journal how far the runs have been told."""
        try:
            await asyncio.sleep(_GATHER)
            noted = dict(self._told)
            if await asyncio.to_thread(self._telemetry.flush):
                await self._journal.mark_told(noted)
            self._told = {run: steps for run, steps in self._told.items() if noted.get(run) != steps}
        except JournalError as error:
            _log.warning("some spans may be told twice: %s", error)
            self._told.clear()
        finally:
            self._sending = None
            if self._told:
                self._sending = asyncio.create_task(self._send(), name="crossdock-teller")
