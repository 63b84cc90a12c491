"""Server-sent events: a page is told that it has changed, and asks for itself again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from crossdock.runtime import Crossdock
from crossdock.web.dashboard.desk import Sitting

router = APIRouter(include_in_schema=False)

LOOK = 0.5
"""Seconds between looks at the journal: one look for all who listen."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it is alive: a proxy closes one that does not."""
LISTENERS = 200
"""Streams at once; who comes later is told to poll."""


class Pulse:
    """Notices that somebody, in whichever process, has written to the journal, and wakes who listens."""

    def __init__(self, runtime: Crossdock) -> None:
        self._runtime = runtime
        self._moved = asyncio.Condition()
        self._version = -1
        self._watching: asyncio.Task[None] | None = None
        self.listeners = 0

    async def next(self, seen: int) -> int:
        """The journal's version once it is another than `seen`, or after a heartbeat's time."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="crossdock-pulse")
        try:
            async with asyncio.timeout(HEARTBEAT), self._moved:
                await self._moved.wait_for(lambda: self._version != seen)
        except TimeoutError:
            pass
        return self._version

    async def _watch(self) -> None:
        while self.listeners:
            version = await self._runtime.journal.version()
            if version != self._version:
                async with self._moved:
                    self._version = version
                    self._moved.notify_all()
            await asyncio.sleep(LOOK)


@router.get("/live")
async def live(desk: Sitting, run: str | None = None) -> StreamingResponse:
    """`changed` each time that what the page shows may have changed: any run, or this `run`."""
    pulse: Pulse = desk.request.app.state.pulse
    if pulse.listeners >= LISTENERS:
        return StreamingResponse(iter(()), 503, {"Retry-After": "5"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(desk.request, pulse, desk.runtime, run), 200, headers, "text/event-stream")


async def _events(request: Request, pulse: Pulse, runtime: Crossdock, run: str | None) -> AsyncIterator[str]:
    pulse.listeners += 1
    try:
        yield "retry: 2000\n\n"
        # What happened between the page and this stream is not known: the page looks again once.
        version, stamp = -1, None
        while runtime.started and not await request.is_disconnected():
            moved = await pulse.next(version)
            now = await _stamp(runtime, run) if moved != version else stamp
            changed = moved != version and (run is None or now != stamp)
            version, stamp = moved, now
            yield "event: changed\ndata: 1\n\n" if changed else ": alive\n\n"
    finally:
        pulse.listeners -= 1


async def _stamp(runtime: Crossdock, run: str | None) -> Hashable:
    row = await runtime.journal.run(run) if run else None
    return (row.updated_at, row.status, row.due_at) if row else None
