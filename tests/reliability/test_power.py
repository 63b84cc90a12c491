"""The power goes at any moment: what was acknowledged is there, whole, and nothing is there by half."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import NewAlert, NewEvent, NewRun, ObjectUse, RunUpdate
from crossdock.journal.sqlite import SqliteJournal
from crossdock.testing import assert_nothing_lost
from lives import ended, plan, written
from power import PoweredDisk, cuts
from sqlite_on_vfs import journal_on

CUTS = int(os.environ.get("CROSSDOCK_TEST_CUTS", "250"))
SEED = int(os.environ.get("CROSSDOCK_TEST_SEED", "20261125"))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)
PLAN = plan("customer", "invoice", notify=["x"])
ROUNDS = 12
AT_ONCE = 6


@dataclass
class Worked:
    """What was acknowledged, each with how many operations the disk had seen by then."""

    events: dict[str, int] = field(default_factory=dict)
    steps: dict[tuple[str, int], int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    tokens: dict[int, int] = field(default_factory=dict)
    pruned: dict[str, int] = field(default_factory=dict)


async def work(journal: SqliteJournal, disk: PoweredDisk) -> Worked:
    """Events, checkpoints, tokens and retention, several callers at once, so that commits are shared."""
    done = Worked()
    await journal.store_plan("p", "f", PLAN)

    async def one(round_: int, caller: int) -> None:
        name = f"{round_}-{caller}"
        event = NewEvent(name, "deal.won", name, {"deal": {"title": name * 40}})
        await journal.accept("crm", [(event, [NewRun(f"r{name}", "f", name, "p")])])
        done.events[name] = len(disk.log)
        claimed = await journal.claim_run(f"r{name}", "me", AT, LEASE)
        assert claimed is not None
        for leg in ("customer", "invoice"):
            steps = written(leg, {"id": name * 30}, AT)
            used = [ObjectUse("books", leg, name, leg)]
            count = await journal.checkpoint(claimed.claim, steps, RunUpdate("running", objects_used=used), AT)
            done.steps[f"r{name}", count] = len(disk.log)
        update = RunUpdate("dead", ended=True, alerts=[NewAlert(f"r{name}:dead:5@x", {}, AT)])
        await journal.checkpoint(claimed.claim, [ended("dead", AT, alert=True)], update, None)
        done.ended[f"r{name}"] = len(disk.log)

    for round_ in range(ROUNDS):
        await asyncio.gather(*(one(round_, caller) for caller in range(AT_ONCE)))
        assert await journal.swap_token("books", b"x" * 200, round_)
        done.tokens[round_ + 1] = len(disk.log)
        if round_ == ROUNDS // 2:
            await journal.mark_alert("r0-0:dead:5@x", retry_at=None)
            assert await journal.empty(AT + LEASE) > 0
            assert await journal.prune(AT + LEASE) == 1
            done.pruned["r0-0"] = len(disk.log)
    return done


@pytest.fixture
async def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Any:
    """The journal's own writer on a disk that keeps a log; the parameter is a pragma to spoil it with, or None."""
    disk = PoweredDisk()
    folder = tmp_path / "written"
    folder.mkdir()
    with monkeypatch.context() as patched:
        journal_on(disk.name, patched)
        journal = SqliteJournal(folder / "c.db", redact=str, now=lambda: AT)
        await journal.open()
    begun = len(disk.log)

    def small_checkpoints(db: Any) -> None:
        db.execute("PRAGMA wal_autocheckpoint = 40")
        if request.param:
            db.execute(f"PRAGMA {request.param}")

    await journal._stores[0].perform(small_checkpoints)
    done = await work(journal, disk)
    await journal.close()
    return disk, done, begun


def found_after(files: dict[str, bytes], folder: Path) -> sqlite3.Connection:
    """The database as whoever starts after the cut opens it."""
    for old in folder.iterdir():
        old.unlink()
    for name, body in files.items():
        (folder / name).write_bytes(body)
    db = sqlite3.connect(folder / "c.db")
    db.execute("PRAGMA foreign_keys = ON")
    return db


