"""`/events` with its sync tokens, and what is done when a token has lapsed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_asana import AsanaSource
from crossdock_sdk import (
    ConfigError,
    Event,
    NotFoundError,
    PollPage,
    PollRequest,
    TransientError,
    WebhookRequest,
    jsonio,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ALL = frozenset({"task.completed", "task.changed", "task.deleted"})
COMPLETED = frozenset({"task.completed"})


async def poll(
    source: AsanaSource, cursor: str | None, events: frozenset[str] = COMPLETED, since: datetime = NOON
) -> PollPage:
    return await source.poll(PollRequest(cursor, since, timedelta(minutes=5), events))


async def drained(source: AsanaSource, cursor: str | None, events: frozenset[str] = COMPLETED) -> list[PollPage]:
    """All pages until there are no more."""
    pages = [await poll(source, cursor, events)]
    while pages[-1].more:
        pages.append(await poll(source, pages[-1].cursor, events))
    return pages


def subjects(*pages: PollPage) -> list[str]:
    return [event.subject for page in pages for event in page.events]


def by_webhook(board: Any) -> list[Event]:
    body = {"events": [one.compact() for one in board.simulator.feed._log]}
    return list(board.source.parse(WebhookRequest("POST", "/", {}, jsonio.dumps(body))))


async def test_the_first_poll_gets_a_token_and_says_nothing_is_missed(board: Any) -> None:
    first = await poll(board.source, None)
    assert (first.events, first.more, first.missed) == ((), False, None)
    task = await board.act("task.complete")
    second = await poll(board.source, first.cursor)
    assert subjects(second) == [task]
    assert (second.more, second.missed) == (False, None)
    assert (await poll(board.source, second.cursor)).events == ()


async def test_what_happens_before_the_first_poll_and_since_the_start_is_read_from_the_tasks(pat_board: Any) -> None:
    await pat_board.act("task.complete")
    pat_board.clock.forward(hours=1)
    task = await pat_board.act("task.complete")
    pat_board.clock.forward(minutes=1)
    page = await poll(pat_board.source, None, since=NOON + timedelta(minutes=30))
    assert subjects(page) == [task]
    assert page.missed is None


async def test_a_poll_tells_the_same_events_as_the_webhooks(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    task = await pat_board.act("task.complete")
    pat_board.clock.forward(seconds=1.234)
    await pat_board.act("task.edit", task, name="x", custom={"invoice_number": "1"})
    await pat_board.act("task.delete", task)
    page = await poll(pat_board.source, cursor, ALL)
    assert list(page.events) == by_webhook(pat_board)
    assert {event.type for event in page.events} == ALL


async def test_types_that_no_flow_waits_for_are_left_out(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    await pat_board.act("task.delete", await pat_board.act("task.complete"))
    page = await poll(pat_board.source, cursor, frozenset({"task.deleted"}))
    assert [event.type for event in page.events] == ["task.deleted"]


async def test_our_own_writes_are_told_once_by_either_way(pat_board: Any, key: str) -> None:
    from crossdock_sdk import ObjectRef

    cursor = (await poll(pat_board.source, None)).cursor
    task = await pat_board.act("task.reopen")
    await pat_board.complete.apply(ObjectRef(id=task), key)
    await pat_board.complete.apply(ObjectRef(id=task), key)
    page = await poll(pat_board.source, cursor)
    assert [event.id for event in page.events] == [f"task.completed:{task}:2026-11-23T12:00:00Z"]


async def test_more_than_a_page_is_read_to_its_end(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    for _ in range(60):
        await pat_board.act("task.complete")
    pages = await drained(pat_board.source, cursor)
    # Two additions, a change and its story for each task.
    assert [page.more for page in pages] == [True, True, False]
    assert len(set(subjects(*pages))) == 60


async def test_a_lapsed_token_is_made_good_from_the_tasks_and_a_person_is_told(board: Any) -> None:
    cursor = (await poll(board.source, None, ALL)).cursor
    task, gone = await board.act("task.complete"), await board.act("task.complete")
    await board.act("task.delete", gone)
    board.clock.forward(hours=25)
    page = await poll(board.source, cursor, ALL)
    assert subjects(page) == [task, task]
    assert page.events[0] in by_webhook(board)
    assert page.missed is not None
    assert "project 1201 from 2026-11-23T12:00:00.000Z to 2026-11-24T13:00:00.000Z" in page.missed
    assert "deleted" in page.missed
    after = await poll(board.source, page.cursor, ALL)
    assert (after.events, after.missed) == ((), None)


async def test_what_was_done_before_the_lapse_is_not_told_again(pat_board: Any) -> None:
    early = await pat_board.act("task.complete")
    pat_board.clock.forward(hours=1)
    cursor = (await poll(pat_board.source, None)).cursor
    pat_board.clock.forward(hours=1)
    await pat_board.act("task.edit", early, name="renamed since")
    late = await pat_board.act("task.complete")
    await pat_board.simulator.trigger("sync.expire", {})
    assert subjects(await poll(pat_board.source, cursor)) == [late]


async def test_a_token_that_lapses_in_the_middle_loses_nothing(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    for _ in range(60):
        await pat_board.act("task.complete")
    pat_board.clock.forward(hours=1)
    first = await poll(pat_board.source, cursor)
    assert first.more
    await pat_board.simulator.trigger("sync.expire", {})
    rest = await drained(pat_board.source, first.cursor)
    assert len(set(subjects(first, *rest))) == 60


async def test_more_than_a_page_of_tasks_is_read_after_a_lapse(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    for _ in range(101):
        await pat_board.act("task.complete")
    await pat_board.simulator.trigger("sync.expire", {})
    assert len(set(subjects(await poll(pat_board.source, cursor)))) == 101


async def test_after_a_failure_the_same_cursor_gives_what_it_would_have(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    task = await pat_board.act("task.complete")
    await pat_board.simulator.trigger("sync.expire", {})
    pat_board.fault("status", "GET", "/tasks", status=500, times=2)
    with pytest.raises(TransientError):
        await poll(pat_board.source, cursor)
    pat_board.simulator.faults.clear()
    assert subjects(await poll(pat_board.source, cursor)) == [task]


async def test_every_project_has_a_token_of_its_own(pat_board: Any) -> None:
    await pat_board.simulator.trigger("project.create", {"name": "Sales", "gid": "1300"})
    both = pat_board.watching("1201", "1300")
    cursor = (await poll(both, None)).cursor
    sale = (await pat_board.simulator.trigger("task.create", {"project": "1300", "name": "x"}))["task"]["gid"]
    tasks = [await pat_board.act("task.complete"), await pat_board.act("task.complete", sale)]
    page = await poll(both, cursor)
    assert subjects(page) == tasks
    assert set(jsonio.loads(page.cursor)) == {"1201", "1300"}


async def test_a_task_in_two_projects_is_told_once(pat_board: Any) -> None:
    await pat_board.simulator.trigger("project.create", {"name": "Sales", "gid": "1300"})
    both = pat_board.watching("1201", "1300")
    cursor = (await poll(both, None)).cursor
    task = pat_board.simulator.account.create_task({"name": "x", "projects": ["1201", "1300"]}, None)["gid"]
    await pat_board.act("task.complete", task)
    assert subjects(await poll(both, cursor)) == [task]


async def test_a_project_that_is_added_is_watched_from_then_on(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    await pat_board.simulator.trigger("project.create", {"name": "Sales", "gid": "1300"})
    made = {"project": "1300", "name": "x"}
    old, new = [(await pat_board.simulator.trigger("task.create", made))["task"]["gid"] for _ in range(2)]
    await pat_board.act("task.complete", old)
    both = pat_board.watching("1201", "1300")
    page = await poll(both, cursor)
    assert (page.events, page.missed) == ((), None)
    await pat_board.act("task.complete", new)
    assert subjects(await poll(both, page.cursor)) == [new]


async def test_a_project_that_is_gone_is_named(pat_board: Any) -> None:
    with pytest.raises(NotFoundError, match="project: Unknown object: 99"):
        await poll(pat_board.watching("1201", "99"), None)


async def test_without_projects_there_is_nothing_to_poll(pat_board: Any) -> None:
    with pytest.raises(ConfigError, match=r"connection board watches nothing.*projects"):
        await poll(pat_board.watching(), None)


async def test_half_a_page_is_worth_another_try(pat_board: Any) -> None:
    cursor = (await poll(pat_board.source, None)).cursor
    await pat_board.act("task.complete")
    pat_board.fault("truncate", "GET", "/events", times=2)
    with pytest.raises(TransientError):
        await poll(pat_board.source, cursor)
    del pat_board.simulator.feed._log[-2].event["created_at"]
    pat_board.simulator.faults.clear()
    with pytest.raises(TransientError, match="the events are not as documented"):
        await poll(pat_board.source, cursor)
