from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConfig, SalesforceConnection
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_sdk import Context, WebhookReply, WebhookRequest
from crossdock_sdk.testing import serve
from crossdock_sdk.testing.simulator import json_response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Connect = Callable[..., Awaitable[SalesforceConnection]]


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


class Fake:
    """A server that gives a token, and for every path the same answer every time; it notes what it was asked.

    An answer is a body (status 200), a `Response`, or a list of these: one per call, the last one for good.
    """

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers: dict[str, Any] = {"POST /services/oauth2/token": {"access_token": "token-of-a-test"}} | answers
        self.asked: list[tuple[str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "DELETE"])])

    async def _answer(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        self.asked.append((request.method, request.url.path + query, await request.body()))
        answer = self.answers.get(f"{request.method} {request.url.path}")
        if isinstance(answer, list) and answer and isinstance(answer[0], (Response, dict)):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            return json_response([{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}], 404)
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
    """`await connect(settings, **context)`: a connection of the routing file's keys, closed at the end."""

    async def connected(settings: dict[str, Any], **context: Any) -> SalesforceConnection:
        keys = {name: value for name, value in settings.items() if name != "connector"}
        config = SalesforceConfig.model_validate(keys)
        connection = SalesforceConnection(config, Context("crm", now=clock, **context))
        stack.push_async_callback(connection.close)
        return connection

    return connected


@pytest.fixture
async def served(clock: Clock, stack: AsyncExitStack) -> tuple[SalesforceSimulator, str]:
    """A seeded simulator and its URL."""
    simulator = SalesforceSimulator(clock=clock, delays=(0.01, 0.01))
    simulator.seed()
    url = await stack.enter_async_context(serve(simulator))
    stack.push_async_callback(simulator.close)
    return simulator, url


@pytest.fixture
def simulator(served: tuple[SalesforceSimulator, str]) -> SalesforceSimulator:
    return served[0]


@pytest.fixture
async def connection(served: tuple[SalesforceSimulator, str], connect: Connect) -> SalesforceConnection:
    """A connection to the simulator."""
    simulator, url = served
    return await connect(simulator.settings(url))


@pytest.fixture
def deal(simulator: SalesforceSimulator) -> str:
    """The id of the seeded opportunity."""
    return str(simulator.org.live("Opportunity")[0]["Id"])


@pytest.fixture
async def fake(stack: AsyncExitStack, connect: Connect) -> Callable[..., Awaitable[tuple[Fake, SalesforceConnection]]]:
    """`server, connection = await fake({"GET /services/data/v66.0/query": {...}})`."""

    async def started(answers: dict[str, Any], **settings: Any) -> tuple[Fake, SalesforceConnection]:
        server = Fake(answers)
        url = await stack.enter_async_context(serve(server.app))
        known = {"base_url": url, "client_id": "app", "client_secret": "secret-of-a-test"}
        return server, await connect(known | settings)

    return started


class Listener:
    """A webhook endpoint: keeps what it got; `answer` is what it says."""

    def __init__(self, answer: Callable[[WebhookRequest], WebhookReply | None]) -> None:
        self.requests: list[WebhookRequest] = []
        self.answer = answer
        self.app = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        told = WebhookRequest("POST", "/hook", dict(request.headers), await request.body(), dict(request.query_params))
        self.requests.append(told)
        reply = self.answer(told) or WebhookReply()
        return Response(reply.body, reply.status, dict(reply.headers))


@pytest.fixture
def listen() -> type[Listener]:
    return Listener
