"""The fake API of `bench/fake_api.py` in this process, which so knows when a flow is done and what was made twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fake_api


class Office(fake_api.Store):
    """Keeps the reply to each `requestid` of an invoice, as QuickBooks does, for whoever sends one."""

    def __init__(self, latency: float) -> None:
        super().__init__()
        self.latency = latency
        self.calls = 0
        self.finished: set[str] = set()
        """The deals whose last call, the task, was applied."""
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._replies: dict[bytes, bytes] = {}
        self._goal = 0
        self._reached = asyncio.Event()

    async def has_invoiced(self, deals: int) -> None:
        """Wait until that many deals have an invoice."""
        self._goal = deals
        self._reached.clear()
        await self._reached.wait()

    @property
    def duplicates(self) -> int:
        """Invoices for a deal that had one already."""
        return sum(number - 1 for number in self.invoices.values())

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        self.calls += 1
        if method != b"POST":
            return super().answer(method, path, body)
        path, _, query = path.partition(b"?")
        if path == b"/invoices" and query.startswith(b"requestid="):
            if query not in self._replies:
                self._replies[query] = super().answer(method, path, body)
            return self._replies[query]
        reply = super().answer(method, path, body)
        if len(self.invoices) >= self._goal:
            self._reached.set()
        if path == b"/tasks":
            self._finish(json.loads(body)["name"].rpartition(" ")[2])
        return reply

    def done(self, ident: str) -> asyncio.Future[None]:
        """Settled when the reply to the deal's last call goes out."""
        return self._waiting.setdefault(ident, asyncio.get_running_loop().create_future())

    def _finish(self, ident: str) -> None:
        self.finished.add(ident)
        waiting = self._waiting.pop(ident, None)
        if waiting is not None:
            asyncio.get_running_loop().call_later(self.latency, _settle, waiting)


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@asynccontextmanager
async def open_office(latency_ms: float) -> AsyncIterator[tuple[Office, str]]:
    """The API and its URL."""
    office = Office(latency_ms / 1000)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: fake_api.Vendor(office, office.latency), "127.0.0.1", 0, backlog=1024)
    try:
        yield office, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
