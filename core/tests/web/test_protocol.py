"""Over real sockets, with the time limit cut to what a test can wait for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from crossdock.cli.listening import _server
from crossdock.web.protocol import LimitedProtocol

LIMIT = LimitedProtocol.head_limit
PATIENCE = 10
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Connect = Callable[[], Any]


@dataclass
class App:
    """Answers each request with the number of bytes in its body, `slow` ones when `go` is set."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.seen.append("disconnect")
                return
            size += len(message["body"])
            more = message["more_body"]
        if scope["path"] == "/slow":
            await self.go.wait()
        body = b"%d bytes" % size
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> tuple[int, bytes]:
        """One reply: its status and body."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Everything up to the server's end of the connection; fails if it stays open."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def quick() -> type[LimitedProtocol]:
    class Quick(LimitedProtocol):
        head_seconds = 0.1

    return Quick


@contextlib.asynccontextmanager
async def running(app: App, protocol: type[asyncio.Protocol]) -> AsyncIterator[Connect]:
    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            up.set()

    up = asyncio.Event()
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, ws="none", timeout_keep_alive=60)
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await up.wait()
        port = listener.getsockname()[1]

        @contextlib.asynccontextmanager
        async def connect() -> AsyncIterator[Client]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                yield Client(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        try:
            yield connect
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def connect(app: App) -> AsyncIterator[Connect]:
    async with running(app, LimitedProtocol) as connect:
        yield connect


@pytest.fixture
async def hurried(app: App, quick: type[LimitedProtocol]) -> AsyncIterator[Connect]:
    async with running(app, quick) as connect:
        yield connect


def head_of(size: int, path: str = "/") -> bytes:
    """A whole request head of exactly so many bytes."""
    frame = f"GET {path} HTTP/1.1\r\nhost: x\r\nlong: ".encode()
    return frame + b"a" * (size - len(frame) - 4) + b"\r\n\r\n"


def test_serve_runs_on_it() -> None:
    config = _server(lambda: None, lambda: None).config
    config.load()
    assert config.http_protocol_class is LimitedProtocol
    assert (LimitedProtocol.head_limit, LimitedProtocol.head_seconds) == (65_536, 10)


async def test_a_head_of_the_limit_is_taken(connect: Connect) -> None:
    async with connect() as client:
        await client.send(head_of(LIMIT))
        assert await client.reply() == (200, b"0 bytes")


async def test_a_head_over_the_limit_is_answered_431_and_closed(connect: Connect, app: App) -> None:
    async with connect() as client:
        await client.send(head_of(LIMIT + 1))
        status, body = await client.reply()
        assert (status, b"65536 bytes" in body) == (431, True)
        assert await client.rest() == b""
    assert app.seen == []


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nlong: ", b"GET / HTTP/1.1\r\n", b""])
async def test_no_part_of_a_head_grows_without_end(connect: Connect, app: App, begin: bytes) -> None:
    filler = b"\r\n" if not begin else b"a: b\r\n" if begin.endswith(b"1\r\n") else b"a"
    async with connect() as client:
        await client.send(begin)
        for _ in range(40):
            await client.send(filler * (8192 // len(filler)))
        assert (await client.reply())[0] == 431
        assert await client.rest() == b""
    assert app.seen == []


async def test_a_body_does_not_count(connect: Connect) -> None:
    async with connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (5 * LIMIT) + b"b" * 5 * LIMIT)
        assert await client.reply() == (200, b"%d bytes" % (5 * LIMIT))


async def test_the_framing_of_many_chunks_does_not_add_up(connect: Connect) -> None:
    async with connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        await client.send(b"1\r\nb\r\n" * LIMIT + b"0\r\n\r\n")
        assert await client.reply() == (200, b"%d bytes" % LIMIT)


async def test_a_trailer_without_end_closes(connect: Connect, app: App) -> None:
    async with connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nlong: ")
        with contextlib.suppress(ConnectionError):
            await client.send(b"a" * 5 * LIMIT)
            assert await client.rest() == b""
    await until(lambda: app.seen == ["/", "disconnect"])


async def test_each_request_of_a_connection_starts_anew(connect: Connect) -> None:
    async with connect() as client:
        for _ in range(4):
            await client.send(head_of(LIMIT * 3 // 4))
            assert await client.reply() == (200, b"0 bytes")
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert await client.reply() == (200, b"3 bytes")
        await client.send(head_of(LIMIT + 1))
        assert (await client.reply())[0] == 431


async def test_pipelined_requests_start_anew(connect: Connect) -> None:
    async with connect() as client:
        await client.send(head_of(LIMIT * 3 // 4) * 6)
        assert [await client.reply() for _ in range(6)] == [(200, b"0 bytes")] * 6


async def test_a_head_too_large_is_refused_after_the_reply_before_it(
    connect: Connect, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect() as client:
        await client.send(GET.replace(b"/ ", b"/slow ") + GET)
        await client.send(head_of(3 * LIMIT))
        await until(lambda: "is refused" in caplog.text)
        app.go.set()
        assert [(await client.reply())[0] for _ in range(3)] == [200, 200, 431]
        assert await client.rest() == b""
    assert app.seen == ["/slow", "/"]


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n", GET[:-2], GET + GET[:-2], GET + b"GET"])
async def test_a_head_that_is_not_completed_in_time_is_closed(hurried: Connect, sent: bytes) -> None:
    async with hurried() as client:
        await client.send(sent)
        if sent.startswith(GET):
            assert await client.reply() == (200, b"0 bytes")
        assert await client.rest() == b""


async def test_dripping_does_not_prolong_the_time(hurried: Connect) -> None:
    async with hurried() as client:
        await client.send(b"GET / HTTP/1.1\r\nlong: ")
        dripping = asyncio.create_task(drip(client))
        # What is dripped after the end resets the connection, which ends the reading, too.
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        dripping.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await dripping


async def drip(client: Client) -> None:
    while True:
        await client.send(b"a")
        await asyncio.sleep(0.01)


async def test_a_complete_head_stops_the_time(hurried: Connect, app: App) -> None:
    async with hurried() as slow, hurried() as idle, hurried() as silent:
        await slow.send(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na")
        await idle.send(GET)
        assert await idle.reply() == (200, b"0 bytes")
        await until(lambda: "/slow" in app.seen)
        await silent.send(b"GET")
        assert await silent.rest() == b""
        await idle.send(GET)
        assert await idle.reply() == (200, b"0 bytes")
        await slow.send(b"bc")
        app.go.set()
        assert await slow.reply() == (200, b"3 bytes")


async def test_the_time_of_a_head_behind_a_slow_request_runs_on_after_its_reply(app: App) -> None:
    chances: asyncio.Queue[None] = asyncio.Queue()

    class Watched(LimitedProtocol):
        head_seconds = 0.1

        def _expired(self) -> None:
            super()._expired()
            chances.put_nowait(None)

    async with running(app, Watched) as connect, connect() as client:
        await client.send(GET.replace(b"/ ", b"/slow ") + GET + GET[:-2])
        async with asyncio.timeout(PATIENCE):
            await chances.get()
        await client.send(b"\r\n" + GET[:-2])
        app.go.set()
        assert [await client.reply() for _ in range(3)] == [(200, b"0 bytes")] * 3
        assert await client.rest() == b""


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not done():  # noqa: ASYNC110  # a log and a list have no event
            await asyncio.sleep(0.005)
