"""Deals won since, by the v2 list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import PollPage, PollRequest, TransientError

BEGIN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
WON = frozenset({"deal.won"})


async def poll(connection: PipedriveConnection, cursor: str | None = None, since: datetime = BEGIN) -> PollPage:
    return await PipedriveSource(connection).poll(PollRequest(cursor, since, timedelta(minutes=5), WON))


async def drained(connection: PipedriveConnection, cursor: str | None = None) -> list[PollPage]:
    """All pages of one round."""
    pages = [await poll(connection, cursor)]
    while pages[-1].more:
        pages.append(await poll(connection, pages[-1].cursor))
    return pages


def subjects(pages: list[PollPage]) -> list[str]:
    return [event.subject for page in pages for event in page.events]


async def win(simulator: PipedriveSimulator, title: str = "Won") -> str:
    return str((await simulator.trigger("deal.won", {"title": title}))["deal"]["id"])


async def test_a_won_deal_is_told_and_others_are_not(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await win(simulator, "Acme")
    await simulator.trigger("deal.created", {"title": "open"})
    await simulator.trigger("deal.lost", {"title": "lost"})
    await simulator.trigger("deal.deleted", {"id": await win(simulator)})
    page = await poll(connection)
    [event] = page.events
    assert (event.type, event.subject, event.occurred_at) == ("deal.won", deal, BEGIN)
    assert event.data == {"deal": {"id": deal, "title": "Acme"}}
    assert (page.more, page.missed) == (False, None)
    assert PipedriveSource.polling is not None
    assert PipedriveSource.polling.every == timedelta(minutes=5)


async def test_a_poll_tells_the_same_event_as_the_webhook(
    simulator: PipedriveSimulator, connection: PipedriveConnection, listener: Any, clock: Any
) -> None:
    deal = await win(simulator)
    clock.forward(seconds=90)
    await simulator.trigger("deal.updated", {"id": deal, "title": "edited since"})
    await simulator.settle()
    [told] = [event for events in listener.events(connection) for event in events]
    [event] = (await poll(connection)).events
    assert (event.id, event.occurred_at) == (told.id, told.occurred_at)


async def test_an_edit_long_after_is_the_same_event_and_a_second_win_is_another(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    deal = await win(simulator)
    first = await poll(connection)
    clock.forward(days=3)
    await simulator.trigger("deal.updated", {"id": deal, "title": "edited"})
    edited = await poll(connection, first.cursor)
    assert [event.id for event in edited.events] == [event.id for event in first.events]
    await simulator.trigger("deal.reopened", {"id": deal})
    clock.forward(days=1)
    await simulator.trigger("deal.won", {"id": deal})
    again = await poll(connection, edited.cursor)
    assert len({event.id for page in (first, edited, again) for event in page.events}) == 2


async def test_what_was_won_before_the_start_is_not_wanted_even_if_it_is_edited(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    old = await win(simulator)
    clock.forward(hours=1)
    await simulator.trigger("deal.updated", {"id": old, "title": "edited"})
    new = await win(simulator)
    page = await poll(connection, since=BEGIN + timedelta(minutes=30, microseconds=5))
    assert [event.subject for event in page.events] == [new]


async def test_a_deal_won_in_the_second_of_the_start_is_told(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await win(simulator)
    assert subjects([await poll(connection, since=BEGIN + timedelta(milliseconds=700))]) == [deal]


async def test_a_win_older_than_ids_need_be_remembered_is_not_told_again(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    deal = await win(simulator)
    cursor = (await poll(connection)).cursor
    for days, told in ((29, [deal]), (2, [])):
        clock.forward(days=days)
        other = await win(simulator)
        cursor = (await poll(connection, cursor)).cursor
        await simulator.trigger("deal.updated", {"id": deal, "title": f"edited after {days}"})
        page = await poll(connection, cursor)
        assert [event.subject for event in page.events if event.subject != other] == told
        cursor = page.cursor


async def test_after_a_long_pause_everything_since_is_read(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    cursor = (await poll(connection)).cursor
    won = []
    for _ in range(3):
        clock.forward(days=20)
        won.append(await win(simulator))
    assert subjects(await drained(connection, cursor)) == won


async def test_more_than_a_page_with_equal_instants_is_read_without_gap_or_repeat(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    won = []
    for count in (300, 700, 50):
        won += [await win(simulator) for _ in range(count)]
        clock.forward(seconds=1)
    pages = await drained(connection)
    assert len(pages) > 1
    assert sorted(subjects(pages), key=int) == won


async def test_a_deal_that_changes_between_pages_is_not_missed(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    won = []
    for _ in range(4):
        won += [await win(simulator) for _ in range(200)]
        clock.forward(seconds=1)
    first = await poll(connection)
    assert first.more
    told = set(subjects([first]))
    for deal in won[:3] + won[-3:]:
        await simulator.trigger("deal.updated", {"id": deal, "title": "moves to the end"})
    told |= set(subjects(await drained(connection, first.cursor)))
    assert told == set(won)


async def test_a_deal_that_the_list_shows_late_is_found_within_the_overlap(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    late = await win(simulator)
    hidden = simulator.world.deals.pop(int(late))
    clock.forward(minutes=4)
    await win(simulator)
    cursor = (await poll(connection)).cursor
    simulator.world.deals[int(late)] = hidden
    assert late in subjects([await poll(connection, cursor)])


async def test_nothing_new_is_one_request_and_no_repeat_beyond_the_overlap(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    await win(simulator)
    clock.forward(minutes=6)
    await win(simulator)
    cursor = (await poll(connection)).cursor
    asked = len(simulator.requests)
    assert len(subjects([await poll(connection, cursor)])) == 1
    assert len(simulator.requests) == asked + 1


async def test_a_win_without_its_instant_is_told_once(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await win(simulator)
    simulator.world.deals[int(deal)]["won_time"] = None
    assert [event.id for event in (await poll(connection)).events] == [f"deal.won:{deal}:untold"]


def row(deal_id: int, at: str = "2026-11-20T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": deal_id, "title": "x", "status": "won", "update_time": at, "won_time": at} | more


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": [row(1), row(2, "2026-11-20T09:59:59Z")]}, "not in the order of update_time"),
        ({"data": [row(1, update_time=None)]}, "id or update_time is empty"),
        ({"data": [row(1, won_time="yesterday")]}, "not as documented"),
        ({"data": [5]}, "not as documented"),
        ({"data": []} | {"additional_data": {"next_cursor": "a"}}, "does not move on"),
        ({"success": True}, "lacks data"),
    ],
)
async def test_a_list_that_is_not_as_documented_is_worth_another_try(fake: Any, body: Any, said: str) -> None:
    _, connection = await fake({"GET /api/v2/deals": {"success": True} | body})
    with pytest.raises(TransientError, match=said):
        await poll(connection)


async def test_a_row_that_is_no_longer_won_is_no_event(fake: Any) -> None:
    _, connection = await fake({"GET /api/v2/deals": {"success": True, "data": [row(1, status="lost")]}})
    assert (await poll(connection)).events == ()
