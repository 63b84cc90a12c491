"""Polling: which wins are told, once, and under the same id whatever happens to the opportunity afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_salesforce.source import SalesforceSource
from crossdock_sdk import Event, EventVoid, NotFoundError, PollPage, PollRequest, TransientError

BEGUN = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Poller:
    """Polls as the runtime does: on from the cursor, until there is no more; a known id starts nothing."""

    def __init__(self, source: SalesforceSource) -> None:
        self.source = source
        self.cursor: str | None = None
        self.known: set[str] = set()
        self.pages: list[PollPage] = []

    async def news(self) -> list[Event]:
        found: list[Event] = []
        while True:
            request = PollRequest(self.cursor, BEGUN, timedelta(minutes=5), frozenset({"deal.won"}))
            page = await self.source.poll(request)
            self.pages.append(page)
            self.cursor = page.cursor
            found += [event for event in page.events if event.id not in self.known]
            self.known |= {event.id for event in page.events}
            if not page.more:
                return found


@pytest.fixture
def source(connection: SalesforceConnection) -> SalesforceSource:
    return SalesforceSource(connection)


@pytest.fixture
def poller(source: SalesforceSource) -> Poller:
    return Poller(source)


async def test_a_won_opportunity_is_told_once_with_the_instant_of_its_win(
    simulator: SalesforceSimulator, poller: Poller, deal: str, clock: Any
) -> None:
    assert await poller.news() == []
    clock.forward(minutes=1)
    await simulator.trigger("deal.won", {"id": deal})
    [event] = await poller.news()
    assert (event.type, event.subject, event.data) == (
        "deal.won",
        deal,
        {"deal": {"id": deal, "title": "Fernhill rollout"}},
    )
    assert event.id == f"deal.won:{deal}:2026-11-20T09:31:00Z"
    assert event.occurred_at == clock()
    assert await poller.news() == []


async def test_edits_of_a_won_opportunity_are_no_news_and_keep_its_id(
    simulator: SalesforceSimulator, poller: Poller, deal: str, clock: Any
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    [event] = await poller.news()
    for edit in ({"title": "Renamed"}, {"custom": {"Invoice number": "INV-7"}}):
        clock.forward(minutes=10)
        await simulator.trigger("deal.edit", {"id": deal} | edit)
        assert await poller.news() == []
        assert [told.id for told in poller.pages[-1].events] == [event.id]
    clock.forward(minutes=10)
    simulator.org.update("Opportunity", deal, {"CloseDate": "2026-11-30"})
    line = simulator.org.lines(deal)[0]
    simulator.org.update("OpportunityLineItem", line["Id"], {"Quantity": 4})
    assert await poller.news() == []


async def test_a_move_from_one_won_stage_to_the_next_is_no_second_win(
    simulator: SalesforceSimulator, poller: Poller, deal: str, clock: Any
) -> None:
    simulator.org.add_stage("Paid", closed=True, won=True, category="Closed")
    simulator.org.objects["Opportunity"].fields["StageName"].options += ("Paid",)
    await simulator.trigger("deal.won", {"id": deal})
    [event] = await poller.news()
    clock.forward(days=1)
    await simulator.trigger("deal.edit", {"id": deal, "stage": "Paid"})
    assert await poller.news() == []
    assert (await poller.source.hydrate(event))["deal"].id == deal  # type: ignore[attr-defined]


async def test_a_stage_that_was_renamed_since_still_tells_the_same_win(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str, clock: Any
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    [event] = await Poller(SalesforceSource(connection)).news()
    stage = next(row for row in simulator.org.live("OpportunityStage") if row["IsWon"])
    stage |= {"MasterLabel": "Gewonnen", "ApiName": "Gewonnen"}
    simulator.org.objects["Opportunity"].fields["StageName"].options += ("Gewonnen",)
    clock.forward(minutes=6)
    await simulator.trigger("deal.edit", {"id": deal, "stage": "Gewonnen"})
    [again] = await Poller(SalesforceSource(connection)).news()
    assert again.id == event.id


async def test_a_win_after_a_reopening_is_another_event_and_the_first_no_longer_holds(
    simulator: SalesforceSimulator, poller: Poller, deal: str, clock: Any
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    [first] = await poller.news()
    clock.forward(minutes=10)
    await simulator.trigger("deal.reopened", {"id": deal})
    assert await poller.news() == []
    clock.forward(minutes=10)
    await simulator.trigger("deal.won", {"id": deal})
    [second] = await poller.news()
    assert second.id != first.id
    with pytest.raises(EventVoid, match="reopened and won again"):
        await poller.source.hydrate(first)
    assert await poller.source.hydrate(second)


@pytest.mark.parametrize(("event", "now"), [("deal.reopened", "open again"), ("deal.lost", "lost by now")])
async def test_a_win_that_was_taken_back_is_void(
    simulator: SalesforceSimulator, poller: Poller, deal: str, event: str, now: str
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    [told] = await poller.news()
    await simulator.trigger(event, {"id": deal})
    with pytest.raises(EventVoid, match=now):
        await poller.source.hydrate(told)


async def test_a_deleted_opportunity_is_void_if_it_was_told_and_not_found_if_it_was_not(
    simulator: SalesforceSimulator, poller: Poller, deal: str
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    [told] = await poller.news()
    await simulator.trigger("deal.deleted", {"id": deal})
    with pytest.raises(EventVoid, match="deleted"):
        await poller.source.hydrate(told)
    with pytest.raises(NotFoundError):
        await poller.source.hydrate(Event("deal.won", "plan", deal, {"deal": {"id": deal}}))


async def test_an_opportunity_that_was_won_before_the_beginning_is_never_told(
    simulator: SalesforceSimulator, poller: Poller, clock: Any
) -> None:
    clock.at = BEGUN - timedelta(days=300)
    old = await simulator.trigger("deal.won", {"title": "Last year's"})
    clock.at = BEGUN + timedelta(days=1)
    await simulator.trigger("deal.edit", {"id": old["deal"]["id"], "title": "Renamed"})
    await simulator.trigger("deal.won", {"title": "Today's"})
    assert [event.data["deal"]["title"] for event in await poller.news()] == ["Today's"]


async def test_a_win_in_the_very_second_of_the_beginning_is_told(
    simulator: SalesforceSimulator, source: SalesforceSource, clock: Any
) -> None:
    clock.at = BEGUN + timedelta(milliseconds=700)
    await simulator.trigger("deal.won", {"title": "At once"})
    since = BEGUN + timedelta(milliseconds=300)
    page = await source.poll(PollRequest(None, since, timedelta(minutes=5), frozenset({"deal.won"})))
    [event] = page.events
    assert event.id.endswith(":2026-11-20T09:00:00Z")
    # Nobody further on may take it for older than the beginning.
    assert event.occurred_at is not None
    assert event.occurred_at >= since


async def test_many_wins_of_one_second_come_page_by_page_with_one_query_each(
    simulator: SalesforceSimulator, connection: SalesforceConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock_salesforce.source._PAGE", 3)
    wanted = {(await simulator.trigger("deal.won", {"title": f"Deal {number}"}))["deal"]["Id"] for number in range(8)}
    await connection.stages.get()
    simulator.requests.clear()
    poller = Poller(SalesforceSource(connection))
    told = [event.subject for event in await poller.news()]
    assert sorted(told) == sorted(wanted)
    assert len(poller.pages) == 3
    assert [entry["path"].rpartition("/")[2] for entry in simulator.requests] == ["query"] * 3


async def test_a_page_that_salesforce_cuts_short_is_gone_on_with(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    simulator.queries.batch = 2
    for number in range(5):
        await simulator.trigger("deal.won", {"title": f"Deal {number}"})
    poller = Poller(SalesforceSource(connection))
    assert len(await poller.news()) == 5
    assert [page.more for page in poller.pages] == [True, True, False]


async def test_a_row_that_is_not_as_documented_stops_the_poll(fake: Any) -> None:
    stage = {"MasterLabel": "Won", "ApiName": "Won", "IsActive": True, "IsClosed": True, "IsWon": True}
    won = {"Id": "0065g00000AAAAAAA4", "Name": "X", "StageName": "Won", "OpportunityHistories": None}
    won |= {"CreatedDate": "2026-11-20T09:00:00.000+0000", "SystemModstamp": None}
    pages = [{"done": True, "records": [stage]}, {"done": True, "records": [won]}]
    _, connection = await fake({"GET /services/data/v66.0/query": pages})
    request = PollRequest(None, BEGUN, timedelta(minutes=5), frozenset({"deal.won"}))
    with pytest.raises(TransientError, match="no SystemModstamp"):
        await SalesforceSource(connection).poll(request)
