"""What a dashboard counts: endings by time, who needs a person, and what has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock.journal.base import InvalidCursor, NewEvent, NewRun
from crossdock.journal.figures import GRAINS, percentile

MINUTE, QUARTER, HOUR, DAY = timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)


async def ended(world: Any, after: float, status: str = "succeeded", **more: Any) -> Any:
    run = await world.begin()
    world.clock.advance(after)
    await world.end(run, status, **more)
    return run


async def counted(world: Any, bucket: timedelta, back: timedelta, flow: str | None = None) -> list[Any]:
    found = await world.journal.throughput(flow, world.clock() - back, world.clock() + bucket, bucket)
    return [(one.start, dict(one.runs.get("f", {}))) for one in found.buckets if one.runs]


async def test_endings_are_counted_by_time_flow_and_ending(world: Any) -> None:
    start = world.clock()
    for _ in range(3):
        await ended(world, 10)
    await ended(world, 100, "dead")
    assert await counted(world, MINUTE, HOUR) == [
        (start, {"succeeded": 3}),
        (start + 2 * MINUTE, {"dead": 1}),
    ]
    assert await counted(world, QUARTER, HOUR) == [(start, {"succeeded": 3, "dead": 1})]
    assert await counted(world, HOUR, DAY) == [(start, {"succeeded": 3, "dead": 1})]
    assert await counted(world, DAY, 30 * DAY) == [(start - 12 * HOUR, {"succeeded": 3, "dead": 1})]
    assert await counted(world, MINUTE, HOUR, "f") == await counted(world, MINUTE, HOUR)
    assert await counted(world, MINUTE, HOUR, "g") == []


async def test_buckets_have_no_gaps_and_bounds_are_whole_buckets(world: Any) -> None:
    world.clock.advance(30)
    found = await world.journal.throughput(None, world.clock() - HOUR, world.clock(), MINUTE)
    assert len(found.buckets) == 61
    assert (found.since.second, found.until - found.since) == (0, 61 * MINUTE)
    assert (found.total.runs, found.total.p50, found.total.p95) == ({}, None, None)


async def test_how_long_successful_runs_took_is_told_from_counts(world: Any) -> None:
    for _ in range(18):
        await ended(world, 0.15)
    for seconds in (8, 9):
        await ended(world, seconds)
    await ended(world, 3600, "dead")
    found = (await world.journal.throughput("f", world.clock() - DAY, world.clock() + MINUTE, QUARTER)).total
    assert 0.1 < found.p50 <= 0.2
    assert 5 < found.p95 <= 10


def test_a_percentile_lies_between_the_bounds_that_hold_it() -> None:
    bounds = [100, 200, 500]
    assert percentile({}, bounds, 0.5) is None
    assert percentile({200: 4}, bounds, 0.5) == 0.15
    assert percentile({100: 1, 500: 1}, bounds, 0.95) == pytest.approx(0.47)
    assert percentile({0: 3}, bounds, 0.5) == 0.5


async def test_counts_outlive_their_runs_and_fine_ones_go_in_time(world: Any) -> None:
    await ended(world, 1)
    at = world.clock()
    world.clock.advance(60)
    assert await world.journal.prune(world.clock()) == 1
    assert len(await counted(world, MINUTE, HOUR)) == 1
    await world.journal.forget_endings(at + GRAINS[60] + MINUTE)
    assert await counted(world, MINUTE, HOUR) == []
    assert len(await counted(world, QUARTER, HOUR)) == 1
    await world.journal.forget_endings(at + GRAINS[900] + HOUR)
    assert await counted(world, QUARTER, HOUR) == []
    assert len(await counted(world, DAY, 3 * DAY)) == 1


@pytest.mark.parametrize("bucket", [timedelta(seconds=30), timedelta(0), -MINUTE, timedelta(seconds=90)])
async def test_a_bucket_that_is_not_whole_minutes_is_refused(world: Any, bucket: timedelta) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        await world.journal.throughput(None, world.clock() - HOUR, world.clock(), bucket)


async def test_too_many_buckets_and_none_are_refused(world: Any) -> None:
    now = world.clock()
    for since, until in ((now - 2 * DAY, now), (now, now - HOUR)):
        with pytest.raises(ValueError, match="1 to 1500"):
            await world.journal.throughput(None, since, until, MINUTE)


async def test_an_overview_tells_of_each_flow_and_of_who_waits_longest_for_a_person(world: Any) -> None:
    first = await world.begin("a")
    await world.write(first, "held", release=True)
    world.clock.advance(5)
    dead = await world.begin("b")
    await world.end(dead, "dead")
    await world.end(await world.begin("c"))
    found = await world.journal.overview(1)
    assert found.flows["f"].runs == {"held": 1, "dead": 1, "succeeded": 1}
    assert (found.flows["f"].need_person, found.need_person) == (2, 2)
    assert found.flows["f"].oldest_unfinished == first.row.created_at
    assert [row.id for row in found.oldest] == [first.row.id]
    await world.journal.add_run(NewRun("again", "f", "b", "p", replay_of=dead.row.id), dead.row.event_seq)
    again = await world.journal.overview(10)
    assert (again.need_person, [row.id for row in again.oldest]) == (1, [first.row.id])
    assert again.flows["f"].runs["queued"] == 1


async def test_an_overview_of_nothing_is_empty(journal: Any) -> None:
    found = await journal.overview()
    assert (dict(found.flows), found.need_person, found.oldest) == ({}, 0, ())


async def test_who_follows_changes_sees_each_run_once_as_it_is_now(world: Any, make: Callable[[], Any]) -> None:
    await world.accept("before")
    start = await world.journal.changed_since(None)
    assert (start.items, start.more, start.missed) == ((), False, False)
    other = make()
    await other.open()
    try:
        await other.accept("crm", [(NewEvent("x", "t", "s", {}), [NewRun("theirs", "f", "theirs", "p")])])
    finally:
        await other.close()
    await world.end(await world.begin("mine"))
    found = await world.journal.changed_since(start.cursor)
    assert [(row.id, row.status) for row in found.items] == [("theirs", "queued"), ("r2", "succeeded")]
    assert (await world.journal.changed_since(found.cursor)).items == ()
    assert await world.journal.changed_since(found.cursor) == await world.journal.changed_since(found.cursor)


async def test_changes_come_in_pieces(world: Any) -> None:
    cursor = (await world.journal.changed_since(None)).cursor
    for key in "abc":
        await world.accept(key)
    first = await world.journal.changed_since(cursor, 2)
    rest = await world.journal.changed_since(first.cursor, 2)
    assert [[row.id for row in part.items] for part in (first, rest)] == [["r1", "r2"], ["r3"]]
    assert (first.more, rest.more) == (True, False)


async def test_a_lease_that_is_prolonged_is_no_change(world: Any) -> None:
    run = await world.begin()
    cursor = (await world.journal.changed_since(None)).cursor
    await world.journal.heartbeat([run.claim], world.clock() + HOUR)
    await world.journal.mark_told({run.row.id: 3})
    assert (await world.journal.changed_since(cursor)).items == ()


async def test_who_comes_too_late_is_told_so(world: Any) -> None:
    old = (await world.journal.changed_since(None)).cursor
    for key in "abc":
        await world.accept(key)

    def drop(db: Any) -> None:
        db.execute("DELETE FROM changes WHERE seq < (SELECT MAX(seq) FROM changes)")

    await world.journal._writer.write(drop)
    found = await world.journal.changed_since(old)
    assert (found.items, found.missed) == ((), True)
    assert (await world.journal.changed_since(found.cursor)).missed is False


async def test_a_cursor_of_something_else_is_refused(world: Any) -> None:
    for key in "ab":
        await world.accept(key)
    page = await world.journal.runs(limit=1)
    for cursor in (page.next_cursor, "", "x"):
        with pytest.raises(InvalidCursor):
            await world.journal.changed_since(cursor)
