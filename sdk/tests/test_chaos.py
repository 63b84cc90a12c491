"""Injected faults end in the very errors that the same failures end in over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from crossdock_sdk import AmbiguousError, ApiClient, ConnectorError, Context, RejectedError, jsonio
from crossdock_sdk.testing import KINDS, FaultTransport, Refusal, Simulator, shuffled_deliveries
from crossdock_sdk.testing.inprocess import InProcess
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE = 0.15
"""Seconds until a silent vendor is given up; one that answers has long enough for the busiest machine."""
SILENT = {"timeout", "timeout_applied", "timeout_lagging", "connect_timeout", "drip"}
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n"
APPLIED = {name for name in KINDS if name.endswith("_applied")} | {
    "drip",
    "multi_status",
    "not_json",
    "reset_in_body",
    "503_lagging",
    "timeout_lagging",
    "truncated",
}
ONLY_WRITES = {"503_lagging", "conflict", "stale", "timeout_lagging"}
Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Acme(Simulator):
    connector = "acme"
    lags = True

    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.notes: list[Any] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/notes", self.add, methods=["POST"]), Route("/notes", self.search, methods=["GET"])]

    async def add(self, request: Request) -> Response:
        self.notes.append(await json_request(request))
        self.made(str(len(self.notes)))
        return json_response({"id": "1"})

    async def search(self, request: Request) -> Response:
        return json_response({"id": "1", "found": sum(self.searchable(str(n + 1)) for n in range(len(self.notes)))})

    def state(self) -> dict[str, Any]:
        return {"notes": self.notes}

    def seed(self) -> None: ...

    def settings(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    def refusals(self) -> Mapping[str, Refusal]:
        return {"stale": Refusal(400, {"error": "stale"}, method="POST")}


def told(reply: bytes) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return act


def answer(status: int, body: bytes, *headers: str) -> Act:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n" + "".join(f"{h}\r\n" for h in headers) + "\r\n"
    return told(head.encode() + body)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b'{"id"')
    await writer.drain()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"{")
            await writer.drain()
            await asyncio.sleep(PATIENCE / 5)


def acted(kind: str, wish: str | None) -> Act:
    """What a server does that fails in this way; `wish` is the Retry-After that chaos has drawn."""
    bare = kind.removesuffix("_applied").removesuffix("_lagging")
    if bare.isdigit():
        return answer(int(bare), b"<html><body></body></html>", "content-type: text/html")
    if kind.startswith("throttled"):
        return answer(429, b"{}", *([f"retry-after: {wish}"] if wish is not None else []))
    return {
        "timeout": silent,
        "reset": reset,
        "reset_in_body": reset_in_body,
        "drip": drip,
        "truncated": answer(200, b'{"id"', "content-type: application/json"),
        "not_json": answer(200, b"<html></html>", "content-type: text/html"),
        "multi_status": answer(207, b"[]"),
        "error_200": answer(200, b'{"error": "no"}'),
        "unauthorized": answer(401, b"{}"),
        "conflict": answer(409, b"{}"),
        "stale": answer(400, b"{}"),
    }[bare]


@contextlib.asynccontextmanager
async def failing(kind: str, wish: str | None, requests: list[str]) -> AsyncIterator[str]:
    """The address of a real server that fails so, or that is not there."""

    handlers: list[asyncio.Task[Any] | None] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if kind == "tls":
                await reader.read(100)
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            else:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                requests.append(kind)
                await acted(kind, wish)(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    if kind == "no_name":
        yield "http://nonexistent.invalid"
    elif kind in ("refused", "connect_timeout"):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            if kind == "connect_timeout":
                listener.listen(0)
                for _ in range(4):  # fills the backlog, so that the kernel leaves the next connection unanswered
                    filler = stack.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex(listener.getsockname())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server:
            yield f"http{'s' * (kind == 'tls')}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await asyncio.gather(*filter(None, handlers))


def errors(reply: Any) -> ConnectorError | None:
    return reply.unusable("error in a 200") if reply.status == 200 and b'"error"' in reply.content else None


async def ending(kind: str, url: str, method: str, transport: httpx.AsyncBaseTransport | None) -> dict[str, Any]:
    """How a call ends, as far as anybody decides something by it."""
    lent = Context("acme", now=lambda: NOW, transport=None if transport is None else lambda: transport)
    api = ApiClient(url, lent, timeout=PATIENCE if kind in SILENT else 10, errors=errors)
    try:
        with pytest.raises(ConnectorError) as caught:
            (await api.request(method, "/notes", json={} if method == "POST" else None)).require("id")
    finally:
        await api.close()
    error = caught.value
    wire = re.search(r"\((\w*Error)\b", error.message)
    seen = {"error": type(error), "status": error.status, "unanswered": error.unanswered, "wire": wire and wire[1]}
    return seen | {"retry_after": error.retry_after}


CASES = [(kind, method) for kind in KINDS for method in ("POST", "GET") if method == "POST" or kind not in ONLY_WRITES]


@pytest.mark.parametrize(("kind", "method"), CASES)
async def test_every_kind_ends_as_it_does_over_a_real_socket(kind: str, method: str) -> None:
    acme, requests = Acme(), list[str]()
    chaos = FaultTransport(acme, seed=7, rate=1.0, kinds=[kind])
    injected = await ending(kind, "http://acme.test", method, chaos)
    detail = chaos.plan()[0].detail
    wish = detail.removeprefix("Retry-After: ") if detail.startswith("Retry-After") else None
    async with failing(kind, wish, requests) as url:
        real = await ending(kind, url, method, None)
    if real["wire"] == "ServerDisconnectedError":  # which of the two a reset is, is the kernel's timing
        real["wire"] = "ClientOSError"
    assert injected == real
    not_sent = kind in ("refused", "no_name", "tls", "connect_timeout")
    assert len(requests) == (0 if not_sent else len(chaos.plan()))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_vendor_acts_where_the_kind_says_so_and_only_there(kind: str) -> None:
    acme = Acme()
    await ending(kind, "http://acme.test", "POST", FaultTransport(acme, seed=7, rate=1.0, kinds=[kind]))
    assert len(acme.notes) == (1 if kind in APPLIED else 0)


async def played(seed: int, **more: Any) -> tuple[Acme, FaultTransport]:
    acme = Acme()
    chaos = FaultTransport(acme, seed=seed, **more)
    api = ApiClient("http://acme.test", Context("acme", now=lambda: NOW, transport=lambda: chaos))
    for number in range(60):
        with contextlib.suppress(ConnectorError):
            await api.request("POST" if number % 2 else "GET", "/notes", json={"n": number} if number % 2 else None)
    await api.close()
    return acme, chaos


async def test_a_seed_gives_the_same_faults_every_time_and_another_one_others() -> None:
    kinds = [kind for kind in KINDS if not kind.startswith("throttled")]  # which hold the next requests back
    (one, first), (_, again), (_, other) = [await played(s, rate=0.5, kinds=kinds) for s in (3, 3, 4)]
    assert first.plan() == again.plan() != other.plan()
    assert 15 < len(first.plan()) < 50
    struck = first.plan()[0]
    assert str(struck) == f"#{struck.number} {struck.kind} {struck.method} /notes"
    assert len(one.notes) == 30 - sum(s.method == "POST" and s.kind not in APPLIED for s in first.plan())


async def test_writes_fail_at_a_rate_of_their_own() -> None:
    _, chaos = await played(1, rate=0.0, write_rate=1.0, kinds=["502"])
    assert [struck.method for struck in chaos.plan()] == ["POST"] * 30


async def test_only_the_wanted_kinds_strike_and_nothing_once_it_is_calm() -> None:
    _, chaos = await played(1, rate=1.0, kinds=["502", "reset"])
    assert {struck.kind for struck in chaos.plan()} == {"502", "reset"}
    count = len(chaos.plan())
    chaos.calm()
    reply = await chaos.handle_async_request(httpx.Request("GET", "http://acme.test/notes"))
    assert (reply.status_code, len(chaos.plan())) == (200, count)


async def test_spared_paths_are_never_struck() -> None:
    acme, chaos = await played(1, rate=1.0, spare=["/no*"])
    assert chaos.plan() == ()
    assert len(acme.notes) == 30


def test_a_misspelt_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind of fault: 505"):
        FaultTransport(Acme(), seed=1, kinds=["505"])


async def test_a_kind_that_only_some_vendors_know_is_drawn_only_there() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await json_response({"id": "1"})(scope, receive, send)

    chaos = FaultTransport(plain, seed=1, rate=1.0, kinds=["stale", "timeout_lagging", "503_lagging"])
    api = ApiClient("http://acme.test", Context("acme", transport=lambda: chaos))
    assert (await api.post("/notes", json={})).require("id") == "1"
    assert chaos.plan() == ()


async def test_searches_that_lag_show_what_was_made_a_little_later() -> None:
    acme = Acme()
    chaos = FaultTransport(acme, seed=1, rate=1.0, kinds=["timeout_lagging"])
    api = ApiClient("http://acme.test", Context("acme", transport=lambda: chaos))
    with pytest.raises(AmbiguousError):
        await api.post("/notes", json={})
    chaos.calm()
    await api.post("/notes", json={})
    assert (await api.get("/notes")).require("found") == 1
    acme.clock = lambda: NOW + timedelta(seconds=3)
    assert (await api.get("/notes")).require("found") == 2


async def test_the_vendors_own_words_are_used_where_they_fit() -> None:
    chaos = FaultTransport(Acme(), seed=1, rate=1.0, kinds=["stale"])
    api = ApiClient("http://acme.test", Context("acme", transport=lambda: chaos))
    with pytest.raises(RejectedError, match="stale"):
        await api.post("/notes", json={})


def test_a_refusal_answers_what_its_globs_match() -> None:
    refusal = Refusal(400, path="/v3/*", content='*"Token"*')
    matching = httpx.Request("POST", "http://a.test/v3/x", content=b'{"Token":1}')
    assert refusal.answers(matching)
    assert not refusal.answers(httpx.Request("POST", "http://a.test/v4/x", content=b'{"Token":1}'))
    assert not refusal.answers(httpx.Request("POST", "http://a.test/v3/x", content=b"{}"))


async def test_a_defect_of_the_application_is_a_500_and_kept() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("row")

    transport = InProcess(broken)
    reply = await transport.handle_async_request(httpx.Request("GET", "http://a.test/"))
    assert reply.status_code == 500
    assert [type(defect) for defect in transport.defects] == [KeyError]


async def test_an_application_in_process_sees_the_whole_request() -> None:
    seen: dict[str, Any] = {}

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        seen.update(body=await json_request(request), query=dict(request.query_params), kind=request.headers["x-kind"])
        seen["path"] = request.url.path
        await json_response({})(scope, receive, send)

    body = jsonio.dumps({"a": 1})
    asked = httpx.Request("PUT", "http://a.test/b%20c?q=1&q2=ü", headers={"X-Kind": "k"}, content=body)
    await InProcess(echo).handle_async_request(asked)
    assert seen == {"body": {"a": 1}, "query": {"q": "1", "q2": "ü"}, "kind": "k", "path": "/b c"}


def test_deliveries_come_out_of_order_and_more_than_once_and_none_is_lost() -> None:
    events = list(range(50))
    shuffled = shuffled_deliveries(events, 5)
    assert shuffled == shuffled_deliveries(events, 5) != shuffled_deliveries(events, 6)
    counts = Counter(shuffled)
    assert set(counts) == set(events)
    assert 55 < len(shuffled) < 90
    assert list(dict.fromkeys(shuffled)) != events
    near = shuffled_deliveries(events, 5, duplicates=0, reach=3)
    assert sorted(near) == events != near
    assert all(abs(place - event) <= 3 for place, event in enumerate(near))
