"""Sends webhooks as fast as it is told, from a process of its own, and is cheap enough not to be what is measured.

    python bench/load.py URL --body lane --first 0 --seconds 5 (--connections 64 | --rate 200)

`--connections`: so many keep-alive connections, each with its next delivery as soon as the one before is answered.
`--rate`: so many deliveries a second whether or not the earlier ones are answered (open loop), each over an idle
connection, or a new one. Each delivery tells of a deal of its own, numbered from `--first`. Prints one JSON object;
a latency is the time from the request's last byte out to the reply's last byte in.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

USER, PASSWORD = "bench", "bench-password"
BODIES = {
    "lane": '{"id":"%d"}',
    "pipedrive": json.dumps(
        {
            "meta": {
                "action": "change",
                "entity": "deal",
                "entity_id": "%d",
                "id": "%d-delivery",
                "correlation_id": "c1b1a1d2-7a0e-4a0b-9d6e-2f1f6f3c9a11",
                "company_id": "77",
                "user_id": "901",
                "host": "acme.pipedrive.com",
                "webhook_id": "5",
                "version": "2.0",
                "timestamp": "2026-11-20T10:00:00.123Z",
                "change_source": "app",
                "is_bulk_edit": False,
                "attempt": 1,
                "permitted_user_ids": ["901"],
            },
            "data": {
                "id": "DEAL",
                "title": "Deal %d",
                "status": "won",
                "won_time": "2026-11-20T10:00:00Z",
                "value": 1200.5,
                "currency": "USD",
                "org_id": 41,
                "person_id": 42,
                "owner_id": 901,
                "pipeline_id": 1,
                "stage_id": 4,
                "probability": None,
                "label_ids": [],
                "custom_fields": {f"{n:040x}": {"type": "varchar", "value": f"value {n}"} for n in range(12)},
            },
            "previous": {"status": "open", "won_time": None},
        }
    ).replace('"DEAL"', "%d"),
}


def request_of(url: str, body: str, deal: int) -> bytes:
    """One delivery as it goes over the wire."""
    parts = urlsplit(url)
    content = (BODIES[body].replace("%d", str(deal))).encode()
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Basic {credentials}\r\n"
        f"content-type: application/json\r\nuser-agent: bench\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in hand at most."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self.deal = -1
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def send(self, deal: int) -> None:
        self.deal = deal
        request = request_of(self._load.url, self._load.body, deal)
        self.sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        at = data.lower().find(b"content-length:", 0, end)
        if end < 0 or at < 0 or len(data) < end + 4 + int(data[at + 15 : data.find(b"\r\n", at)]):
            self._buffer = data
            return
        self._buffer = b""
        self._load.answered(self, int(data[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)

    def close(self) -> None:
        self._transport.close()


class Load:
    """What is under way, and what came of it."""

    def __init__(self, url: str, body: str, first: int) -> None:
        self.url, self.body = url, body
        self._next = self._first = first
        self._until = 0.0
        self._all: list[Connection] = []
        self._idle: list[Connection] = []
        self._again = False
        self._pending = 0
        self._settled = asyncio.Event()
        self.took: list[float] = []
        self.refused: list[int] = []

    async def saturate(self, connections: int, seconds: float) -> dict[str, Any]:
        for _ in range(connections):
            await self._connect()
        self._again = True
        start = time.perf_counter()
        self._until = start + seconds
        for connection in list(self._all):
            self._send(connection)
        return await self._outcome(start, seconds)

    async def steadily(self, rate: float, seconds: float) -> dict[str, Any]:
        for _ in range(16):
            self._idle.append(await self._connect())
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(start + number / rate - time.perf_counter(), 0))
            self._send(self._idle.pop() if self._idle else await self._connect())
        return await self._outcome(start, seconds)

    async def _connect(self) -> Connection:
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), parts.hostname, parts.port)
        self._all.append(connection)
        return connection

    def _send(self, connection: Connection) -> None:
        self._pending += 1
        self._settled.clear()
        connection.send(self._next)
        self._next += 1

    def answered(self, connection: Connection, status: int) -> None:
        now = time.perf_counter()
        self.took.append(now - connection.sent)
        if not 200 <= status < 300:
            self.refused.append(connection.deal)
        connection.deal = -1
        self._pending -= 1
        if self._again and now < self._until:
            self._send(connection)
        else:
            self._idle.append(connection)
        if not self._pending:
            self._settled.set()

    def lost(self, connection: Connection) -> None:
        """A connection that ended over a request: nobody knows whether it was taken."""
        if connection.deal >= 0:
            self.refused.append(connection.deal)
            self._pending -= 1
            if not self._pending:
                self._settled.set()

    async def _outcome(self, start: float, seconds: float) -> dict[str, Any]:
        async with asyncio.timeout(seconds + 30):
            await self._settled.wait()
        elapsed = time.perf_counter() - start
        for connection in self._all:
            connection.close()
        self.took.sort()
        return {
            "first": self._first,
            "sent": self._next - self._first,
            "refused": self.refused,
            "per_second": round((len(self.took) - len(self.refused)) / elapsed, 1),
            "p50_ms": round(self.took[len(self.took) // 2] * 1000, 2),
            "p99_ms": round(self.took[len(self.took) * 99 // 100] * 1000, 2),
        }


def send(url: str, body: str, first: int, seconds: float, *, connections: int = 0, rate: float = 0) -> dict[str, Any]:
    """Send from a process of its own; what came of it."""
    how = ["--connections", str(connections)] if connections else ["--rate", str(rate)]
    given = [url, "--body", body, "--first", str(first), "--seconds", str(seconds), *how]
    done = subprocess.run([sys.executable, str(Path(__file__)), *given], stdout=subprocess.PIPE, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url")
    parser.add_argument("--body", choices=BODIES, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    options = parser.parse_args()

    async def work() -> dict[str, Any]:
        load = Load(options.url, options.body, options.first)
        if options.connections:
            return await load.saturate(options.connections, options.seconds)
        return await load.steadily(options.rate, options.seconds)

    print(json.dumps(uvloop.run(work())))


if __name__ == "__main__":
    main()
