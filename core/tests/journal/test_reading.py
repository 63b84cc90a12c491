"""The contract of a journal: lists, counts, and what belongs to no run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock.journal.base import InvalidCursor, JournalError, NewRun, RunFilter


async def pages(journal: Any, limit: int = 50, **filters: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page = await journal.runs(RunFilter(**filters), limit=limit, cursor=cursor)
        found.append([run.id for run in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_runs_come_newest_first_page_by_page(world: Any) -> None:
    for i in range(5):
        await world.accept(f"k{i}")
    assert await pages(world.journal, limit=2) == [["r5", "r4"], ["r3", "r2"], ["r1"]]
    assert await pages(world.journal, limit=5) == [["r5", "r4", "r3", "r2", "r1"]]


async def test_a_page_is_not_shifted_by_runs_that_come_meanwhile(world: Any) -> None:
    for i in range(4):
        await world.accept(f"k{i}")
    page = await world.journal.runs(limit=2)
    await world.accept("new")
    rest = await world.journal.runs(limit=9, cursor=page.next_cursor)
    assert [r.id for r in rest.items] == ["r2", "r1"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"flow": "f"}, ["r3", "r2", "r1"]),
        ({"flow": "g"}, []),
        ({"key": "a"}, ["r3", "r1"]),
        ({"statuses": ("dead",)}, ["r1"]),
        ({"statuses": ("queued",), "flow": "f"}, ["r3", "r2"]),
        ({"statuses": ("queued",), "key": "a"}, ["r3"]),
        ({"statuses": ("queued",), "key": "a", "flow": "g"}, []),
    ],
)
async def test_filters_narrow_the_list(world: Any, filters: dict[str, Any], expected: list[str]) -> None:
    await world.end(await world.begin("a"), "dead")
    await world.accept("b")
    await world.accept("a")
    assert [r for page in await pages(world.journal, limit=1, **filters) for r in page] == expected


async def test_a_cursor_that_was_not_given_out_for_this_list_is_refused(
    world: Any, make: Callable[[], Any], tmp_path: Any
) -> None:
    for i in range(3):
        await world.accept(f"k{i}")
    cursor = (await world.journal.runs(limit=1)).next_cursor
    first = "B" if cursor[0] == "A" else "A"
    for forged in (first + cursor[1:], cursor[:-2], cursor + "AA", "", "!", "ü", "AAAA", "A" * 500):
        with pytest.raises(InvalidCursor):
            await world.journal.runs(limit=1, cursor=forged)
    with pytest.raises(InvalidCursor):
        await world.journal.runs(RunFilter(flow="f"), limit=1, cursor=cursor)
    assert len((await world.journal.runs(limit=1, cursor=cursor)).items) == 1


async def test_due_times_count_only_runs_whose_turn_it_is(world: Any) -> None:
    journal, now = world.journal, world.clock()
    assert (await journal.next_due(now), await journal.oldest_due(now)) == (None, None)
    minute = timedelta(minutes=1)
    await world.accept("a", due_at=now + minute)
    await world.accept("a", due_at=now - minute)
    assert await journal.next_due(now) == now + minute
    assert await journal.oldest_due(now) is None
    await world.accept("b", due_at=now - 2 * minute)
    assert await journal.oldest_due(now) == now - 2 * minute
    await world.claim()
    assert await journal.oldest_due(now) is None
    assert await journal.next_due(now) == now + timedelta(seconds=30)


async def test_counts_follow_every_change(world: Any) -> None:
    first = await world.begin("a")
    await world.accept("b")
    assert await world.journal.counts() == {"f": {"queued": 2}}
    await world.write(first, "running")
    assert await world.journal.counts() == {"f": {"queued": 1, "running": 1}}
    await world.end(first)
    assert await world.journal.counts() == {"f": {"queued": 1, "succeeded": 1}}


async def test_the_last_success_of_a_key_is_found(world: Any) -> None:
    journal = world.journal
    assert await journal.last_succeeded("f", "k", "new") is None
    done = []
    for status in ("succeeded", "succeeded", "dead"):
        run = await world.begin()
        await world.end(run, status)
        done.append(run.row)
    assert (await journal.last_succeeded("f", "k", "new")).id == done[1].id
    assert (await journal.last_succeeded("f", "k", done[1].root)).id == done[0].id
    assert await journal.last_succeeded("f", "other", "new") is None


async def test_a_success_that_was_replayed_since_counts_no_more(world: Any) -> None:
    journal = world.journal
    first = await world.begin()
    await world.end(first)
    again = NewRun("again", first.row.flow, first.row.key, first.row.plan_hash, "", replay_of=first.row.id)
    await journal.add_run(again, first.row.event_seq)
    assert await journal.last_succeeded("f", "k", "new") is None


async def test_what_was_never_stored_is_none(journal: Any) -> None:
    assert await journal.run("ghost") is None
    assert await journal.event(99) is None
    assert await journal.steps("ghost") == []


async def test_an_alert_is_given_out_to_one_and_again_until_delivered(journal: Any, clock: Any) -> None:
    hold = timedelta(seconds=60)
    assert await journal.put_alert("a1", {"title": "paused"}, clock()) is True
    assert await journal.put_alert("a1", {"title": "other"}, clock()) is False
    taken = await asyncio.gather(*(journal.due_alerts(clock(), hold=hold) for _ in range(3)))
    [alert] = [alert for part in taken for alert in part]
    assert (alert.id, alert.data, alert.tries) == ("a1", {"title": "paused"}, 0)
    clock.advance(60)
    [alert] = await journal.due_alerts(clock(), hold=hold)
    assert alert.tries == 1
    await journal.mark_alert("a1", retry_at=clock() + timedelta(seconds=5))
    assert await journal.due_alerts(clock(), hold=hold) == []
    clock.advance(5)
    assert len(await journal.due_alerts(clock(), hold=hold)) == 1
    await journal.mark_alert("a1", retry_at=None)
    clock.advance(3600)
    assert await journal.due_alerts(clock(), hold=hold) == []
    assert await journal.put_alert("a1", {}, clock()) is False


async def test_alerts_of_some_notifiers_can_be_passed_over(journal: Any, clock: Any) -> None:
    for name in ("slack", "mail"):
        await journal.put_alert(f"a@{name}", {"notifier": name}, clock())
    await journal.put_alert("a", {}, clock())
    hold = timedelta(0)
    assert [a.id for a in await journal.due_alerts(clock(), hold=hold, but_for=["slack", "x"])] == ["a@mail", "a"]
    assert len(await journal.due_alerts(clock(), hold=hold, but_for=[])) == 3


async def test_tokens_are_swapped_only_against_the_version_read(journal: Any) -> None:
    assert await journal.load_token("books") is None
    assert await journal.swap_token("books", b"zero", 5) is False
    swaps = await asyncio.gather(*(journal.swap_token("books", bytes([i]), 0) for i in range(5)))
    assert sorted(swaps) == [False] * 4 + [True]
    assert await journal.swap_token("books", b"two", 1) is True
    assert await journal.swap_token("books", b"late", 1) is False
    token = await journal.load_token("books")
    assert (token.ciphertext, token.version) == (b"two", 2)
    assert await journal.load_token("crm") is None


async def test_a_token_lease_has_one_holder_until_given_back_or_over(journal: Any, clock: Any) -> None:
    async def lease(owner: str) -> bool:
        return bool(await journal.lease_token("books", owner, clock() + timedelta(seconds=60), clock()))

    assert await lease("a") is True
    assert await lease("b") is False
    assert await lease("a") is True
    await journal.release_token("books", "b")
    assert await lease("b") is False
    await journal.release_token("books", "a")
    assert await lease("b") is True
    clock.advance(60)
    assert await lease("a") is True


async def test_all_is_there_after_closing_and_opening_again(world: Any, make: Callable[[], Any]) -> None:
    run = await world.begin()
    await world.write(run, "running", world.step(x=1), acquire=["x"])
    before = await world.row("r1")
    await world.journal.close()
    again = make()
    await again.open()
    try:
        assert await again.run("r1") == before
        assert [s.data for s in await again.steps("r1")] == [{"x": 1}]
        assert await again.counts() == {"f": {"running": 1}}
    finally:
        await again.close()


async def test_a_closed_journal_says_so(world: Any) -> None:
    await world.journal.close()
    with pytest.raises(JournalError, match=r"not open|closed"):
        await world.accept()
    with pytest.raises(JournalError, match=r"not open|closed"):
        await world.journal.run("r1")
