"""A vendor API that costs almost nothing, so that what is measured is whoever calls it.

    python bench/fake_api.py [--port 0] [--latency-ms 0]

It prints its port, then serves deals, customers, invoices and tasks from memory until it is ended. `GET /stats`
tells how many of each it made, and how many invoices were made for a deal that had one already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Store:
    """What was made. `answer` takes a request apart by its first words only."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.invoices: Counter[str] = Counter()
        self.numbers: dict[str, int] = {}

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if method == b"GET":
            return self._read(path)
        kind = path.split(b"/", 2)[1].decode()
        self.made[kind] += 1
        number = self.made[kind]
        if kind == "invoices":
            deal = str(json.loads(body)["deal"])
            self.invoices[deal] += 1
            self.numbers[deal] = number
            return b'{"id":"%d","number":"INV-%d","total":30.30}' % (number, number)
        return b'{"id":"%d"}' % number

    def _read(self, path: bytes) -> bytes:
        if path.startswith(b"/deals/"):
            ident = path[7:]
            return (
                b'{"id":"%b","title":"Deal %b","value":30.30,"customer":"Customer %b","email":"a%b@example.test",'
                b'"lines":[{"sku":"A-1","quantity":3,"unit_price":10.10}]}' % (ident, ident, ident, ident)
            )
        for kind in (b"customers", b"tasks"):
            if path.startswith(b"/" + kind):
                return b'{"%b":[]}' % kind
        if path.startswith(b"/invoices?deal="):
            return json.dumps({"invoices": self._of(path[15:].decode())}).encode()
        twice = sum(number - 1 for number in self.invoices.values())
        return json.dumps({"made": self.made, "deals_invoiced": len(self.invoices), "duplicates": twice}).encode()

    def _of(self, deal: str) -> list[dict[str, Any]]:
        number = self.numbers.get(deal)
        return [] if number is None else [{"id": str(number), "number": f"INV-{number}", "total": 30.30}]


class Vendor(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as a client of JSON needs it."""

    def __init__(self, store: Store, latency: float) -> None:
        self._store = store
        self._latency = latency
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        data = self._left + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(data) < end + 4 + length:
                break
            method, path, _ = head.split(b" ", 2)
            self._reply(self._store.answer(method, path, data[end + 4 : end + 4 + length]))
            data = data[end + 4 + length :]
        self._left = data

    def _reply(self, body: bytes) -> None:
        reply = _HEAD % (len(body), body)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


@contextmanager
def running(latency_ms: float = 0) -> Iterator[str]:
    """The API in a process of its own; its URL."""
    command = [sys.executable, str(Path(__file__)), "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def _serve(port: int, latency: float) -> None:
    store = Store()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Vendor(store, latency), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
