"""The courier: each alert until its notifier takes it, whatever a notifier answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from crossdock.alerts import post
from crossdock.config.telling import Telling
from crossdock.courier import AT_ONCE, LONGEST_RETRY, Courier
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

    def telling(self, name: str) -> Telling:
        return Telling()

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


@dataclass
class Hanging:
    """Stands for the connections: `hangs` takes nothing until `free` is set, every other one at once."""

    free: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[str] = field(default_factory=list)
    begun: int = 0

    def telling(self, name: str) -> Telling:
        return Telling(group="off")

    def notifier(self, name: str) -> Any:
        @dataclass
        class One:
            async def notify(_, alert: Alert) -> None:  # noqa: N805 - `self` is the outer one
                if name == "hangs":
                    self.begun += 1
                    await self.free.wait()
                self.told.append(f"{alert.id}@{name}")

        return One()


@pytest.fixture
async def hanging(journal: SqliteJournal) -> AsyncIterator[tuple[Courier, Hanging]]:
    connections: Any = Hanging()
    sender = Courier(journal, connections, RuntimeMetrics("0"), lambda: NOW)
    yield sender, connections
    connections.free.set()
    await sender.stop()


async def drained(sender: Courier) -> None:
    """Take up all that can be taken up now, and let what does not hang end."""
    while await sender.dispatch():
        pass
    await sender.idle(timedelta(milliseconds=50))


async def left(journal: SqliteJournal) -> list[str]:
    """What is not delivered, a day later."""
    return [stored.id for stored in await journal.due_alerts(NOW + timedelta(days=1), hold=timedelta(), limit=100)]


async def test_a_notifier_that_hangs_delays_no_other(journal: SqliteJournal, hanging: tuple[Courier, Hanging]) -> None:
    sender, connections = hanging
    await post(journal, alert("a"), ("hangs", "good"), NOW)
    await drained(sender)
    assert connections.told == ["a@good"]
    await post(journal, alert("b"), ("hangs", "good"), NOW)
    await drained(sender)
    assert connections.told == ["a@good", "b@good"]
    connections.free.set()
    await sender.round()
    assert sorted(connections.told) == ["a@good", "a@hangs", "b@good", "b@hangs"]
    assert await left(journal) == []


async def test_a_long_backlog_of_one_notifier_is_taken_up_by_and_by_and_delays_no_other(
    journal: SqliteJournal, hanging: tuple[Courier, Hanging]
) -> None:
    sender, connections = hanging
    for number in range(3 * AT_ONCE):
        await post(journal, alert(f"a{number}"), ("hangs",), NOW - timedelta(minutes=1))
    await post(journal, alert("b"), ("good",), NOW)
    await drained(sender)
    assert connections.told == ["b@good"]
    assert connections.begun == AT_ONCE
    connections.free.set()
    for _ in range(3):
        await sender.round()
    assert len(connections.told) == 3 * AT_ONCE + 1
    assert await left(journal) == []


async def test_a_clock_that_jumps_during_a_delivery_does_not_repeat_it(journal: SqliteJournal) -> None:
    now, connections = NOW, Hanging()
    sender = Courier(journal, cast(Any, connections), RuntimeMetrics("0"), lambda: now)
    await post(journal, alert("a"), ("hangs",), NOW)
    await drained(sender)
    now += timedelta(hours=1)
    await drained(sender)
    connections.free.set()
    await sender.round()
    assert connections.told == ["a@hangs"]
    assert connections.begun == 1
    assert await left(journal) == []


async def test_a_delivery_that_does_not_finish_at_a_stop_is_tried_again(
    journal: SqliteJournal, hanging: tuple[Courier, Hanging], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock.courier.PARTING", timedelta(milliseconds=50))
    sender, connections = hanging
    await post(journal, alert("a"), ("hangs",), NOW)
    await drained(sender)
    await sender.stop()
    assert connections.told == []
    assert await left(journal) == ["a@hangs"]


async def test_a_delivery_in_hand_is_finished_at_a_stop(
    journal: SqliteJournal, hanging: tuple[Courier, Hanging]
) -> None:
    sender, connections = hanging
    await post(journal, alert("a"), ("hangs",), NOW)
    await drained(sender)
    asyncio.get_running_loop().call_later(0.05, connections.free.set)
    await sender.stop()
    assert connections.told == ["a@hangs"]
    assert await left(journal) == []
