"""Every way in which an exchange can fail, over real sockets, and what each says about a write."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from crossdock_sdk import AmbiguousError, ApiClient, ConnectorError, Context, TransientError
from crossdock_sdk.http import wire
from crossdock_sdk.http.adapter import OverHttpx
from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.transport import never_sent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Act = Callable[["Scripted", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WRITES = ("POST", "PUT", "PATCH", "DELETE")
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Scripted:
    """A TCP server that does `act` with each connection and counts the requests that it read to their end."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = asyncio.Event()
        self.arrivals: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
        self.requests.append(head + await reader.readexactly(length))
        self.arrivals.put_nowait(head)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.act(self, reader, writer)
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            try:
                yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            finally:
                self.over.set()
        # Two turns let handlers that waited for `over` close their sockets.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def close_after_request(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)


async def reset_after_request(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def silent(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    await server.over.wait()


def replying(raw: bytes) -> Act:
    async def act(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(raw)
        await writer.drain()

    return act


def coded(coding: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    return head + body


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def gzip_of_zeros(megabytes: int) -> bytes:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    million = bytes(1_000_000)
    return b"".join(compressor.compress(million) for _ in range(megabytes)) + compressor.flush()


async def dripping(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not server.over.is_set() and not writer.is_closing():
        writer.write(b"{")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.over.wait(), 0.05)


async def close_second(server: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keeps the connection after the first reply, reads one more request from it and closes."""
    await server.read(reader)
    writer.write(OK)
    await writer.drain()
    await server.read(reader)


@contextlib.asynccontextmanager
async def client(url: str, patience: float = 5.0) -> AsyncIterator[ApiClient]:
    api = ApiClient(url, Context("crm"), timeout=patience)
    try:
        yield api
    finally:
        await api.close()


async def failure(api: ApiClient, method: str) -> ConnectorError:
    body = {"a": 1} if method in ("POST", "PUT", "PATCH") else None
    with pytest.raises(ConnectorError) as caught:
        await api.request(method, "/deals/812", json=body)
    return caught.value


def unchained(error: ConnectorError) -> bool:
    return error.__cause__ is None and error.__context__ is None


# --- never sent: transient for every method -----------------------------------------------------------------


def refused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("method", [*WRITES, "GET"])
@pytest.mark.parametrize("where", ["refused", "no such name"])
async def test_a_request_that_found_no_server_is_transient(method: str, where: str) -> None:
    url = refused_url() if where == "refused" else "http://nonexistent.invalid"
    async with client(url) as api:
        error = await failure(api, method)
    assert type(error) is TransientError
    assert unchained(error)
    assert "not sent" in error.message


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_tls_with_a_server_that_speaks_none_is_transient(method: str) -> None:
    server = Scripted(replying(b"HTTP/1.1 400 Bad Request\r\n\r\n"))

    async def plain(s: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    server.act = plain
    async with server.running() as url, client(url.replace("http:", "https:")) as api:
        error = await failure(api, method)
    assert type(error) is TransientError
    assert server.connections == 1
    assert server.requests == []


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_tls_with_an_untrusted_certificate_is_transient(method: str, tmp_path: Path) -> None:
    server = Scripted(replying(OK))
    async with server.running(self_signed(tmp_path)) as url, client(url) as api:
        error = await failure(api, method)
    assert type(error) is TransientError
    assert server.requests == []


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_handshake_that_is_cut_is_transient(method: str) -> None:
    async def hang_up(s: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    server = Scripted(hang_up)
    async with server.running() as url, client(url.replace("http:", "https:")) as api:
        error = await failure(api, method)
    assert type(error) is TransientError


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_connection_that_is_never_accepted_is_transient(method: str) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # fills the backlog, so that the kernel leaves the next connection unanswered
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        async with client(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0.3) as api:
            error = await failure(api, method)
    assert type(error) is TransientError
    assert "ConnectionTimeoutError" in error.message


# --- the connection stood: ambiguous for a write, transient for a read ---------------------------------------

LIMIT = 200_000
OVER = b" " * (LIMIT - 1) + b"{}"

STOOD: dict[str, Any] = {
    "read, then closed": close_after_request,
    "read, then reset": reset_after_request,
    "read, then silent": silent,
    "drips for ever": dripping,
    "body cut short": replying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
    "chunks cut short": replying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n"),
    "head cut short": replying(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "not HTTP": replying(b"220 smtp.acme.example ESMTP\r\n"),
    "gzip that is none": replying(coded("gzip", b"{}")),
    "over the limit": replying(coded("identity", OVER)),
    "chunks over the limit": replying(chunked(OVER)),
    "over the limit without a length": replying(b"HTTP/1.1 200 OK\r\n\r\n" + OVER),
    "gzip that inflates over the limit": replying(coded("gzip", gzip.compress(OVER))),
    "deflate that inflates over the limit": replying(coded("deflate", zlib.compress(OVER))),
    "raw deflate that inflates over the limit": replying(coded("deflate", raw_deflate(OVER))),
}
LOST = {"read, then closed", "read, then reset", "head cut short"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on replies that a test can exceed in no time."""
    monkeypatch.setattr(wire, "LARGEST_REPLY", LIMIT)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", STOOD)
@pytest.mark.parametrize("method", WRITES)
async def test_a_write_whose_reply_is_lost_is_ambiguous_and_sent_once(method: str, case: str) -> None:
    server = Scripted(STOOD[case])
    async with server.running() as url, client(url, patience=0.2) as api:
        error = await failure(api, method)
    assert type(error) is AmbiguousError
    assert unchained(error)
    assert "may have taken effect" in error.message
    assert len(server.requests) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", STOOD)
async def test_a_read_whose_reply_is_lost_is_transient(case: str) -> None:
    server = Scripted(STOOD[case])
    async with server.running() as url, client(url, patience=0.2) as api:
        error = await failure(api, "GET")
    assert type(error) is TransientError
    assert unchained(error)
    assert len(server.requests) == (2 if case in LOST else 1)


async def test_a_get_that_is_declared_a_write_is_treated_as_one() -> None:
    server = Scripted(close_after_request)
    async with server.running() as url, client(url) as api:
        with pytest.raises(AmbiguousError):
            await api.get("/fire", write=True)
    assert len(server.requests) == 1


async def test_a_post_that_is_declared_a_read_is_treated_as_one() -> None:
    server = Scripted(close_after_request)
    async with server.running() as url, client(url) as api:
        with pytest.raises(TransientError):
            await api.post("/query", content="select * from Item", write=False)
    assert len(server.requests) == 2


# --- pooled connections --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WRITES)
async def test_a_write_on_a_pooled_connection_that_is_then_closed_is_ambiguous_and_sent_once(
    method: str,
) -> None:
    server = Scripted(close_second)
    async with server.running() as url, client(url) as api:
        await api.get("/first")
        error = await failure(api, method)
    assert type(error) is AmbiguousError
    assert server.connections == 1
    assert len(server.requests) == 2


async def test_a_read_on_a_pooled_connection_that_is_then_closed_is_sent_again_on_a_new_one() -> None:
    server = Scripted(close_second)
    async with server.running() as url, client(url) as api:
        await api.get("/first")
        reply = await api.get("/second")
    assert reply.status == 200
    assert [r.split()[1] for r in server.requests] == [b"/first", b"/second", b"/second"]
    assert server.connections == 2


async def test_a_connection_that_was_seen_to_close_while_idle_is_not_used_for_a_write() -> None:
    closed = asyncio.Event()

    async def once(s: Scripted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await s.read(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = Scripted(once)
    async with server.running() as url, client(url) as api:
        await api.get("/first")
        await closed.wait()
        # The end of stream is in the client's socket; let its event loop read it.
        for _ in range(5):
            await asyncio.sleep(0)
        assert (await api.post("/second", json={})).status == 200
    assert server.connections == 2


# --- the rest of the transport's promises --------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        coded("gzip", gzip.compress(b'{"total": 30.30}')),
        coded("X-GZIP", gzip.compress(b'{"total": 30.30}')),
        coded("deflate", zlib.compress(b'{"total": 30.30}')),
        coded("deflate", raw_deflate(b'{"total": 30.30}')),
        coded("identity", b'{"total": 30.30}'),
        chunked(b'{"total": 30.30}'),
    ],
    ids=["gzip", "x-gzip", "deflate", "raw deflate", "identity", "chunks"],
)
async def test_replies_are_decoded(reply: bytes) -> None:
    async with Scripted(replying(reply)).running() as url, client(url) as api:
        assert str((await api.get("/")).json()["total"]) == "30.30"


async def test_an_empty_reply_that_calls_itself_gzip_is_empty() -> None:
    async with Scripted(replying(coded("gzip", b""))).running() as url, client(url) as api:
        assert (await api.post("/", json={})).content == b""


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("framed", [partial(coded, "identity"), chunked, lambda b: coded("gzip", gzip.compress(b))])
async def test_a_reply_of_the_limit_is_taken_and_one_over_it_names_the_limit(framed: Callable[[bytes], bytes]) -> None:
    server = Scripted(replying(framed(OVER[1:])))
    async with server.running() as url, client(url) as api:
        assert (await api.get("/")).json() == {}
        server.act = replying(framed(OVER))
        assert "a reply may have 200000 bytes" in (await failure(api, "GET")).message


async def test_a_small_reply_that_would_inflate_without_end_is_not_inflated() -> None:
    async with Scripted(replying(coded("gzip", gzip_of_zeros(400)))).running() as url, client(url) as api:
        tracemalloc.start()
        try:
            error = await failure(api, "POST")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert type(error) is AmbiguousError
    assert peak < 4 * wire.LARGEST_REPLY == 128 * 1024 * 1024


async def test_cookies_are_not_kept() -> None:
    server = Scripted(replying(OK.replace(b"content-type", b"set-cookie: session=s3cret; Path=/\r\ncontent-type")))
    async with server.running() as url, client(url) as api:
        await api.get("/a")
        await api.get("/b")
    assert all(b"cookie" not in request.lower() for request in server.requests)


async def test_proxy_settings_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, refused_url())
    server = Scripted(replying(OK))
    async with server.running() as url, client(url) as api:
        assert (await api.get("/")).status == 200


async def test_a_closed_client_sends_nothing() -> None:
    server = Scripted(replying(OK))
    async with server.running() as url:
        async with client(url) as api:
            await api.get("/")
        with pytest.raises(TransientError, match="closed"):
            await api.post("/", json={})
    assert len(server.requests) == 1


async def test_a_cancelled_request_frees_its_place_and_its_socket() -> None:
    server = Scripted(silent)
    async with server.running() as url, client(url) as api:
        tasks = [asyncio.create_task(api.get("/")) for _ in range(10)]
        for _ in tasks:
            await server.arrivals.get()
        for task in tasks:
            task.cancel()
        assert all(isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*tasks, return_exceptions=True))
        server.act = replying(OK)
        assert (await api.get("/")).status == 200


@pytest.mark.parametrize(
    ("error", "proven"),
    [
        (httpx.ConnectError("refused"), True),
        (httpx.ConnectTimeout("no answer"), True),
        (httpx.PoolTimeout("no connection free"), True),
        (httpx.ReadError("reset"), False),
        (httpx.RemoteProtocolError("disconnected"), False),
        (TimeoutError(), False),
        (RuntimeError("unheard of"), False),
    ],
)
async def test_httpx_own_transport_is_believed_about_the_connection(error: Exception, proven: bool) -> None:
    assert never_sent(await met_over_httpx(error)) is proven


async def test_a_connect_class_with_a_lost_connection_as_its_cause_proves_nothing() -> None:
    told = httpx.ConnectTimeout("Server disconnected")
    told.__cause__ = aiohttp.ServerDisconnectedError()
    assert not never_sent(await met_over_httpx(told))


async def met_over_httpx(error: Exception) -> Exception:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    request = Request("GET", "http://crm.example/", {}, None, False, "http://crm.example/")
    with pytest.raises(type(error) if not isinstance(error, httpx.TransportError) else Exception) as caught:
        await OverHttpx(httpx.MockTransport(fail)).exchange(request, 1, 1)
    return caught.value


async def test_a_foreign_exception_of_a_replaced_transport_never_gets_out() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise KeyError("anything")

    context = Context("crm", transport=lambda: httpx.MockTransport(broken))
    api = ApiClient("http://crm.example", context)
    with pytest.raises(AmbiguousError):
        await api.post("/deals", json={})
    with pytest.raises(TransientError):
        await api.get("/deals")
    await api.close()


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
