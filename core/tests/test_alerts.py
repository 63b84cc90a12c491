"""The courier: each alert until its notifier takes it, whatever a notifier answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.alerts import LONGEST_RETRY, Courier, post
from crossdock.journal.base import JournalError
from crossdock.journal.sqlite import SqliteJournal
from crossdock.metrics import RuntimeMetrics
from crossdock_sdk import Alert, ThrottledError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Notifiers:
    """Stands for the connections: `bad` fails with `failure`, every other one takes what comes."""

    failure: BaseException
    told: list[str] = field(default_factory=list)
    asked: str = ""

    def notifier(self, name: str) -> Notifiers:
        self.asked = name
        return self

    async def notify(self, alert: Alert) -> None:
        if self.asked == "bad":
            raise self.failure
        self.told.append(alert.id)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "crossdock.db", redact=str, now=lambda: NOW)
    await journal.open()
    yield journal
    await journal.close()


def alert(name: str) -> Alert:
    return Alert(id=name, title="t", at=NOW, flow="f", run="r", status="dead", key="k", advice="a")


def courier(journal: SqliteJournal, failure: BaseException) -> tuple[Courier, Notifiers]:
    connections: Any = Notifiers(failure)
    return Courier(journal, connections, RuntimeMetrics("0"), lambda: NOW), connections


def throttled(seconds: float) -> ThrottledError:
    return ThrottledError("later", retry_after=seconds)


@pytest.mark.parametrize("seconds", [31_536_000, 10**15, float("inf"), float("nan"), -(10**15)])
async def test_an_absurd_wish_to_wait_neither_buries_an_alert_nor_ends_the_round(
    journal: SqliteJournal, seconds: float
) -> None:
    sender, others = courier(journal, throttled(seconds))
    await post(journal, alert("a"), ("bad",), NOW)
    await post(journal, alert("b"), ("good",), NOW)
    assert await sender.round() == 2
    assert others.told == ["b"]
    later = await journal.due_alerts(NOW + LONGEST_RETRY, hold=timedelta(seconds=1))
    assert [(stored.id, stored.tries) for stored in later] == [("a@bad", 1)]


async def test_a_reasonable_wish_to_wait_is_granted(journal: SqliteJournal) -> None:
    sender, _ = courier(journal, throttled(120))
    await post(journal, alert("a"), ("bad",), NOW)
    await sender.round()
    for seconds, number in ((119, 0), (120, 1)):
        due = await journal.due_alerts(NOW + timedelta(seconds=seconds), hold=timedelta(seconds=1))
        assert len(due) == number


async def test_a_delivery_that_cannot_be_marked_lets_the_others_finish_and_is_told(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = []

    async def broken(alert_id: str, *, retry_at: datetime | None) -> None:
        if alert_id == "a@bad":
            raise JournalError("disk full")
        for _ in range(3):
            await asyncio.sleep(0)
        marked.append(alert_id)

    monkeypatch.setattr(journal, "mark_alert", broken)
    sender, _ = courier(journal, throttled(1))
    await post(journal, alert("a"), ("bad",), NOW)
    await post(journal, alert("b"), ("good",), NOW)
    with pytest.raises(JournalError, match="disk full"):
        await sender.round()
    assert marked == ["b@good"]


async def test_a_notifier_whose_own_task_was_cancelled_does_not_end_the_round(journal: SqliteJournal) -> None:
    sender, _ = courier(journal, asyncio.CancelledError())
    await post(journal, alert("a"), ("bad",), NOW)
    assert await sender.round() == 1
