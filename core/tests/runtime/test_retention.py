"""When retention looks, in what steps it takes, and what stays of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.config.models import Retention
from crossdock.journal.base import JournalError, NewEvent, NewRun, RunUpdate
from crossdock.journal.sqlite import SqliteJournal
from crossdock.remains import remains
from crossdock.retention import BATCH, EVERY, FIRST, Keeper
from crossdock.state import Run, fold
from scripted import leg

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Place:
    """A journal with a keeper, and a clock that only a test moves."""

    journal: SqliteJournal
    at: datetime = START
    slept: list[float] = field(default_factory=list)
    events: int = 0
    policy: Retention = field(default_factory=lambda: Retention(payloads=10 * DAY, runs=100 * DAY))

    def now(self) -> datetime:
        return self.at

    def keeper(self) -> Keeper:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        return Keeper(self.journal, lambda: self.policy, self.now, sleep=sleep)

    async def ended(self, count: int = 1) -> None:
        for _ in range(count):
            self.events += 1
            event = NewEvent(f"e{self.events}", "deal.won", f"k{self.events}", {"deal": "x"}, received_at=self.at)
            await self.journal.accept("crm", [(event, [NewRun(f"r{self.events}", "f", f"k{self.events}", "p")])])
        for run in await self.journal.claim("me", count, self.at, DAY):
            await self.journal.checkpoint(run.claim, [], RunUpdate("succeeded", ended=True), None)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    journal = SqliteJournal(tmp_path / "c.db", redact=str, now=lambda: place.at)
    place = Place(journal)
    async with journal:
        await journal.store_plan("p", "f", {})
        yield place


async def test_it_looks_first_a_while_after_the_start_and_then_every_hour(place: Place) -> None:
    await place.ended()
    place.at += 11 * DAY
    keeper = place.keeper()
    await keeper.look()
    assert (await place.journal.run("r1")).emptied_at is None  # type: ignore[union-attr]
    place.at += FIRST
    await keeper.look()
    assert (await place.journal.run("r1")).emptied_at == place.at  # type: ignore[union-attr]
    await place.ended()
    place.policy = Retention(payloads=timedelta(0), runs=timedelta(0))
    place.at += EVERY - timedelta(seconds=1)
    await keeper.look()
    assert await place.journal.run("r2") is not None
    place.at += timedelta(seconds=1)
    await keeper.look()
    assert [await place.journal.run(run) for run in ("r1", "r2")] == [None, None]


async def test_a_round_goes_in_small_steps_until_nothing_is_left(place: Place) -> None:
    await place.ended(3 * BATCH)
    place.at += 101 * DAY
    before = place.journal.commits
    pruned = await place.keeper().round()
    assert (pruned.payloads, pruned.runs, pruned.events) == (3 * BATCH, 3 * BATCH, 3 * BATCH)
    # Three batches of each kind of run, and after each a breath for who waits behind it.
    assert len(place.slept) >= 6
    assert place.journal.commits - before >= len(place.slept)


async def test_an_event_is_known_for_a_month_however_soon_its_run_goes(place: Place) -> None:
    place.policy = Retention(payloads=timedelta(0), runs=timedelta(0))
    await place.ended()
    place.at += 29 * DAY
    assert (await place.keeper().round()).runs == 1
    event = NewEvent("e1", "deal.won", "k1", {})
    assert (await place.journal.accept("crm", [(event, [])])).duplicates == 1
    place.at += 2 * DAY
    assert (await place.keeper().round()).events == 1
    assert (await place.journal.accept("crm", [(event, [])])).duplicates == 0


async def test_a_journal_that_fails_is_said_and_tried_again(place: Place, caplog: Any) -> None:
    place.at += 11 * DAY
    keeper = place.keeper()
    place.at += FIRST
    journal: Any = place.journal
    journal.empty, empty = _failing, journal.empty
    await keeper.look()
    assert [r.message for r in caplog.records] == [
        "retention: the disk is full; the next try is at 2026-03-12T13:01:00+00:00"
    ]
    journal.empty = empty
    await place.ended()
    place.at += 12 * DAY
    await keeper.look()
    assert (await place.journal.run("r1")).emptied_at is not None  # type: ignore[union-attr]


async def _failing(*_: Any) -> int:
    raise JournalError("the disk is full")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ({}, "succeeded"),
        ({"key2.create.before": "rejected"}, "rolled_back"),
        ({"key2.create.before": "rejected", "key.create.undo.before": "rejected"}, "dead"),
        ({"hydrate": "rejected"}, "dead"),
    ],
)
async def test_a_run_folds_to_the_same_without_its_payload(house: Any, vendor: Any, script: Any, status: str) -> None:
    from crossdock_sdk import RejectedError

    for what in script:
        vendor.script[what].append(RejectedError("no: Acme-Payload"))
    vendor.deal = {"title": "Acme-Payload"}
    async with house({"a": leg("key.create"), "b": leg("key2.create", ref="{{ a.id }}")}) as h:
        run = await h.win()
        row = await h.rests(run)
        assert row.status == status
        steps = await h.app.journal.steps(run)
        whole = await h.state(run)
        h.app.now = lambda: datetime.now(UTC) + 31 * DAY
        await Keeper(h.app.journal, Retention, h.app.now).round()
        emptied = await h.state(run)
        assert "Acme-Payload" not in str(await h.app.journal.history(run))
        assert "Acme-Payload" not in str(emptied)
    assert (emptied.ended, emptied.steps, set(emptied.legs)) == (whole.ended, whole.steps, set(whole.legs))
    for name, state in whole.legs.items():
        left = emptied.leg(name)
        same = ("phase", "generation", "do", "account", "doubt", "undoing", "unseen", "amiss")
        assert [getattr(left, one) for one in same] == [getattr(state, one) for one in same]
        assert (left.receipt or {}).get("id") == (state.receipt or {}).get("id")
    assert [step.seq for step in steps] == list(range(1, whole.steps + 1))


def test_what_is_left_of_a_checkpoint_is_left_whole() -> None:
    data = {"key": "k", "input": {"a": 1}, "receipt": None, "error": {"kind": "auth", "message": "x", "detail": "y"}}
    once = remains(data)
    assert once == {"key": "k", "receipt": None, "error": {"kind": "auth", "message": "removed by retention"}}
    assert remains(once) == once
    assert fold(Run(id="r", root="r"), []).steps == 0
