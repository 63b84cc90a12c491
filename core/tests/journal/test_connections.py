"""The contract of a journal: connections that may not be used, and the runs that wait for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from crossdock.journal.base import ConnectionState, NewAlert, connection_wait

BOOKS = connection_wait("books")


def closed(world: Any, status: str = "down", reason: str = "no answer", after: float = 5) -> ConnectionState:
    now = world.clock()
    return ConnectionState("books", status, reason, now, probe_at=now + timedelta(seconds=after))


async def waiting(world: Any, *keys: str) -> list[str]:
    names = []
    for key in keys:
        claimed = await world.begin(key)
        await world.write(claimed, "waiting", waits_for=BOOKS, release=True)
        names.append(claimed.row.id)
    return names


async def test_a_connection_is_active_until_it_is_closed_and_closed_once(world: Any) -> None:
    journal = world.journal
    assert await journal.connection_state("books") == ConnectionState("books")
    first, told = closed(world), [NewAlert("a", {}, world.clock())]
    assert await journal.close_connection(first, told) is True
    world.clock.advance(9)
    assert await journal.close_connection(closed(world, reason="again"), [NewAlert("b", {}, world.clock())]) is False
    assert await journal.connection_state("books") == first
    assert await journal.closed_connections() == [first]
    alerts = await journal.due_alerts(world.clock(), hold=timedelta(seconds=1))
    assert [alert.id for alert in alerts] == ["a"]


@pytest.mark.parametrize(("before", "after", "changes"), [("down", "paused", True), ("paused", "down", False)])
async def test_refused_credentials_are_worse_than_no_answer(world: Any, before: str, after: str, changes: bool) -> None:
    assert await world.journal.close_connection(closed(world, before)) is True
    assert await world.journal.close_connection(closed(world, after)) is changes
    assert (await world.journal.connection_state("books")).status == "paused"


async def test_an_open_connection_wakes_its_runs_one_after_the_other_also_if_they_come_late(world: Any) -> None:
    first, second, late = await world.begin("a"), await world.begin("b"), await world.begin("c")
    await world.journal.close_connection(closed(world))
    for claimed in (first, second):
        await world.write(claimed, "waiting", waits_for=BOOKS, release=True)
    assert await world.claim_ids() == []
    await world.journal.open_connection("books", world.clock())
    assert await world.journal.closed_connections() == []
    assert await world.claim_ids() == [first.row.id]
    world.clock.advance(0.02)
    assert await world.claim_ids() == [second.row.id]
    await world.write(late, "waiting", waits_for=BOOKS, release=True)
    assert await world.claim_ids() == [late.row.id]


async def test_one_waiting_run_is_sent_when_it_is_time_and_another_if_nothing_is_heard_of_it(world: Any) -> None:
    journal = world.journal
    first, second = await waiting_behind(world, "a", "b")
    now = world.clock()
    assert await journal.send_scout("books", now, now + timedelta(seconds=7)) is None
    now = world.clock.advance(5)
    assert await journal.send_scout("books", now, now + timedelta(seconds=7)) == first
    assert await journal.send_scout("books", now, now + timedelta(seconds=7)) is None
    state = await journal.connection_state("books")
    assert (state.scout, state.probe_at) == (first, now + timedelta(seconds=7))
    assert await world.claim_ids() == [first]
    now = world.clock.advance(7)
    assert await journal.send_scout("books", now, now + timedelta(seconds=7)) is None, "it is still at the vendor"
    await journal.release_dead(lambda owner: False)
    await world.write(await world.only(), "waiting", waits_for=BOOKS, release=True)
    assert await journal.send_scout("books", now, now + timedelta(seconds=7)) == second


async def waiting_behind(world: Any, *keys: str) -> list[str]:
    await world.journal.close_connection(closed(world))
    return await waiting(world, *keys)


async def test_a_failed_scout_puts_the_next_one_off_and_an_old_one_does_not(world: Any) -> None:
    journal = world.journal
    (run,) = await waiting_behind(world, "a")
    now = world.clock.advance(5)
    await journal.send_scout("books", now, now + timedelta(seconds=7))
    await journal.postpone_probe("books", "another", now + timedelta(seconds=99), "theirs")
    assert (await journal.connection_state("books")).scout == run
    await journal.postpone_probe("books", run, now + timedelta(seconds=10), "revoked")
    state = await journal.connection_state("books")
    assert (state.scout, state.probes, state.probe_at) == (None, 1, now + timedelta(seconds=10))
    assert state.reason == "revoked"
    await journal.hasten_probe("books", now)
    state = await journal.connection_state("books")
    assert (state.probes, state.probe_at) == (0, now)


async def test_what_is_not_closed_needs_no_scout(world: Any) -> None:
    journal, now = world.journal, world.clock()
    await journal.hasten_probe("books", now)
    await journal.postpone_probe("books", "r1", now, "no")
    await journal.open_connection("books", now)
    assert await journal.send_scout("books", now, now) is None
    assert await journal.connection_state("books") == ConnectionState("books")
