from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_sdk import Alert, Context, LegReport
from crossdock_sdk.testing import Fault, serve
from crossdock_slack import SlackConfig, SlackConnection, SlackNotifier
from crossdock_slack.simulator import SlackSimulator

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Channel:
    """A served simulator and a notifier that points at it."""

    def __init__(self, simulator: SlackSimulator, url: str, webhook: bool, **changed: Any) -> None:
        self.simulator, self.url = simulator, url
        settings = simulator.webhook_settings(url) if webhook else simulator.settings(url)
        settings.pop("connector")
        self.config = SlackConfig(**settings | changed)
        self.context = Context(name="alerts", now=lambda: NOW)
        self.connection = SlackConnection(self.config, self.context)
        self.notifier = SlackNotifier(self.connection)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.simulator.state()["messages"])

    @property
    def files(self) -> list[dict[str, Any]]:
        return list(self.simulator.state()["files"])

    def fault(self, kind: Any, path: str = "*", **kwargs: Any) -> None:
        self.simulator.faults.append(Fault(kind=kind, path=path, **kwargs))


Open = Callable[..., contextlib.AbstractAsyncContextManager[Channel]]


@pytest.fixture
def open_channel() -> Open:
    @contextlib.asynccontextmanager
    async def opened(
        *, webhook: bool = False, requests_per_minute: int | None = None, **changed: Any
    ) -> AsyncIterator[Channel]:
        simulator = SlackSimulator(requests_per_minute=requests_per_minute, clock=lambda: NOW)
        simulator.seed()
        async with serve(simulator) as url:
            channel = Channel(simulator, url, webhook, **changed)
            try:
                yield channel
            finally:
                await channel.connection.close()

    return opened


@pytest.fixture(params=["bot", "webhook"])
async def channel(request: pytest.FixtureRequest, open_channel: Open) -> AsyncIterator[Channel]:
    """Each test runs with both ways to post."""
    async with open_channel(webhook=request.param == "webhook") as opened:
        yield opened


@pytest.fixture
async def bot(open_channel: Open) -> AsyncIterator[Channel]:
    async with open_channel() as opened:
        yield opened


@pytest.fixture
async def hook(open_channel: Open) -> AsyncIterator[Channel]:
    async with open_channel(webhook=True) as opened:
        yield opened


@pytest.fixture
def alert() -> Alert:
    return Alert(
        id="alert-1",
        title="Acme Ltd: invoice was refused",
        at=NOW,
        flow="deal-to-invoice",
        run="run-7",
        status="rolled_back",
        key="812",
        leg="invoice",
        action="invoice.create",
        connection="books",
        error={
            "kind": "rejected",
            "message": "Item <NOPE> not found & refused",
            "code": "2500",
            "field": "lines[0].sku",
        },
        payload={"customer_id": "58", "lines": [{"sku": "NOPE", "unit_price": Decimal("10.10")}]},
        legs=(
            LegReport(leg="customer", state="undone", id="58", url="https://books.example.com/customer/58"),
            LegReport(leg="invoice", state="failed", note="never made"),
            LegReport(leg="task", state="not reached"),
        ),
        advice="Make the product NOPE in the books, then replay.",
        links={"Run": "https://ops.example.com/runs/run-7", "Deal": "https://acme.example.com/deal/812?a=1&b=2"},
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
