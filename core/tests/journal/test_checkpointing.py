"""Checkpoints that gather in one commit: each is taken or refused as if it were alone."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import LeaseLost, LockHeld, Overtaken
from crossdock.journal.gathered import MOST, rows_of
from crossdock.journal.statements import load


async def in_one_commit(world: Any, *writes: Awaitable[int]) -> list[Any]:
    """What becomes of writes that are asked for at once."""
    before = world.journal.commits
    told = await asyncio.gather(*writes, return_exceptions=True)
    assert world.journal.commits == before + 1
    return told


async def test_more_runs_than_one_statement_takes_are_written_as_each_of_them_said(world: Any) -> None:
    runs = [await world.begin(f"k{n}") for n in range(MOST + 3)]
    steps = [[world.step(n=n, i=i) for i in range(n % 3)] for n in range(len(runs))]
    told = await in_one_commit(
        world, *(world.write(run, "running", *steps[n], leg=f"leg{n}") for n, run in enumerate(runs))
    )
    assert told == [n % 3 for n in range(len(runs))]
    for n, run in enumerate(runs):
        assert (await world.row(run.row.id)).leg == f"leg{n}"
        assert [s.data for s in await world.journal.steps(run.row.id)] == [{"n": n, "i": i} for i in range(n % 3)]


async def test_who_is_refused_spoils_nobody_elses_checkpoint(world: Any) -> None:
    good, lost, overtaken, blocked, holder = [await world.begin(key) for key in "abcde"]
    await world.write(holder, acquire=["x"])
    await world.end(lost, "dead")
    await world.journal.add_step(overtaken.row.id, world.step("wish"), world.clock())
    told = await in_one_commit(
        world,
        world.write(lost, "running", world.step()),
        world.write(overtaken, "running", world.step(), known_steps=0),
        world.write(blocked, "running", world.step(), acquire=["free", "x"]),
        world.write(good, "running", world.step(), acquire=["free"]),
    )
    assert [type(one) for one in told[:3]] == [LeaseLost, Overtaken, LockHeld]
    assert told[3] == 1
    for refused, count in ((lost, 0), (overtaken, 1), (blocked, 0)):
        assert len(await world.journal.steps(refused.row.id)) == count


async def test_what_one_run_wrote_first_is_there_before_it_writes_again(world: Any) -> None:
    run = await world.begin()
    told = await in_one_commit(
        world,
        world.write(run, "running", world.step(n=1), leg="first"),
        world.write(run, "running", leg="second"),
        world.write(run, "succeeded", ended=True),
        world.write(run, "running", leg="third"),
    )
    assert told[:3] == [1, 1, 1]
    assert isinstance(told[3], LeaseLost)
    assert [(s.seq, s.data) for s in await world.journal.steps(run.row.id)] == [(1, {"n": 1})]
    assert (await world.row(run.row.id)).status == "succeeded"


@pytest.mark.parametrize("ending", [False, True])
async def test_a_lock_that_is_freed_can_be_taken_in_the_same_commit(world: Any, ending: bool) -> None:
    holder, other = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    leave = world.end(holder) if ending else world.write(holder, unlock=["x"])
    taken, _ = await in_one_commit(world, world.write(other, acquire=["x"]), leave)
    assert taken == 0
    with pytest.raises(LockHeld) as held:
        await world.write(await world.begin("c"), acquire=["x"])
    assert held.value.run_id == other.row.id


async def test_who_is_refused_a_lock_frees_none(world: Any) -> None:
    holder, other = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    await world.write(other, acquire=["y"])
    third = await world.begin("c")
    told = await in_one_commit(
        world, world.write(other, acquire=["x"], unlock=["y"]), world.write(third, acquire=["y"])
    )
    assert [type(one) for one in told] == [LockHeld, LockHeld]


async def test_the_first_of_two_gets_the_lock(world: Any) -> None:
    first, second = await world.begin("a"), await world.begin("b")
    told = await in_one_commit(world, world.write(first, acquire=["x"]), world.write(second, acquire=["x"]))
    assert [type(one) for one in told] == [int, LockHeld]


@pytest.mark.parametrize("waiter_first", [False, True])
@pytest.mark.parametrize("what", ["lock", "run"])
async def test_no_wake_up_is_lost_within_a_commit(world: Any, what: str, waiter_first: bool) -> None:
    holder, waiter = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    waits_for = "x" if what == "lock" else f"run:{holder.row.id}"
    writes = [world.write(waiter, "waiting", waits_for=waits_for, release=True), world.end(holder)]
    await in_one_commit(world, *(writes if waiter_first else reversed(writes)))
    assert await world.claim_ids() == [waiter.row.id]


async def test_the_turn_goes_to_the_next_run_of_each_record_that_ended(world: Any) -> None:
    first = [await world.begin(key) for key in "ab"]
    heirs = [await world.accept(key) for key in "ab"]
    assert await world.claim_ids() == []
    await in_one_commit(world, *(world.end(run) for run in first))
    assert sorted(await world.claim_ids()) == sorted(heirs)


async def test_no_gathered_statement_reads_through_a_table(world: Any, sqlite_path: Path) -> None:
    await world.journal.close()
    db = sqlite3.connect(sqlite_path)
    gathered = {
        f"{room}.{name}": rows_of(sql, 12)
        for room in ("checkpoints", "runs", "reads")
        for name, sql in load(room).items()
        if re.search(r"^\(\?.*\)$", sql, re.M)
    }
    assert len(gathered) > 8
    for name, sql in gathered.items():
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]
        through = [line for line in plan if re.match(r"SCAN (?!given|\d+ CONSTANT|CONSTANT)", line)]
        assert not through, f"{name}: {through}"
    db.close()