def assert_whole(db: sqlite3.Connection) -> None:
    """Nothing is damaged, and what is written together is there together."""
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    for told, halves in {
        "an event without its run": "SELECT id FROM events WHERE emptied_at IS NULL"
        " AND seq NOT IN (SELECT event_seq FROM runs)",
        "steps that are not counted": "SELECT id FROM runs"
        " WHERE step_count <> (SELECT COUNT(*) FROM steps WHERE run_no = runs.no)",
        "a checkpoint without its object": "SELECT id FROM runs"
        " WHERE step_count / 2 <> (SELECT COUNT(*) FROM objects WHERE run_no = runs.no)",
        "an ending without its alert": "SELECT id FROM runs"
        " WHERE (ended_at IS NOT NULL) <> (id || ':dead:5@x' IN (SELECT id FROM alerts)) AND emptied_at IS NULL",
        "runs that are not counted": "SELECT status FROM tallies"
        " WHERE runs <> (SELECT COUNT(*) FROM runs AS r WHERE r.flow = tallies.flow AND r.status = tallies.status)",
    }.items():
        assert db.execute(halves).fetchall() == [], told


def lost(db: sqlite3.Connection, done: Worked, cut: int) -> list[Any]:
    """What had been acknowledged before the cut, and is not there."""
    events = {row[0] for row in db.execute("SELECT id FROM events")}
    steps = dict(db.execute("SELECT id, step_count FROM runs"))
    ended = {row[0] for row in db.execute("SELECT id FROM runs WHERE ended_at IS NOT NULL")}
    version = (db.execute("SELECT version FROM tokens").fetchone() or (0,))[0]
    pruned = done.pruned.keys() - steps.keys()

    def acked(what: dict[Any, int]) -> list[Any]:
        return [name for name, at in what.items() if at <= cut]

    missing: list[Any] = [name for name in acked(done.events) if name not in events]
    missing += [(run, n) for run, n in acked(done.steps) if run not in pruned and steps.get(run, 0) < n]
    missing += [run for run in acked(done.ended) if run not in pruned and run not in ended]
    missing += [f"token {n}" for n in acked(done.tokens) if version < n]
    return missing + [f"pruned {run}" for run in acked(done.pruned) if run in steps]


def moments(disk: PoweredDisk, begun: int) -> list[int]:
    rng = random.Random(SEED)
    return sorted(rng.randrange(begun, len(disk.log) + 1) for _ in range(CUTS))


@pytest.mark.parametrize("recorded", [None], indirect=True)
@pytest.mark.timeout(180 + CUTS)
async def test_what_was_acknowledged_outlives_every_cut(recorded: Any, tmp_path: Path) -> None:
    disk, done, begun = recorded
    folder = tmp_path / "found"
    folder.mkdir()
    rng = random.Random(SEED)
    acknowledged = 0
    for cut, platter in cuts(disk.log, moments(disk, begun)):
        db = found_after(platter.after_a_cut(rng), folder)
        assert_whole(db)
        assert lost(db, done, cut) == [], f"the power went at operation {cut}"
        acknowledged += sum(at <= cut for at in done.events.values())
        db.close()
    assert acknowledged > CUTS


@pytest.mark.parametrize("recorded", [None], indirect=True)
@pytest.mark.timeout(180 + CUTS)
async def test_the_journal_opens_and_goes_on_after_a_cut(recorded: Any, tmp_path: Path) -> None:
    disk, done, begun = recorded
    folder = tmp_path / "found"
    folder.mkdir()
    rng = random.Random(SEED)
    checked = 0
    for cut, platter in cuts(disk.log, moments(disk, begun)[::10]):
        found_after(platter.after_a_cut(rng), folder).close()
        async with SqliteJournal(folder / "c.db", redact=str, now=lambda: AT) as journal:
            await journal.store_plan("p", "f", PLAN)
            again = [(NewEvent(name, "deal.won", name, {}), []) for name, at in done.events.items() if at <= cut]
            assert (await journal.accept("crm", again)).duplicates == len(again)
            await journal.accept("crm", [(NewEvent("new", "deal.won", "new", {}), [NewRun("new", "f", "new", "p")])])
            claimed = await journal.claim("me", 500, AT + 2 * LEASE, LEASE)
            assert "new" in {run.row.id for run in claimed}
            known = [("crm", name) for name, at in done.events.items() if at <= cut]
            stories = await assert_nothing_lost(journal, {}, events=[*known, ("crm", "new")], at_rest=False)
            checked += len(stories)
    assert checked > AT_ONCE * ROUNDS


@pytest.mark.parametrize("recorded", ["synchronous = NORMAL"], indirect=True)
async def test_this_disk_does_lose_what_is_not_synced(recorded: Any, tmp_path: Path) -> None:
    disk, done, begun = recorded
    folder = tmp_path / "found"
    folder.mkdir()
    rng = random.Random(SEED)
    losses = 0
    for cut, platter in cuts(disk.log, moments(disk, begun)[::2]):
        db = found_after(platter.after_a_cut(rng), folder)
        assert_whole(db)
        losses += bool(lost(db, done, cut))
        db.close()
    assert losses > CUTS // 20
