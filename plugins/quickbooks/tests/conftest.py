"""One simulated company over real HTTP, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConfig, QuickBooksConnection
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import Context, Event, PollPage, PollRequest, WebhookRequest
from crossdock_sdk.testing import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


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
    simulator = QuickBooksSimulator(clock=clock, delays=(0.01, 0.01))
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


@pytest.fixture
def source(connection: QuickBooksConnection) -> QuickBooksSource:
    return QuickBooksSource(connection)


@pytest.fixture
def invoice(books: QuickBooksSimulator) -> Callable[..., str]:
    """`invoice(120)`: the id of a new invoice over that amount; it is told with the next delivery."""

    def made(total: Decimal | int = 120) -> str:
        sold = {
            "DetailType": "SalesItemLineDetail",
            "Amount": total,
            "SalesItemLineDetail": {"ItemRef": {"value": "3"}},
        }
        return str(books.sales.create_invoice({"CustomerRef": {"value": "1"}, "Line": [sold]})["Id"])

    return made


class Listener:
    """A webhook endpoint: keeps what it got, and answers with `statuses` first, then with 200."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []
        self.statuses: list[int] = []
        self.app = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.requests.append(WebhookRequest("POST", "/hook", dict(request.headers), await request.body()))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    def events(self, source: QuickBooksSource) -> list[Event]:
        """What the source makes of all deliveries, each verified."""
        for request in self.requests:
            source.verify(request)
        return [event for request in self.requests for event in source.parse(request)]


@pytest.fixture
async def listener(books: QuickBooksSimulator, url: str) -> AsyncIterator[Listener]:
    """A listener that the simulator tells of everything; what was made before is not told."""
    async with AsyncExitStack() as stack:
        heard = Listener()
        address = await stack.enter_async_context(serve(heard.app))
        books.webhooks.pending.clear()
        books.subscribe(f"{address}/hook", books.settings(url))
        stack.push_async_callback(books.close)
        yield heard


EVERY = frozenset({"invoice.paid", "invoice.updated", "invoice.voided", "payment.created"})
BEGINNING = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def poll(source: QuickBooksSource) -> Callable[..., Any]:
    """`page = await poll()`; each goes on where the one before ended."""
    last: list[PollPage] = []

    async def polled(
        events: frozenset[str] = EVERY, *, since: datetime = BEGINNING, overlap: timedelta = timedelta(minutes=10)
    ) -> PollPage:
        cursor = last[-1].cursor if last else None
        last.append(await source.poll(PollRequest(cursor, since, overlap, events)))
        return last[-1]

    return polled
