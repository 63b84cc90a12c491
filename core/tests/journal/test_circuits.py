"""When a connection is closed, who tries it again, and when it opens; by a clock that the tests turn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from crossdock.circuits import FIRST_PROBE, LONG_WISH, OUTAGE_FAILURES, OUTAGE_RUNS, Circuits
from crossdock.journal.base import RunRow, connection_wait
from crossdock.saga import AUTH_PROBE

SILENT = {"kind": "unavailable", "message": "503", "status": 503}
REFUSED = {"kind": "auth", "message": "401", "status": 401}
BOOKS = connection_wait("books")
KEYS = [f"{n}" for n in range(OUTAGE_RUNS)]


def process(world: Any) -> Circuits:
    """The circuits as one server process has them."""
    return Circuits(world.journal, world.clock)


async def rows_of(world: Any, *keys: str) -> list[RunRow]:
    """Runs that are in hand."""
    return [(await world.begin(key)).row for key in keys]


async def fail(circuits: Circuits, error: dict[str, Any], row: RunRow, times: int = 1) -> None:
    for _ in range(times):
        await circuits.heed("books", error, row, ("slack",))


async def silence(world: Any, circuits: Circuits, prefix: str = "") -> list[RunRow]:
    """As many failures as an outage takes; the runs that had them, which wait from then on."""
    claimed = [await world.begin(prefix + key) for key in KEYS]
    for n in range(OUTAGE_FAILURES):
        await fail(circuits, SILENT, claimed[n % len(claimed)].row)
    for one in claimed:
        await wait(world, one)
    return [one.row for one in claimed]


async def wait(world: Any, claimed: Any) -> None:
    await world.write(claimed, "waiting", waits_for=BOOKS, release=True)


async def status(world: Any) -> str:
    return str((await world.journal.connection_state("books")).status)


async def alerts(world: Any) -> list[str]:
    due = await world.journal.due_alerts(world.clock(), hold=timedelta())
    return [alert.data["alert"]["title"] for alert in due]


async def test_failures_of_few_runs_are_their_own(world: Any) -> None:
    circuits = process(world)
    *few, last = await rows_of(world, *KEYS)
    for row in few:
        await fail(circuits, SILENT, row, times=OUTAGE_FAILURES)
    assert await status(world) == "active"
    await fail(circuits, SILENT, last)
    assert await status(world) == "down"


@pytest.mark.parametrize("answer", [None, {"kind": "rejected", "message": "no", "status": 400}])
async def test_any_answer_begins_the_count_anew(world: Any, answer: dict[str, Any] | None) -> None:
    circuits = process(world)
    rows = await rows_of(world, *KEYS)
    for n in range(3 * OUTAGE_FAILURES):
        await fail(circuits, SILENT, rows[n % OUTAGE_RUNS])
        if n % (OUTAGE_FAILURES - 1) == 0:
            await circuits.heed("books", answer, rows[0], ())
    assert await status(world) == "active"


@pytest.mark.parametrize("kind", ["throttled", "config", "mapping"])
async def test_what_never_reached_the_vendor_is_no_answer_of_it(world: Any, kind: str) -> None:
    circuits = process(world)
    rows = await rows_of(world, *KEYS)
    for n in range(OUTAGE_FAILURES):
        await fail(circuits, SILENT, rows[n % OUTAGE_RUNS])
        await fail(circuits, {"kind": kind, "message": "ours"}, rows[0])
    assert await status(world) == "down"


async def test_an_outage_is_told_once_whoever_finds_it(world: Any) -> None:
    here, there = process(world), process(world)
    await silence(world, here)
    await silence(world, there, "b")
    assert await alerts(world) == ["connection books is down: its vendor does not answer"]


async def test_every_process_keeps_off_and_a_known_outage_costs_no_try(world: Any) -> None:
    here, there = process(world), process(world)
    assert here.is_outage("books", SILENT) is False
    await silence(world, here)
    await there.probe()
    for circuits in (here, there):
        assert await circuits.must_wait("books", "another") is True
        assert await circuits.must_wait("crm", "another") is False
        assert circuits.is_outage("books", SILENT) is True
        assert circuits.is_outage("books", {"kind": "rejected", "message": "no", "status": 400}) is False
        assert circuits.is_outage("books", {"kind": "transient", "message": "busy", "status": 429}) is False


async def test_one_run_tries_again_and_the_pause_grows_each_time_it_fails(world: Any) -> None:
    circuits = process(world)
    rows = await silence(world, circuits)
    pauses = []
    for _ in range(3):
        closed = await world.journal.connection_state("books")
        assert closed.probe_at is not None
        pauses.append(closed.probe_at - world.clock())
        world.clock.advance(pauses[-1].total_seconds() - 0.001)
        assert await circuits.probe() is False
        world.clock.advance(0.001)
        assert await circuits.probe() is True
        scout = await world.only()
        assert await circuits.lifted(BOOKS, scout.row.id) is True
        assert [await circuits.must_wait("books", row.id) for row in rows if row.id != scout.row.id] == [True, True]
        await fail(circuits, SILENT, scout.row)
        await wait(world, scout)
    assert pauses == [FIRST_PROBE, 2 * FIRST_PROBE, 4 * FIRST_PROBE]
    assert len(await alerts(world)) == 1


async def test_only_the_scout_opens_and_then_all_go_on_everywhere(world: Any) -> None:
    here, there = process(world), process(world)
    rows = await silence(world, here)
    world.clock.advance(FIRST_PROBE.total_seconds())
    await here.probe()
    await there.probe()
    scout = await world.only()
    late = next(row for row in rows if row.id != scout.row.id)
    await here.heed("books", None, late, ())
    assert await status(world) == "down"
    assert await here.must_wait("books", scout.row.id) is False
    await here.heed("books", None, scout.row, ())
    assert await status(world) == "active"
    assert [await circuits.must_wait("books", late.id) for circuits in (here, there)] == [False, False]
    world.clock.advance(1)
    assert len(await world.claim_ids()) == len(rows) - 1


async def test_refused_credentials_close_at_once_and_are_tried_seldom(world: Any) -> None:
    circuits = process(world)
    await fail(circuits, REFUSED, *await rows_of(world, "a"))
    state = await world.journal.connection_state("books")
    assert (state.status, state.probe_at) == ("paused", world.clock() + AUTH_PROBE)
    assert await alerts(world) == ["connection books is paused: its credentials are refused"]
    assert circuits.is_outage("books", SILENT) is True


async def test_a_vendor_that_asks_for_a_long_pause_gets_it_and_somebody_knows(world: Any) -> None:
    circuits = process(world)
    wish = 2 * LONG_WISH
    told = {"kind": "transient", "message": "locked out", "status": 429, "retry_after": wish.total_seconds()}
    await fail(circuits, told | {"retry_after": (LONG_WISH / 2).total_seconds()}, *await rows_of(world, "a"))
    assert await status(world) == "active"
    await fail(circuits, told, *await rows_of(world, "b"))
    state = await world.journal.connection_state("books")
    assert (state.status, state.probe_at) == ("down", world.clock() + wish)
    assert len(await alerts(world)) == 1


async def test_a_new_configuration_tries_at_once_and_forgets_what_it_does_not_have(world: Any) -> None:
    circuits = process(world)
    claimed = await world.begin()
    await fail(circuits, REFUSED, claimed.row)
    await wait(world, claimed)
    await circuits.reloaded({"books"})
    assert await circuits.probe() is True
    await circuits.reloaded({"crm"})
    assert await status(world) == "active"


async def test_no_other_run_is_sent_while_the_scout_is_still_at_the_vendor(world: Any) -> None:
    circuits = process(world)
    await silence(world, circuits)
    world.clock.advance(FIRST_PROBE.total_seconds())
    assert await circuits.probe() is True
    scout = await world.only()
    world.clock.advance(10 * FIRST_PROBE.total_seconds())
    assert await circuits.probe() is False
    assert await circuits.must_wait("books", scout.row.id) is False
    await circuits.heed("books", None, scout.row, ())
    assert await status(world) == "active"
