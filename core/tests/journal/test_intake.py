"""The contract of a journal: what is accepted."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from crossdock.journal.base import AlreadyReplayed, JournalError, NewEvent, NewRun


def event(event_id: str = "e", **data: Any) -> NewEvent:
    return NewEvent(event_id, "deal.won", "812", data)


async def test_an_accepted_event_is_there_with_its_runs(journal: Any, clock: Any) -> None:
    told = NewEvent("e1", "deal.won", "812", {"deal": {"value": Decimal("10.10")}}, clock(), "00-aa-bb-01")
    accepted = await journal.accept("crm", [(told, [NewRun("r1", "f", "812", "p", trace="t")])])
    assert (accepted.runs, accepted.duplicates) == (("r1",), 0)
    run = await journal.run("r1")
    assert (run.status, run.key, run.root, run.trace, run.fence) == ("queued", "812", "r1", "t", 0)
    assert (run.due_at, run.created_at, run.ended_at) == (clock(), clock(), None)
    stored = await journal.event(run.event_seq)
    assert (stored.connection, stored.id, stored.subject) == ("crm", "e1", "812")
    assert (stored.occurred_at, stored.received_at, stored.trace) == (clock(), clock(), "00-aa-bb-01")
    assert str(stored.data["deal"]["value"]) == "10.10"


async def test_a_known_event_stores_nothing(journal: Any) -> None:
    await journal.accept("crm", [(event(), [NewRun("r1", "f", "k", "p")])])
    again = await journal.accept("crm", [(event(), [NewRun("r2", "f", "k", "p")])])
    assert (again.runs, again.duplicates) == ((), 1)
    assert await journal.run("r2") is None


async def test_the_same_id_at_another_connection_is_another_event(journal: Any) -> None:
    await journal.accept("crm", [(event(), [])])
    accepted = await journal.accept("books", [(event(), [NewRun("r1", "f", "k", "p")])])
    assert accepted.runs == ("r1",)


async def test_fifty_deliveries_of_one_event_at_once_start_one_run(journal: Any) -> None:
    accepted = await asyncio.gather(
        *(journal.accept("crm", [(event(), [NewRun(f"r{i}", "f", "k", "p")])]) for i in range(50))
    )
    assert sum(a.duplicates for a in accepted) == 49
    [started] = [a.runs for a in accepted if a.runs]
    page = await journal.runs()
    assert tuple(run.id for run in page.items) == started


async def test_deliveries_of_one_record_that_come_at_once_take_turns_in_their_order(journal: Any, clock: Any) -> None:
    runs = [[NewRun(f"r{i}", "f", "k", "p")] for i in range(40)]
    await asyncio.gather(*(journal.accept("crm", [(event(f"e{i}"), some)]) for i, some in enumerate(runs)))
    claimed = await journal.claim("me", 10, clock(), timedelta(seconds=30))
    assert [one.row.id for one in claimed] == ["r0"]
    assert [run.id for run in (await journal.runs()).items] == [f"r{i}" for i in reversed(range(40))]
    seqs = [(await journal.run(f"r{i}")).event_seq for i in range(40)]
    assert seqs == sorted(set(seqs))


async def test_a_delivery_that_cannot_be_stored_leaves_those_alone_that_come_with_it(journal: Any) -> None:
    await journal.accept("crm", [(event("e1"), [NewRun("r1", "f", "1", "p")])])
    at_once = [
        journal.accept("crm", [(event("e1"), [NewRun("again", "f", "1", "p")])]),
        journal.accept("crm", [(event("e2"), [NewRun("r2", "f", "2", "no such plan")])]),
        journal.accept("crm", [(event("e3"), [NewRun("r3", "f", "3", "p")])]),
    ]
    known, refused, stored = await asyncio.gather(*at_once, return_exceptions=True)
    assert (known.runs, known.duplicates) == ((), 1)
    assert isinstance(refused, JournalError)
    assert (stored.runs, stored.duplicates) == (("r3",), 0)
    assert {run.id for run in (await journal.runs()).items} == {"r1", "r3"}


async def test_a_delivery_is_accepted_whole_or_not_at_all(journal: Any) -> None:
    arrivals = [
        (event("e1"), [NewRun("r1", "f", "k", "p")]),
        (event("e2"), [NewRun("r2", "f", "k", "no such plan")]),
    ]
    with pytest.raises(JournalError, match="run r2 names plan no such plan"):
        await journal.accept("crm", arrivals)
    assert (await journal.runs()).items == ()
    assert (await journal.accept("crm", [(event("e1"), [])])).duplicates == 0


async def test_one_event_can_start_several_flows(journal: Any) -> None:
    runs = [NewRun("a", "f", "k", "p"), NewRun("b", "g", "k", "p")]
    assert (await journal.accept("crm", [(event(), runs)])).runs == ("a", "b")
    assert (await journal.run("a")).event_seq == (await journal.run("b")).event_seq


async def test_an_instant_without_zone_is_refused(journal: Any) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the mistake under test
    with pytest.raises(ValueError, match="no time zone"):
        await journal.accept("crm", [(NewEvent("e", "t", "s", {}, naive), [])])


async def test_data_without_json_form_is_refused_before_anything_is_written(journal: Any) -> None:
    with pytest.raises(JournalError, match="no JSON form"):
        await journal.accept("crm", [(event(x=object()), [])])
    assert await journal.event(1) is None


async def test_a_plan_is_stored_once(journal: Any) -> None:
    await journal.store_plan("h", "f", {"rate": Decimal("1.20")})
    await journal.store_plan("h", "f", {"rate": Decimal("9.99")})
    assert await journal.plan("h") == {"rate": Decimal("1.20")}
    with pytest.raises(JournalError, match="no plan nothing"):
        await journal.plan("nothing")


async def test_a_replay_starts_with_its_steps_and_keeps_the_root(world: Any) -> None:
    first = await world.begin()
    await world.end(first, "dead")
    seq = first.row.event_seq
    replay = NewRun("again", "f", "k", "p", replay_of=first.row.id)
    assert await world.journal.add_run(replay, seq, [world.step("inherit", generation=1)]) == "again"
    claimed = await world.only()
    assert (claimed.row.id, claimed.row.root, claimed.row.replay_of) == ("again", first.row.id, first.row.id)
    assert [(s.seq, s.kind, s.data) for s in claimed.steps] == [(1, "inherit", {"generation": 1})]
    assert await world.write(claimed, "running", world.step()) == 2
    await world.end(claimed, "dead")
    await world.journal.add_run(NewRun("third", "f", "k", "p", replay_of="again"), seq)
    assert (await world.row("third")).root == first.row.id
    assert (await world.journal.replay_of(first.row.id)).id == "again"
    assert await world.journal.replay_of("third") is None


async def test_a_run_is_replayed_at_most_once(world: Any) -> None:
    first = await world.begin()
    await world.end(first, "dead")

    async def replay(name: str) -> str:
        new = NewRun(name, "f", "k", "p", replay_of=first.row.id)
        return str(await world.journal.add_run(new, first.row.event_seq))

    answers = await asyncio.gather(*(replay(f"again{i}") for i in range(5)), return_exceptions=True)
    [made] = [a for a in answers if isinstance(a, str)]
    refused = [a for a in answers if isinstance(a, AlreadyReplayed)]
    assert len(refused) == 4
    assert {a.existing for a in refused} == {made}


async def test_what_is_not_there_cannot_be_replayed(journal: Any) -> None:
    with pytest.raises(JournalError, match="no run ghost"):
        await journal.add_run(NewRun("r", "f", "k", "p", replay_of="ghost"), 1)
    with pytest.raises(JournalError, match="event 7, which is not stored"):
        await journal.add_run(NewRun("r", "f", "k", "p"), 7)
