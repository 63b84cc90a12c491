"""One simulated company over real HTTP, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConfig, QuickBooksConnection
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import Context
from crossdock_sdk.testing import serve


class Clock:
    """An instant that only a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(clock: Clock) -> QuickBooksSimulator:
    simulator = QuickBooksSimulator(clock=clock)
    simulator.seed()
    return simulator


@pytest.fixture
async def url(books: QuickBooksSimulator) -> AsyncIterator[str]:
    async with serve(books) as address:
        yield address


@pytest.fixture
async def connect(clock: Clock) -> AsyncIterator[Callable[..., QuickBooksConnection]]:
    """Make a connection of the routing file's keys, as the runtime does; closed at the end."""
    made: list[QuickBooksConnection] = []

    def connect(settings: dict[str, Any], **context: Any) -> QuickBooksConnection:
        keys = {k: v for k, v in settings.items() if k != "connector"}
        known = Context("books", now=clock, **context)
        made.append(QuickBooksConnection(QuickBooksConfig.model_validate(keys), known))
        return made[-1]

    yield connect
    for each in made:
        await each.close()


@pytest.fixture
def connection(
    books: QuickBooksSimulator, url: str, connect: Callable[..., QuickBooksConnection]
) -> QuickBooksConnection:
    return connect(books.settings(url))
