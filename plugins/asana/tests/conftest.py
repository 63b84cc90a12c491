from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from crossdock_asana import AsanaConfig, AsanaConnection
from crossdock_asana.simulator import AsanaSimulator
from crossdock_asana.sink import TaskComplete, TaskCreate, TaskUpdateAction
from crossdock_asana.source import AsanaSource
from crossdock_sdk import Context, Event, VerificationError, WebhookRequest
from crossdock_sdk.testing import Fault, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY = "0f8b2d1c-6f57-4b39-9c5a-3f0d5a8a9b01"


class Clock:
    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def forward(self, **kwargs: float) -> None:
        self.instant += timedelta(**kwargs)


class Board:
    """A served simulator, the connection to it, and plain HTTP as the person beside us."""

    def __init__(self, simulator: AsanaSimulator, url: str, clock: Clock, oauth: bool) -> None:
        self.simulator, self.url, self.clock = simulator, url, clock
        settings = simulator.oauth_settings(url) if oauth else simulator.settings(url)
        settings.pop("connector")
        self.config = AsanaConfig(**settings, requests_per_minute=100_000)
        self.context = Context(name="board", now=clock)
        self.others: list[AsanaConnection] = []
        self.connection = AsanaConnection(self.config, self.context)
        self.create = TaskCreate(self.connection)
        self.update = TaskUpdateAction(self.connection)
        self.complete = TaskComplete(self.connection)
        self.source = AsanaSource(self.connection)

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return list(self.simulator.state()["tasks"])

    async def act(self, event: str, task: str | None = None, **body: Any) -> str:
        """A person does it to the task, which is made if none is named; returns its gid."""
        if task is None:
            made = await self.simulator.trigger("task.create", {"project": "1201", "name": "Kick off"})
            task = made["task"]["gid"]
        await self.simulator.trigger(event, {"id": task} | body)
        return task

    def watching(self, *projects: str) -> AsanaSource:
        """A source on a connection of its own to other projects."""
        connection = AsanaConnection(self.config.model_copy(update={"projects": projects}), self.context)
        self.others.append(connection)
        return AsanaSource(connection)

    def fault(self, kind: Any, method: str, path: str, **kwargs: Any) -> None:
        self.simulator.faults.append(Fault(kind=kind, method=method, path=f"/api/1.0{path}", **kwargs))

    def calls(self, method: str, path: str) -> int:
        wanted = (method, f"/api/1.0{path}")
        return sum((r["method"], r["path"]) == wanted for r in self.simulator.requests)

    def by_hand(self, task: str, **data: Any) -> None:
        account = self.simulator.account
        account.update_task(account.find_task(task, None), data, None)

    async def raw(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.request(method, f"{self.url}{path}", headers=headers, **kwargs)


Open = Callable[..., contextlib.AbstractAsyncContextManager[Board]]


@pytest.fixture
def open_board() -> Open:
    @contextlib.asynccontextmanager
    async def opened(*, oauth: bool = False, requests_per_minute: int | None = None) -> AsyncIterator[Board]:
        clock = Clock()
        simulator = AsanaSimulator(requests_per_minute=requests_per_minute, delays=(0.01, 0.01), clock=clock)
        simulator.seed()
        async with serve(simulator) as url:
            board = Board(simulator, url, clock, oauth)
            try:
                yield board
            finally:
                await simulator.close()
                for connection in (board.connection, *board.others):
                    await connection.close()

    return opened


@pytest.fixture(params=["access token", "oauth"])
async def board(request: pytest.FixtureRequest, open_board: Open) -> AsyncIterator[Board]:
    """Each test runs with both kinds of connection."""
    async with open_board(oauth=request.param == "oauth") as opened:
        yield opened


@pytest.fixture
async def pat_board(open_board: Open) -> AsyncIterator[Board]:
    async with open_board() as opened:
        yield opened


@pytest.fixture
async def oauth_board(open_board: Open) -> AsyncIterator[Board]:
    async with open_board(oauth=True) as opened:
        yield opened


@pytest.fixture
def key() -> str:
    return KEY


class Listener:
    """The receiving end, as the runtime plays it: shakes hands if it is `expecting`, verifies, and parses.

    It refuses the first `refusals` deliveries with 503.
    """

    def __init__(self, source: AsanaSource) -> None:
        self.source = source
        self.expecting = True
        self.refusals = 0
        self.secrets: tuple[str, ...] = ()
        self.deliveries: list[WebhookRequest] = []
        self.app = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])
        self.url = ""

    @property
    def events(self) -> list[Event]:
        return [event for request in self.deliveries for event in self.source.parse(request)]

    async def _take(self, request: Request) -> Response:
        headers, body = dict(request.headers), await request.body()
        delivery = WebhookRequest("POST", "/hook", headers, body, dict(request.query_params), self.secrets)
        handshake = self.source.handshake(delivery)
        if handshake is not None:
            if not self.expecting or handshake.secret is None:
                return Response(status_code=401)
            self.secrets = (handshake.secret, *self.secrets)
            return Response(handshake.reply.body, handshake.reply.status, dict(handshake.reply.headers))
        try:
            self.source.verify(delivery)
        except VerificationError:
            return Response(status_code=401)
        if self.refusals:
            self.refusals -= 1
            return Response("busy", status_code=503)
        self.deliveries.append(delivery)
        return Response(status_code=200)


@pytest.fixture
async def listener(pat_board: Board) -> AsyncIterator[Listener]:
    """A receiving end for `pat_board`; nothing is registered yet."""
    heard = Listener(pat_board.source)
    async with serve(heard.app) as url:
        heard.url = f"{url}/hook"
        yield heard
