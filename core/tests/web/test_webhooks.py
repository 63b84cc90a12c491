"""Bodies too large and too slow, over real sockets, on the server that `crossdock serve` runs."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from crossdock.cli.listening import _server
from crossdock.settings import Settings
from crossdock.web import problems, refusals, webhooks
from fastapi import FastAPI

PATIENCE = 10
TEN_MEGABYTES = bytes(10_000_000)
HEAD = b"POST /webhooks/crm HTTP/1.1\r\nhost: x\r\n"


class Intake:
    """Takes whatever comes, and keeps its length."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    async def receive(self, _: str, raw: Any) -> Any:
        self.lengths.append(len(raw.body))
        return SimpleNamespace(reply=None, runs=(), duplicates=0, unrouted=1)


@pytest.fixture
def intake() -> Intake:
    return Intake()


@pytest.fixture
async def port(intake: Intake) -> AsyncIterator[int]:
    app, up = FastAPI(), asyncio.Event()
    app.state.crossdock = SimpleNamespace(settings=Settings(), intake=intake, runner=None)
    for room in (problems, refusals, webhooks):
        room.install(app)
    app.include_router(webhooks.router)
    server = _server(app, up.set)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await up.wait()
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchanged(port: int, sent: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the body of the reply to what stays unfinished; fails if the server does not close."""
    async with connected(port) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in head.lower().split(b"\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_urllib_which_writes_all_before_it_reads_gets_its_413(port: int, intake: Intake) -> None:
    def post() -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/webhooks/crm", TEN_MEGABYTES)
        with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=PATIENCE):
            pass
        with caught.value as reply:
            return reply.code, json.load(reply)

    status, told = await asyncio.to_thread(post)
    assert (status, told["detail"]) == (413, "a delivery may have 1048576 bytes")
    assert intake.lengths == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_after_a_413_the_connection_takes_the_next_delivery(port: int, intake: Intake, chunked: bool) -> None:
    def post() -> list[int]:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        statuses = []
        for body in (TEN_MEGABYTES, b"small"):
            client.request("POST", "/webhooks/crm", iter([body]) if chunked else body, encode_chunked=chunked)
            reply = client.getresponse()
            reply.read()
            statuses.append(reply.status)
        client.close()
        return statuses

    assert await asyncio.to_thread(post) == [413, 200]
    assert intake.lengths == [5]


async def test_a_refused_body_is_not_read_without_end(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DRAIN_BYTES", 100_000)
    status, _ = await exchanged(port, HEAD + b"content-length: 1000000000\r\n\r\n" + bytes(100_001))
    assert status == 413


async def test_a_refused_body_is_not_waited_for_without_end(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DRAIN_SECONDS", 0.05)
    status, _ = await exchanged(port, HEAD + b"content-length: 1000000000\r\n\r\n")
    assert status == 413


async def test_a_client_that_asks_before_it_writes_is_refused_at_once(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DRAIN_SECONDS", 2 * PATIENCE)
    status, _ = await exchanged(port, HEAD + b"expect: 100-continue\r\ncontent-length: 1000000000\r\n\r\n")
    assert status == 413


@pytest.mark.parametrize("framed", [b"content-length: 5\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n5\r\n"])
async def test_a_body_that_is_not_complete_in_time_is_answered_408_and_closed(
    port: int, intake: Intake, framed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.05)
    status, told = await exchanged(port, HEAD + framed + b"smal")
    assert (status, told["detail"]) == (408, "a delivery's body may take 0.05 seconds")
    assert intake.lengths == []


async def test_dripping_does_not_prolong_a_bodys_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.1)
    async with connected(port) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(HEAD + b"content-length: 1000000\r\n\r\n")
        reply = asyncio.create_task(reader.readuntil(b"\r\n"))
        while not reply.done():
            writer.write(b"d")
            await asyncio.wait([reply], timeout=0.01)
        assert (await reply).split()[1] == b"408"


def test_the_limits_are_those_that_are_promised() -> None:
    assert (webhooks.BODY_SECONDS, webhooks.DRAIN_SECONDS, webhooks.DRAIN_BYTES) == (30, 10, 64 * 2**20)
