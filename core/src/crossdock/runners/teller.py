"""Tells the spans of runs that have come to a rest, each once, whichever process had them in hand."""

from __future__ import annotations

import asyncio
import logging

from opentelemetry.trace import SpanKind

from crossdock.journal.base import ClaimedRun, Journal, JournalError
from crossdock.recorder import Job
from crossdock.telemetry import RunTrace, Telemetry
from crossdock.telemetry.story import root, story

_log = logging.getLogger("crossdock.runner")
_GATHER = 0.05
"""Seconds that spans gather before they are exported, so that many runs share one export."""


class Teller:
    """The journal keeps how far a run has been told; what a killed process left out is told from its checkpoints."""

    def __init__(self, journal: Journal, telemetry: Telemetry) -> None:
        self._journal = journal
        self._telemetry = telemetry
        self._gone: dict[str, int] = {}
        self._sending: asyncio.Task[None] | None = None

    async def remember(self, job: Job, claimed: ClaimedRun) -> None:
        """Put with the job's own spans what earlier performers of the run have not told."""
        row = claimed.row
        if not self._telemetry.recording or (not claimed.steps and not claimed.taken_over):
            return
        # A takeover is the newest step, and says where the one before it was cut off.
        steps = await self._journal.steps(row.id) if claimed.taken_over else claimed.steps
        job.spans[:0] = [span for span in story(steps, row.created_at) if abs(span.seq) > row.told]

    async def rested(self, job: Job) -> None:
        """The run has been let go of: tell what is its own."""
        if not self._telemetry.recording:
            return
        if job.row.told < 0 and job.trace.bears_root:
            await self._root(job)
        self._telemetry.tell_steps(job.trace, job.row.id, job.spans)
        if job.run.ended is None:
            self._gone[job.row.id] = job.run.steps
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="crossdock-teller")

    async def stop(self) -> None:
        """Wait until what was told is on its way."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _root(self, job: Job) -> None:
        told, row = root(job.event, job.row), job.row
        if row.replay_of is None:
            self._telemetry.tell_root(job.trace, told)
            return
        replayed = await self._journal.run(row.replay_of)
        links = [RunTrace.decode(replayed.trace)] if replayed and replayed.trace else []
        self._telemetry.tell_root(job.trace, told, kind=SpanKind.INTERNAL, links=links)

    async def _send(self) -> None:
        """Export, then note how far the runs that go on later have been told."""
        try:
            await asyncio.sleep(_GATHER)
            gone, self._gone = self._gone, {}
            if await asyncio.to_thread(self._telemetry.flush) and gone:
                await self._journal.mark_told(gone)
        except JournalError as error:
            _log.warning("some spans may be told twice: %s", error)
        finally:
            self._sending = None
            if self._gone:
                self._sending = asyncio.create_task(self._send(), name="crossdock-teller")
