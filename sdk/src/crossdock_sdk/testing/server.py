"""Run an ASGI application on a free loopback port, inside the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from crossdock_sdk.testing.faults import abortable

_GRACE_SECONDS = 1
_TICKS_A_SECOND = 10


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone, and starts and stops without polling."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:
            raise RuntimeError("the application failed to start; its log says why") from None
        self.up.set()

    async def main_loop(self) -> None:
        for tick in itertools.count(0, _TICKS_A_SECOND):
            await self.on_tick(tick)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), 1)
                return


@contextlib.asynccontextmanager
async def serve(app: Any, *, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """`async with serve(app) as url:` — url such as `http://127.0.0.1:41234`; stopped on exit.

    Requests that still run at exit are cancelled after a second. Raises `RuntimeError` if the application's
    start-up fails, `OSError` if the port is taken.
    """
    with socket.create_server((host, port)) as listener:
        # Accepted sockets inherit it; asyncio itself sets it only where the socket names its protocol, and
        # without it a reply in two writes waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            abortable(app),
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        up = asyncio.create_task(server.up.wait())
        try:
            await asyncio.wait((running, up), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            up.cancel()
            server.stop.set()
            await running
