"""The database file: any of its operations may fail, readers may dawdle, and it does not grow for ever."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.config.models import Retention
from crossdock.journal.base import JournalError, LeaseLost, NewEvent, NewRun, RunUpdate
from crossdock.journal.sqlite import SqliteJournal
from crossdock.retention import SPARE, Keeper
from crossdock.testing import assert_nothing_lost
from faulty import FaultyDisk
from lives import ended, plan, written
from sqlite_on_vfs import journal_on

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)
PLAN = plan("invoice")
STRIDE = int(os.environ.get("CROSSDOCK_TEST_STRIDE", "17"))
"""Every so many operations one is made to fail; 1 at full size."""


class Acknowledged:
    """What callers were told is stored, over all their tries."""

    def __init__(self) -> None:
        self.events: set[str] = set()
        self.ended: set[str] = set()

    async def work(self, journal: SqliteJournal) -> None:
        """Three events, each with a run that is performed to its end. Raises `JournalError` at the first refusal."""
        for name in ("a", "b", "c"):
            run = NewRun(f"r{name}", "f", name, "p")
            await journal.accept("crm", [(NewEvent(name, "deal.won", name, {"text": name * 3000}), [run])])
            self.events.add(name)
            if name in self.ended:
                continue
            claimed = await journal.claim_run(f"r{name}", "me", AT, LEASE)
            if claimed is None:
                # An ending that was refused, as far as the store could tell, has been stored after all.
                row = await journal.run(f"r{name}")
                assert row is not None
                if row.owner is None:
                    assert row.status == "succeeded"
                    continue
                await journal.release_dead(lambda _: False)
                claimed = await journal.claim_run(f"r{name}", "me", AT, LEASE)
                assert claimed is not None
            steps = [*written("invoice", {"id": name * 500}, AT), ended("succeeded", AT)]
            with suppress(LeaseLost):
                await journal.checkpoint(claimed.claim, steps, RunUpdate("succeeded", ended=True), None)
            self.ended.add(name)


async def assert_sound(path: Path, known: Acknowledged) -> None:
    async with SqliteJournal(path, redact=str, now=lambda: AT) as journal:
        await assert_nothing_lost(journal, {}, events=[("crm", name) for name in known.events])
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    events = [row[0] for row in db.execute("SELECT id FROM events")]
    assert known.events <= set(events)
    assert len(events) == len(set(events))
    steps = dict(db.execute("SELECT key, step_count FROM runs WHERE ended_at IS NOT NULL"))
    assert known.ended <= set(steps)
    assert set(steps.values()) <= {3}
    halves = "SELECT id FROM runs WHERE step_count <> (SELECT COUNT(*) FROM steps WHERE run_no = runs.no)"
    assert db.execute(halves).fetchall() == []
    db.close()


@pytest.fixture
async def template(tmp_path: Path) -> Path:
    """A journal that has been made, opened and closed."""
    path = tmp_path / "template.db"
    async with SqliteJournal(path, redact=str, now=lambda: AT) as journal:
        await journal.store_plan("p", "f", PLAN)
    return path


async def attempted(path: Path, disk: FaultyDisk, known: Acknowledged) -> bool:
    """Open, work and close; whether all of it succeeded."""
    journal = SqliteJournal(path, redact=str, now=lambda: AT)
    try:
        await journal.open()
    except JournalError:
        return False
    try:
        await journal._stores[0].perform(lambda db: db.execute("PRAGMA wal_autocheckpoint = 8"))
        await known.work(journal)
    except (JournalError, sqlite3.Error):
        # The journal stays usable: what failed is done by who tries again, once the disk is well.
        disk.fail_at = None
        await known.work(journal)
        return False
    finally:
        with suppress(sqlite3.Error):
            await journal.close()
    return True


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
async def test_any_operation_may_fail_and_nothing_is_lost_or_doubled(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    disk = FaultyDisk()
    path = tmp_path / "c.db"
    failed = 0
    for number in range(1, 10_000, STRIDE):
        shutil.copy(template, path)
        known = Acknowledged()
        disk.count, disk.fail_at, disk.lasting = 0, number, lasting
        with monkeypatch.context() as patched:
            journal_on(disk.name, patched)
            clean = await attempted(path, disk, known)
            reached, disk.fail_at = disk.count >= number, None
            if not clean:
                failed += 1
                async with SqliteJournal(path, redact=str, now=lambda: AT) as journal:
                    await known.work(journal)
        await assert_sound(path, known)
        assert known.events == {"a", "b", "c"}
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if not reached:
            break
    assert failed > 60 / STRIDE


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path / "c.db", redact=str, now=lambda: AT, busy=timedelta(milliseconds=200)) as opened:
        await opened.store_plan("p", "f", PLAN)
        yield opened
        await assert_nothing_lost(opened, {})


async def fill(journal: SqliteJournal, names: range, size: int = 4000) -> None:
    """Runs that have ended, each with its payload."""

    async def one(number: int) -> None:
        name = f"{number:06}"
        event = NewEvent(name, "deal.won", name, {"text": "x" * size})
        await journal.accept("crm", [(event, [NewRun(f"r{name}", "f", name, "p")])])

    await asyncio.gather(*(one(number) for number in names))
    for claimed in await journal.claim("me", len(names), journal._now(), LEASE):
        steps = [*written("invoice", {"id": "1", "undo": {"text": "y" * size}}, AT), ended("succeeded", AT)]
        await journal.checkpoint(claimed.claim, steps, RunUpdate("succeeded", ended=True), None)


@contextmanager
def open_snapshot(path: Path) -> Any:
    """Another connection in the middle of reading; yields what it sees."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    seen = db.execute("SELECT COUNT(*) FROM runs").fetchone()
    yield lambda: db.execute("SELECT COUNT(*) FROM runs").fetchone() == seen
    db.close()


