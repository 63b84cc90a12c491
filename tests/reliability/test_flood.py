"""A thousand runs that fail alike, told over real HTTP to a Slack that takes one message a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.alerts import Links, post
from crossdock.config.telling import Telling
from crossdock.courier import Courier
from crossdock.journal.sqlite import SqliteJournal
from crossdock.metrics import RuntimeMetrics
from crossdock.retelling import Retelling
from crossdock.testing.tables import read_tables
from crossdock_sdk import Alert, Context
from crossdock_sdk.testing import Fault, serve
from crossdock_slack import SlackConfig, SlackConnection, SlackNotifier
from crossdock_slack.simulator import SlackSimulator

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = 1000


@dataclass
class Channel:
    """A channel, a journal, and couriers over both; time passes as the test says."""

    journal: SqliteJournal
    slack: SlackSimulator
    notifier: SlackNotifier
    now: datetime = START

    def telling(self, name: str) -> Telling:
        return Telling()

    def notifier_of(self, name: str) -> SlackNotifier:
        return self.notifier

    def courier(self) -> Courier:
        connections: Any = type("Connections", (), {"telling": self.telling, "notifier": self.notifier_of})
        retelling = Retelling(self.journal, Links("https://ops.example"))
        return Courier(self.journal, connections, RuntimeMetrics("0"), lambda: self.now, retelling)

    async def passes(self, took: timedelta, courier: Courier) -> None:
        until = self.now + took
        while self.now < until:
            while await courier.round():
                pass
            self.now += timedelta(seconds=1)

    @property
    def undelivered(self) -> int:
        return sum(not alert.delivered for alert in read_tables(self.journal.path).alerts)

    def asked(self, method: str) -> int:
        return sum(request["path"] == f"/api/{method}" for request in self.slack.requests)


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[Channel]:
    made: list[Channel] = []

    def now() -> datetime:
        return made[0].now if made else START

    slack = SlackSimulator(paced=True, requests_per_minute=50, clock=now)
    slack.seed()
    async with (
        serve(slack) as url,
        SqliteJournal(tmp_path / "crossdock.db", redact=str, now=now) as journal,
    ):
        settings = {name: value for name, value in slack.settings(url).items() if name != "connector"}
        connection = SlackConnection(SlackConfig(**settings), Context("alerts", now=now))
        made.append(Channel(journal, slack, SlackNotifier(connection)))
        try:
            yield made[0]
        finally:
            await connection.close()


def failed(number: int, message: str) -> Alert:
    return Alert(
        id=f"r{number}:rolled_back:4",
        title=f"f for {number} rolled back: nothing of it remains",
        at=START,
        flow="f",
        run=f"r{number}",
        status="rolled_back",
        key=str(number),
        leg="invoice",
        error={"kind": "rejected", "message": message},
        payload={"lines": [{"sku": f"NOPE-{number}"}]},
        thread=f"r{number}",
    )


async def test_a_thousand_alike_are_one_message_with_few_changes_and_none_is_lost(channel: Channel) -> None:
    for number in range(RUNS):
        await post(channel.journal, failed(number, f"no item has the SKU NOPE-{number}"), ("alerts",), START)
    for number in range(RUNS, RUNS + 4):
        about = f"something else: {'abcd'[number - RUNS]}"
        await post(channel.journal, failed(number, about), ("alerts",), START)
    # A reply that is lost, and a process that ends in the middle of it.
    channel.slack.faults.append(Fault(kind="drop_after", path="/api/chat.update"))
    await channel.passes(timedelta(seconds=20), channel.courier())
    await channel.passes(timedelta(minutes=3), channel.courier())
    assert channel.undelivered == 0
    first, *others = channel.slack.state()["messages"]
    assert len(others) == 4
    assert f"{RUNS} runs of f alike" in first["text"]
    assert "All of them" in str(first["blocks"])
    assert channel.asked("chat.update") <= 8
    assert any(request["status"] == 429 for request in channel.slack.requests)
