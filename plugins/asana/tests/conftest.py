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
from crossdock_sdk import Context
from crossdock_sdk.testing import Fault, serve

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
        self.connection = AsanaConnection(self.config, self.context)
        self.create = TaskCreate(self.connection)
        self.update = TaskUpdateAction(self.connection)
        self.complete = TaskComplete(self.connection)

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return list(self.simulator.state()["tasks"])

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
        simulator = AsanaSimulator(requests_per_minute=requests_per_minute, clock=clock)
        simulator.seed()
        async with serve(simulator) as url:
            board = Board(simulator, url, clock, oauth)
            try:
                yield board
            finally:
                await board.connection.close()

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