def wal(journal: SqliteJournal) -> int:
    return journal.path.with_name("c.db-wal").stat().st_size


async def test_a_reader_with_an_open_snapshot_holds_up_neither_the_writer_nor_retention(journal: Any) -> None:
    await fill(journal, range(20))
    with open_snapshot(journal.path) as still_sees_the_same:
        await fill(journal, range(20, 200))
        journal._now = lambda: AT + timedelta(days=400)
        keeper = Keeper(journal, Retention, journal._now)
        pruned = await keeper.round()
        assert (pruned.payloads, pruned.runs, pruned.events) == (200, 200, 200)
        assert still_sees_the_same()
        grown = wal(journal)
        assert grown > 1_000_000
    await keeper.round()
    assert wal(journal) == 0
    assert (await journal.runs()).items == ()


async def test_a_file_that_is_pruned_does_not_grow_with_the_work_it_has_seen(journal: Any) -> None:
    now = [AT]
    journal._now = lambda: now[0]
    policy = Retention(payloads=timedelta(days=1), runs=timedelta(days=2))
    keeper = Keeper(journal, lambda: policy, journal._now, sleep=_at_once)
    sizes = []
    for day in range(1, 71):
        now[0] = AT + timedelta(days=day)
        await fill(journal, range(day * 12, day * 12 + 12))
        await keeper.round()
        sizes.append(journal.path.stat().st_size + wal(journal))
    # After the month for which events are known everything comes and goes evenly; what stays is a row for each key.
    remembered = 12 * 35 * 200
    assert max(sizes[35:]) < max(sizes[:35]) * (1 + SPARE) + remembered
    assert max(sizes) < 70 * 12 * 8000 / 8


async def _at_once(_: float) -> None:
    """Nobody waits behind retention here."""


async def test_space_is_given_back(journal: Any) -> None:
    await fill(journal, range(200))
    before = journal.path.stat().st_size + wal(journal)
    journal._now = lambda: AT + timedelta(days=400)
    pruned = await Keeper(journal, Retention, journal._now).round(spare=0)
    assert pruned.bytes > 1_000_000
    assert journal.path.stat().st_size + wal(journal) < before / 5
