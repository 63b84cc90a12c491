"""The simulator base and its faults, over real HTTP, as a connector's client meets them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from crossdock_sdk import AmbiguousError, ApiClient, ConnectorError, Context, TransientError
from crossdock_sdk.testing import Fault, Simulator, abortable, serve
from crossdock_sdk.testing.simulator import json_request, json_response
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route


class Acme(Simulator):
    connector = "acme"

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Any] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/notes", self.create, methods=["POST"]),
            Route("/notes", self.list, methods=["GET"]),
            Route("/notes", self.clear, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        self.notes.append(await json_request(request))
        return json_response({"id": str(len(self.notes))}, 201, {"x-request-id": "r1"})

    async def list(self, request: Request) -> Response:
        return json_response(self.notes)

    async def clear(self, request: Request) -> Response:
        self.notes.clear()
        return Response(status_code=204)

    def state(self) -> dict[str, Any]:
        return {"notes": self.notes}

    def seed(self) -> None:
        self.notes.append({"text": "seeded"})

    def settings(self, url: str) -> dict[str, Any]:
        return {"connector": "acme", "base_url": url}


@contextlib.asynccontextmanager
async def playing(*faults: Fault) -> AsyncIterator[tuple[Acme, ApiClient]]:
    simulator = Acme()
    simulator.faults.extend(faults)
    async with serve(simulator) as url:
        api = ApiClient(url, Context("acme"), timeout=5)
        try:
            yield simulator, api
        finally:
            await api.close()
            await simulator.close()


async def failure(api: ApiClient, method: str = "POST") -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        (await api.request(method, "/notes", json={"text": "x"} if method == "POST" else None)).json()
    return caught.value


async def test_requests_are_kept_with_body_query_and_status_but_without_headers() -> None:
    async with playing() as (simulator, api):
        await api.post("/notes", json={"text": "x"}, params={"a": "b"}, headers={"authorization": "Bearer secret"})
        await api.get("/notes")
        with pytest.raises(ConnectorError):
            await api.get("/nowhere")
    wanted = {"connector": "acme", "method": "POST", "path": "/notes", "query": "a=b", "status": 201}
    assert simulator.requests[0] == wanted | {"body": '{"text":"x"}'}
    assert [r["status"] for r in simulator.requests] == [201, 200, 404]


async def test_drop_after_applies_the_request_and_leaves_the_client_in_doubt() -> None:
    async with playing(Fault(kind="drop_after")) as (simulator, api):
        assert type(await failure(api)) is AmbiguousError
        assert simulator.notes == [{"text": "x"}]
        await api.post("/notes", json={"text": "y"})
    kept = [(r.get("fault"), r["status"], r["body"]) for r in simulator.requests]
    assert kept == [("drop_after", 201, '{"text":"x"}'), (None, 201, '{"text":"y"}')]


async def test_drop_before_applies_nothing_and_leaves_the_client_in_doubt() -> None:
    async with playing(Fault(kind="drop_before")) as (simulator, api):
        assert type(await failure(api)) is AmbiguousError
    assert simulator.notes == []
    assert [(r["fault"], r["status"], r["body"]) for r in simulator.requests] == [("drop_before", None, '{"text":"x"}')]


@pytest.mark.parametrize(("kind", "status"), [("truncate", 201), ("garbage", 200)])
async def test_truncate_and_garbage_apply_the_request_and_spoil_the_reply(kind: Any, status: int) -> None:
    async with playing(Fault(kind=kind)) as (simulator, api):
        assert type(await failure(api)) is AmbiguousError
        assert simulator.notes == [{"text": "x"}]
    assert simulator.requests[0]["status"] == status
    async with playing(Fault(kind=kind, method="get")) as (_, api):
        assert type(await failure(api, "GET")) is TransientError


async def test_truncate_loses_a_reply_without_a_body_whole() -> None:
    async with playing(Fault(kind="truncate")) as (simulator, api):
        simulator.seed()
        assert type(await failure(api, "DELETE")) is AmbiguousError
        assert simulator.notes == []


async def test_status_answers_at_once_with_the_given_reply() -> None:
    fault = Fault(kind="status", status=429, headers={"Retry-After": "9"}, body={"code": "busy"})
    async with playing(fault) as (simulator, api):
        error = await failure(api)
    assert type(error) is TransientError
    assert error.retry_after == 9
    assert '{"code":"busy"}' in error.message
    assert simulator.notes == []
    assert [(r["fault"], r["status"], r["body"]) for r in simulator.requests] == [("status", 429, '{"text":"x"}')]


async def test_latency_answers_late_and_truly() -> None:
    async with playing(Fault(kind="latency", seconds=0.05)) as (_, api):
        before = asyncio.get_running_loop().time()
        assert (await api.post("/notes", json={})).status == 201
        assert asyncio.get_running_loop().time() - before >= 0.05


async def test_a_fault_strikes_only_what_matches_and_as_often_as_said() -> None:
    fault = Fault(kind="status", connector="ac*", method="post", path="/no*", after=1, times=2)
    async with playing(fault, Fault(kind="status", connector="other", times=None)) as (simulator, api):
        statuses = []
        for _ in range(5):
            await api.get("/notes")
            with contextlib.suppress(ConnectorError):
                await api.post("/notes", json={})
            statuses.append(simulator.requests[-1]["status"])
    assert statuses == [201, 503, 503, 201, 201]
    assert (fault.seen, fault.struck) == (5, 2)


async def test_a_fault_without_a_limit_strikes_always() -> None:
    async with playing(Fault(kind="status", times=None)) as (_, api):
        assert {(await failure(api)).status for _ in range(3)} == {503}


async def test_a_client_that_hangs_up_while_it_asks_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.Event()

    class Slow(Acme):
        async def create(self, request: Request) -> Response:
            started.set()
            return await super().create(request)

    simulator = Slow()
    async with serve(Starlette(routes=[Mount("/acme", simulator)])) as url:
        address = httpx.URL(url)
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b'POST /acme/notes HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{"text":')
        await started.wait()
        writer.close()
        await writer.wait_closed()
    assert simulator.notes == []
    assert [(r["body"], r["status"]) for r in simulator.requests] == [('{"text":', 499)]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_fault_that_is_misspelt_is_refused() -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate({"kind": "drop_after", "conector": "acme"})


async def test_faults_close_connections_below_a_mount_and_middleware_too() -> None:
    simulator = Acme()
    simulator.faults.append(Fault(kind="drop_after", path="/notes"))
    app = Starlette(routes=[Mount("/acme", simulator)], middleware=[Middleware(GZipMiddleware)])
    async with serve(app) as url:
        api = ApiClient(url + "/acme", Context("acme"))
        assert type(await failure(api)) is AmbiguousError
        await api.close()
    assert simulator.notes == [{"text": "x"}]
    assert simulator.requests[0]["path"] == "/notes"


async def test_a_server_that_cannot_cut_a_connection_says_so() -> None:
    simulator = Acme()
    simulator.faults.append(Fault(kind="drop_after"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(abortable(simulator)), base_url="http://a") as client:
        with pytest.raises(RuntimeError, match="uvicorn"):
            await client.post("/notes", json={})


# --- deliveries ----------------------------------------------------------------------------------------------


class Receiver:
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[bytes, str, str]] = []
        self.called = asyncio.Event()
        self.app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])

    async def hook(self, request: Request) -> Response:
        headers = request.headers
        self.called.set()
        self.got.append((await request.body(), headers.get("x-signature", ""), headers.get("authorization", "")))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)


async def test_a_delivery_is_repeated_until_it_is_taken() -> None:
    simulator, receiver = Acme(), Receiver(500, 404, 204)
    async with serve(receiver.app) as url:
        simulator.deliver(
            url + "/hook",
            {"n": 1},
            headers={"x-signature": "s"},
            auth=("hook", "pass-word"),
            delays=(0, 0, 0),
            retried=lambda payload, attempt: payload | {"attempt": attempt},
        )
        await simulator.settle()
    assert [body for body, _, _ in receiver.got] == [b'{"n":1}', b'{"n":1,"attempt":2}', b'{"n":1,"attempt":3}']
    assert {(s, a) for _, s, a in receiver.got} == {("s", "Basic aG9vazpwYXNzLXdvcmQ=")}
    assert list(simulator.accepted) == [(url + "/hook", {"n": 1, "attempt": 3})]


async def test_a_vendor_says_which_statuses_it_takes_for_a_yes() -> None:
    simulator, receiver = Acme(), Receiver(204, 201, 200, 200)
    async with serve(receiver.app) as url:
        simulator.deliver(url + "/hook", {}, delays=(0, 0, 0), acknowledged=lambda status: status == 200)
        await simulator.settle()
    assert len(receiver.got) == 3


async def test_a_delivery_to_nobody_is_given_up_after_its_last_try() -> None:
    simulator = Acme()
    simulator.deliver("http://127.0.0.1:1/hook", b"raw", delays=(0,))
    await simulator.settle()
    assert list(simulator.accepted) == []


async def test_each_attempt_to_deliver_is_told_of() -> None:
    simulator, receiver, noted = Acme(), Receiver(503, 200), list[tuple[int, int | None]]()
    async with serve(receiver.app) as url:
        simulator.deliver(url + "/hook", {}, delays=(0, 0), noted=lambda n, status, text: noted.append((n, status)))
        await simulator.settle()
    simulator.deliver("http://127.0.0.1:1/hook", {}, delays=(), noted=lambda n, status, text: noted.append((n, status)))
    await simulator.settle()
    assert noted == [(1, 503), (2, 200), (1, None)]


async def test_closing_stops_deliveries_that_wait() -> None:
    simulator, receiver = Acme(), Receiver(500)
    async with serve(receiver.app) as url:
        simulator.deliver(url + "/hook", {}, delays=(600,))
        await receiver.called.wait()
        await simulator.close()
        await simulator.settle()
    assert len(receiver.got) == 1


async def test_an_event_that_the_simulator_does_not_know_is_named() -> None:
    with pytest.raises(LookupError, match=r"acme .* 'won'"):
        await Acme().trigger("won", {})


# --- serve ---------------------------------------------------------------------------------------------------


async def test_serving_leaves_signal_handlers_alone_and_frees_the_port() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    async with serve(Acme()) as url:
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    port = int(url.rpartition(":")[2])
    async with serve(Acme(), port=port) as again:
        assert again == url
        with pytest.raises(OSError, match="in use"):
            async with serve(Acme(), port=port):
                pass


async def test_an_application_that_does_not_start_is_an_error() -> None:
    @contextlib.asynccontextmanager
    async def failing(app: Starlette) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(RuntimeError, match="failed to start"):
        async with serve(Starlette(lifespan=failing)):
            pass


async def test_a_request_that_never_ends_does_not_hold_up_the_end() -> None:
    started = asyncio.Event()

    async def forever(request: Request) -> Response:
        started.set()
        await asyncio.Event().wait()
        return Response()

    async with httpx.AsyncClient() as client:
        async with serve(Starlette(routes=[Route("/", forever)])) as url:
            call = asyncio.create_task(client.get(url))
            await started.wait()
        with pytest.raises(httpx.HTTPError):
            (await call).raise_for_status()
