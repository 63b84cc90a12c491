from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConfig, PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import Context, Event, WebhookRequest, jsonio
from crossdock_sdk.testing import serve
from crossdock_sdk.testing.simulator import json_response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Answer = Any
Connect = Callable[..., Awaitable[PipedriveConnection]]


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


class Fake:
    """A server that gives the same documented body for a path every time, and notes what it was asked.

    An answer is a body (status 200), a `Response`, or a list of these: one per call, the last one for good.
    """

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "DELETE"])])

    async def _answer(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        self.asked.append((request.method, request.url.path + query, await request.body()))
        answer = self.answers.get(f"{request.method} {request.url.path}")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            return json_response({"success": False, "error": "Not found", "code": "ERR_NOT_FOUND"}, 404)
        return answer if isinstance(answer, Response) else json_response(answer)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def connect(clock: Clock, stack: AsyncExitStack) -> Connect:
    """`await connect(url, **settings)`: a connection to the server at `url`, closed at the end."""

    async def connected(url: str, **settings: Any) -> PipedriveConnection:
        given = {"api_token": "token-of-a-test", "burst": 10_000} | settings | {"base_url": url}
        given.pop("connector", None)
        connection = PipedriveConnection(PipedriveConfig.model_validate(given), Context("crm", now=clock))
        stack.push_async_callback(connection.close)
        return connection

    return connected


@pytest.fixture
async def served(clock: Clock, stack: AsyncExitStack) -> tuple[PipedriveSimulator, str]:
    """A seeded simulator and its URL."""
    simulator = PipedriveSimulator(clock=clock, delays=(0.01, 0.01))
    simulator.seed()
    url = await stack.enter_async_context(serve(simulator))
    stack.push_async_callback(simulator.close)
    return simulator, url


@pytest.fixture
def simulator(served: tuple[PipedriveSimulator, str]) -> PipedriveSimulator:
    return served[0]


@pytest.fixture
async def connection(served: tuple[PipedriveSimulator, str], connect: Connect) -> PipedriveConnection:
    """A connection to the simulator."""
    simulator, url = served
    return await connect(url, **simulator.settings(url))


@pytest.fixture
async def fake(stack: AsyncExitStack, connect: Connect) -> Callable[..., Awaitable[tuple[Fake, PipedriveConnection]]]:
    """`server, connection = await fake({"GET /api/v2/deals/1": {...}})`."""

    async def started(answers: dict[str, Answer], **settings: Any) -> tuple[Fake, PipedriveConnection]:
        server = Fake(answers)
        url = await stack.enter_async_context(serve(server.app))
        return server, await connect(url, **settings)

    return started


class Listener:
    """A webhook endpoint: keeps what it got, and refuses the first `refusals` deliveries."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []
        self.refusals = 0
        self.app = Starlette(routes=[Route("/hook", self._take, methods=["GET", "POST"])])

    async def _take(self, request: Request) -> Response:
        if request.method == "GET":
            return Response(status_code=405)
        self.requests.append(WebhookRequest("POST", "/hook", dict(request.headers), await request.body()))
        refused, self.refusals = self.refusals > 0, self.refusals - 1
        return Response(status_code=500 if refused else 200)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [jsonio.loads(request.body) for request in self.requests]

    def events(self, connection: PipedriveConnection) -> list[list[Event]]:
        """What the source makes of each delivery, once it is verified."""
        source = PipedriveSource(connection)
        for request in self.requests:
            source.verify(request)
        return [source.parse(request) for request in self.requests]


@pytest.fixture
async def listener(served: tuple[PipedriveSimulator, str], stack: AsyncExitStack) -> Listener:
    """A listener that the simulator tells of all its deals."""
    simulator, url = served
    heard = Listener()
    simulator.subscribe(await stack.enter_async_context(serve(heard.app)) + "/hook", simulator.settings(url))
    return heard
