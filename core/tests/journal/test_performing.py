"""The contract of a journal: claims, fences, checkpoints, locks."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import (
    Checkpoint,
    Claim,
    LeaseLost,
    LockHeld,
    NewRun,
    ObjectUse,
    RunUpdate,
    connection_wait,
    run_wait,
)


async def test_the_longest_due_run_is_claimed_first(world: Any) -> None:
    now = world.clock()
    await world.accept("a", run="late", due_at=now - timedelta(seconds=1))
    await world.accept("b", run="early", due_at=now - timedelta(seconds=9))
    await world.accept("c", run="future", due_at=now + timedelta(seconds=1))
    assert await world.claim_ids(limit=1) == ["early"]
    assert await world.claim_ids() == ["late"]
    assert await world.claim_ids() == []
    world.clock.advance(1)
    assert await world.claim_ids() == ["future"]


async def test_a_claim_brings_event_steps_and_fence(world: Any) -> None:
    claimed = await world.begin()
    assert (claimed.event.id, claimed.steps, claimed.taken_over) == ("e1", (), False)
    assert claimed.claim == Claim("r1", "me", 1)
    assert (claimed.row.owner, claimed.row.fence) == ("me", 1)
    assert claimed.row.lease_until == world.clock() + timedelta(seconds=30)
    await world.write(claimed, "waiting", world.step(total=Decimal("1.10")), due_at=world.clock(), release=True)
    again = await world.only()
    assert (again.claim.fence, again.taken_over, again.row.takeovers) == (2, False, 0)
    assert [(s.seq, s.kind, s.leg, s.data) for s in again.steps] == [
        (1, "apply", "invoice", {"total": Decimal("1.10")})
    ]
    assert await world.journal.steps("r1") == list(again.steps)


async def test_two_claimants_never_get_the_same_run(world: Any) -> None:
    names = {await world.accept(f"k{i}") for i in range(40)}
    got = await asyncio.gather(*(world.claim_ids(f"owner{i}", limit=7) for i in range(10)))
    flat = [name for part in got for name in part]
    assert sorted(flat) == sorted(names)


async def test_runs_of_one_key_come_one_after_another(world: Any) -> None:
    for name in ("first", "second", "third"):
        await world.accept(run=name)
    await world.accept("other", run="unrelated")
    got = await world.claim()
    assert [c.row.id for c in got] == ["first", "unrelated"]
    await world.write(got[0], "held", release=True)
    assert await world.claim_ids() == []
    held = await world.journal.claim_run("first", "me", world.clock(), timedelta(seconds=30))
    await world.end(held, "cancelled")
    assert await world.claim_ids() == ["second"]


async def test_the_same_key_in_another_flow_does_not_wait(world: Any) -> None:
    await world.accept(run="mine")
    seq = (await world.row("mine")).event_seq
    await world.journal.add_run(NewRun("theirs", "g", "k", "p"), seq)
    assert await world.claim_ids() == ["mine", "theirs"]


async def test_a_replay_goes_before_later_events_that_have_not_begun(world: Any) -> None:
    first = await world.begin()
    await world.accept(run="later")
    await world.end(first, "dead")
    replay = NewRun("again", "f", "k", "p", replay_of=first.row.id)
    await world.journal.add_run(replay, first.row.event_seq)
    again = await world.only()
    assert again.row.id == "again"
    await world.end(again)
    assert await world.claim_ids() == ["later"]


async def test_a_replay_never_cuts_into_a_run_that_has_begun(world: Any) -> None:
    first = await world.begin()
    await world.end(first, "dead")
    later = await world.begin()
    replay = NewRun("again", "f", "k", "p", replay_of=first.row.id)
    await world.journal.add_run(replay, first.row.event_seq)
    assert await world.claim_ids() == []
    await world.write(later, "waiting", due_at=world.clock(), release=True)
    later = await world.only()
    assert later.row.id != "again"
    await world.end(later)
    assert await world.claim_ids() == ["again"]


async def test_a_run_whose_lease_ran_out_is_taken_over_and_its_old_claim_is_void(world: Any) -> None:
    zombie = await world.begin(owner="zombie")
    world.clock.advance(29)
    assert await world.claim_ids("heir") == []
    world.clock.advance(1)
    heir = await world.only("heir")
    assert (heir.taken_over, heir.row.takeovers, heir.claim.fence) == (True, 1, 2)
    with pytest.raises(LeaseLost) as lost:
        await world.write(zombie, "dead", world.step(), ended=True)
    assert (lost.value.run_id, lost.value.fence) == ("r1", 1)
    assert await world.journal.steps("r1") == []
    assert (await world.row("r1")).status == "queued"
    assert await world.journal.heartbeat([zombie.claim, heir.claim], world.clock()) == [zombie.claim]
    assert await world.journal.release(zombie.claim, world.clock()) is False
    await world.end(heir)


async def test_an_expired_lease_still_counts_until_somebody_takes_over(world: Any) -> None:
    slow = await world.begin()
    world.clock.advance(300)
    assert await world.write(slow, "running", world.step()) == 1
    assert await world.claim_ids("heir") == []


async def test_a_heartbeat_prolongs_the_lease(world: Any) -> None:
    claimed = await world.begin()
    world.clock.advance(20)
    assert await world.journal.heartbeat([claimed.claim], world.clock() + timedelta(seconds=30)) == []
    world.clock.advance(20)
    assert await world.claim_ids("heir") == []


async def test_a_claim_given_back_is_void_and_no_takeover(world: Any) -> None:
    claimed = await world.begin()
    later = world.clock() + timedelta(seconds=5)
    assert await world.journal.release(claimed.claim, later) is True
    with pytest.raises(LeaseLost):
        await world.write(claimed)
    assert await world.claim_ids() == []
    world.clock.advance(5)
    again = await world.only()
    assert (again.taken_over, again.row.takeovers) == (False, 0)


async def test_the_leases_of_dead_owners_end_at_once(world: Any) -> None:
    await world.begin("a", owner="dead")
    await world.begin("b", owner="alive")
    assert await world.journal.release_dead(lambda owner: owner == "alive") == 1
    heir = await world.only("heir")
    assert (heir.row.key, heir.taken_over, heir.row.takeovers) == ("a", True, 1)
    assert await world.journal.release_dead(lambda _: True) == 0


async def test_one_run_can_be_claimed_by_name_only_if_it_is_free_and_its_turn(world: Any) -> None:
    journal, now, lease = world.journal, world.clock(), timedelta(seconds=30)
    await world.accept(run="first", due_at=now + timedelta(days=1))
    await world.accept(run="second")
    assert await journal.claim_run("second", "me", now, lease) is None
    assert (await journal.claim_run("first", "me", now, lease)).row.id == "first"
    assert await journal.claim_run("first", "you", now, lease) is None
    assert await journal.claim_run("ghost", "me", now, lease) is None


async def test_a_checkpoint_is_written_as_it_stands(world: Any) -> None:
    claimed = await world.begin()
    due = world.clock() + timedelta(seconds=7)
    error = {"kind": "transient", "message": "503"}
    count = await world.write(
        claimed, "waiting", world.step(), world.step("note"), due_at=due, error=error, leg="invoice",
        fingerprint="abc", waits_for=connection_wait("books"), release=True,
    )  # fmt: skip
    row = await world.row("r1")
    assert count == 2
    assert (row.status, row.due_at, row.error, row.leg) == ("waiting", due, error, "invoice")
    assert (row.fingerprint, row.waits_for, row.owner, row.lease_until) == ("abc", "connection:books", None, None)
    assert [s.seq for s in await world.journal.steps("r1")] == [1, 2]
    world.clock.advance(7)
    again = await world.only()
    await world.write(again, "running")
    row = await world.row("r1")
    assert (row.due_at, row.error, row.leg, row.waits_for, row.fingerprint) == (None, None, None, None, "abc")
    assert row.owner == "me"


async def test_a_checkpoint_keeps_or_prolongs_the_lease(world: Any) -> None:
    claimed = await world.begin()
    before = (await world.row("r1")).lease_until
    await world.journal.checkpoint(claimed.claim, [], RunUpdate("running"), None)
    assert (await world.row("r1")).lease_until == before
    world.clock.advance(10)
    await world.write(claimed)
    assert (await world.row("r1")).lease_until == before + timedelta(seconds=10)


@pytest.mark.parametrize("final", ["succeeded", "rolled_back", "dead", "ignored", "cancelled"])
async def test_a_run_that_ended_never_changes(world: Any, final: str) -> None:
    claimed = await world.begin()
    await world.end(claimed, final)
    row = await world.row("r1")
    assert (row.status, row.ended_at, row.owner, row.due_at) == (final, world.clock(), None, None)
    with pytest.raises(LeaseLost):
        await world.write(claimed, "running", world.step())
    assert await world.journal.add_step("r1", world.step("cancel", None), world.clock()) is False
    assert await world.journal.add_step("r1", world.step("resume"), world.clock()) is False
    assert await world.claim_ids() == []
    assert await world.row("r1") == row


async def test_a_lock_is_held_by_one_run_and_a_refused_checkpoint_writes_nothing(world: Any) -> None:
    holder = await world.begin("a")
    other = await world.begin("b")
    await world.write(holder, "running", world.step(), acquire=["books:acme"])
    with pytest.raises(LockHeld) as held:
        await world.write(other, "rolling_back", world.step(), acquire=["free", "books:acme"])
    assert (held.value.name, held.value.run_id) == ("books:acme", holder.row.id)
    assert await world.journal.steps(other.row.id) == []
    assert (await world.row(other.row.id)).status == "queued"
    third = await world.begin("c")
    await world.write(third, "running", acquire=["free"])


async def test_a_lock_can_be_taken_again_by_its_holder(world: Any) -> None:
    holder = await world.begin()
    await world.write(holder, acquire=["x"])
    await world.write(holder, acquire=["x"])
    other = await world.begin("other")
    with pytest.raises(LockHeld):
        await world.write(other, acquire=["x"])
    await world.write(holder, unlock=["x"])
    await world.write(other, acquire=["x"])


async def test_a_lock_survives_the_loss_of_its_performer(world: Any) -> None:
    await world.write(await world.begin("a"), acquire=["x"])
    world.clock.advance(31)
    heir = await world.only("heir")
    with pytest.raises(LockHeld):
        await world.write(await world.begin("b"), acquire=["x"])
    await world.write(heir, acquire=["x"])


async def test_a_dropped_lock_wakes_those_who_wait_for_it(world: Any) -> None:
    holder, waiter = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x", "y"])
    late = world.clock() + timedelta(hours=1)
    await world.write(waiter, "waiting", waits_for="x", due_at=late, release=True)
    assert await world.claim_ids() == []
    await world.write(holder, unlock=["y"])
    assert await world.claim_ids() == []
    await world.write(holder, unlock=["x"])
    again = await world.only()
    assert again.row.id == waiter.row.id
    await world.write(again, acquire=["x", "y"])


async def test_a_waking_never_puts_a_run_off(world: Any) -> None:
    holder, waiter = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    await world.write(waiter, "waiting", waits_for="x", due_at=world.clock(), release=True)
    since = world.clock()
    world.clock.advance(5)
    await world.write(holder, unlock=["x"])
    assert (await world.row(waiter.row.id)).due_at == since


async def test_only_its_holder_drops_a_lock(world: Any) -> None:
    holder, other = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    await world.write(other, unlock=["x"])
    with pytest.raises(LockHeld):
        await world.write(other, acquire=["x"])


async def test_a_run_that_ends_drops_all_its_locks(world: Any) -> None:
    holder, waiter = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x", "y"])
    await world.write(waiter, "waiting", waits_for="y", release=True)
    assert (await world.row(waiter.row.id)).due_at is None
    await world.end(holder, "dead")
    again = await world.only()
    await world.write(again, acquire=["x", "y"])


async def test_a_lock_dropped_before_the_wait_is_written_is_no_lost_wake_up(world: Any) -> None:
    holder, waiter = await world.begin("a"), await world.begin("b")
    await world.write(holder, acquire=["x"])
    with pytest.raises(LockHeld):
        await world.write(waiter, acquire=["x"])
    await world.end(holder)
    await world.write(waiter, "waiting", waits_for="x", release=True)
    assert await world.claim_ids() == [waiter.row.id]


async def test_a_persons_step_makes_a_waiting_run_due(world: Any) -> None:
    claimed = await world.begin()
    await world.write(claimed, "held", world.step(), release=True)
    assert await world.claim_ids() == []
    assert await world.journal.add_step("r1", world.step("resume", None), world.clock()) is True
    again = await world.only()
    assert [s.kind for s in again.steps] == ["apply", "resume"]


async def test_a_persons_step_during_a_step_is_counted_and_not_forgotten(world: Any) -> None:
    claimed = await world.begin()
    await world.journal.add_step("r1", world.step("resume", None), world.clock())
    assert await world.write(claimed, "running", world.step()) == 2
    await world.write(claimed, "held", release=True)
    again = await world.only()
    assert [(s.seq, s.kind) for s in again.steps] == [(1, "resume"), (2, "apply")]
    await world.write(again, "held", release=True)
    assert await world.claim_ids() == []


async def test_a_wish_to_cancel_reaches_runs_that_sleep_and_runs_that_work(world: Any) -> None:
    wish = world.step("cancel", None)
    asleep = await world.begin("a")
    tomorrow = world.clock() + timedelta(days=1)
    await world.write(asleep, "waiting", due_at=tomorrow, release=True)
    assert await world.journal.add_step(asleep.row.id, wish, world.clock()) is True
    woken = await world.only()
    assert (woken.row.id, woken.steps[-1].kind) == (asleep.row.id, "cancel")
    working = await world.begin("b")
    await world.journal.add_step(working.row.id, wish, world.clock())
    await world.journal.release(working.claim, tomorrow)
    assert await world.claim_ids() == [working.row.id]
    assert await world.journal.add_step("ghost", wish, world.clock()) is False


async def test_objects_are_shared_until_their_effect_is_taken_back(world: Any) -> None:
    journal = world.journal
    customer = ObjectUse("books", "customer", "58", "customer")
    maker, user = await world.begin("a"), await world.begin("b")
    await world.write(maker, objects_used=[customer])
    await world.write(maker, objects_used=[customer])
    root = maker.row.root
    assert await journal.other_users("books", "customer", "58", root) == []
    await world.write(user, objects_used=[customer])
    assert await journal.other_users("books", "customer", "58", root) == [user.row.id]
    assert await journal.other_users("books", "customer", "59", root) == []
    assert (await journal.origin("books", "customer", "58", "f")).id == user.row.id
    await world.end(user, "rolled_back", objects_released=[customer])
    assert await journal.other_users("books", "customer", "58", root) == []
    assert (await journal.origin("books", "customer", "58", "f")).id == maker.row.id
    assert await journal.origin("books", "customer", "58", "g") is None


async def test_the_end_of_a_run_wakes_who_waits_for_it(world: Any) -> None:
    awaited, waiter, other = [await world.begin(key) for key in "abc"]
    late = world.clock() + timedelta(hours=1)
    for run, waits_for in ((waiter, awaited), (other, waiter)):
        await world.write(run, "waiting", waits_for=run_wait(waits_for.row.id), due_at=late, release=True)
    assert await world.claim_ids() == []
    await world.end(awaited)
    assert await world.claim_ids() == [waiter.row.id]


@pytest.mark.parametrize("gone", [True, False])
async def test_a_run_that_waits_for_one_that_has_ended_already_goes_on_at_once(world: Any, gone: bool) -> None:
    awaited, waiter = await world.begin("a"), await world.begin("b")
    await world.end(awaited)
    late = world.clock() + timedelta(hours=1)
    name = "pruned" if gone else awaited.row.id
    await world.write(waiter, "waiting", waits_for=run_wait(name), due_at=late, release=True)
    assert await world.claim_ids() == [waiter.row.id]


@pytest.mark.parametrize("kind", [("apply", "intent"), ("inherit", "doubt")])
async def test_who_may_have_made_something_is_known_until_its_receipt_is(world: Any, kind: tuple[str, str]) -> None:
    async def making(**other: Any) -> str | None:
        asked = {
            "connection": "books",
            "object_": "invoice",
            "flow": "f",
            "actions": ["books.invoice.create"],
            "before": world.clock(),
        }
        row = await world.journal.making(**asked | other)
        return row.id if row else None

    maker = await world.begin("a")
    assert await making() is None
    sent = Checkpoint(kind[0], "invoice", kind[1], {"do": "books.invoice.create"}, world.clock())
    await world.write(maker, "running", sent)
    assert await making() == maker.row.id
    assert await making(before=world.clock() - timedelta(seconds=1)) is None
    assert await making(actions=["books.customer.create"]) is None
    assert await making(flow="g") is None
    await world.write(maker, objects_used=[ObjectUse("books", "invoice", "7", "another leg")])
    assert await making() == maker.row.id
    await world.write(maker, objects_used=[ObjectUse("books", "invoice", "8", "invoice")])
    assert await making() is None
    unknown = await world.begin("b")
    await world.write(unknown, "running", sent)
    assert await making() == unknown.row.id
    await world.end(unknown, "rolled_back")
    assert await making() is None


async def test_a_replay_is_no_other_user(world: Any) -> None:
    customer = ObjectUse("books", "customer", "58", "customer")
    first = await world.begin()
    await world.end(first, "dead", objects_used=[customer])
    await world.journal.add_run(NewRun("again", "f", "k", "p", replay_of=first.row.id), first.row.event_seq)
    again = await world.only()
    assert await world.journal.other_users("books", "customer", "58", again.row.root) == []
    assert await world.journal.other_users("books", "customer", "58", "else") == [first.row.id]


async def test_a_run_whose_rows_cannot_be_read_is_claimed_with_its_damage_beside_the_others(
    world: Any, sqlite_path: Path
) -> None:
    claimed = await world.begin("a")
    await world.write(claimed, "waiting", world.step(), due_at=world.clock(), release=True)
    await world.accept("b")
    with contextlib.closing(sqlite3.connect(sqlite_path)) as db, db:
        db.execute("UPDATE steps SET data = '{\"cut'")
        db.execute("UPDATE runs SET error = '{\"cut' WHERE id = 'r1'")
    damaged, whole = await world.claim()
    assert (damaged.row.id, damaged.steps, damaged.damage is not None) == ("r1", (), True)
    assert damaged.row.error["kind"] == "damaged"
    assert (whole.row.id, whole.damage) == ("r2", None)


async def test_runs_behind_one_that_waits_for_a_person_are_named(world: Any) -> None:
    head = await world.begin("a")
    await world.accept("a")
    assert await world.journal.blocked() == []
    await world.write(head, "in_doubt", acquire=["books:customer acme"], release=True)
    other = await world.begin("b")
    await world.write(other, "waiting", waits_for="books:customer acme", release=True)
    follower = await world.begin("d")
    await world.write(follower, "waiting", waits_for=run_wait("r1"), release=True)
    free = await world.begin("c")
    blocked = await world.journal.blocked()
    assert {(b.row.id, b.behind, b.behind_status) for b in blocked} == {
        ("r2", "r1", "in_doubt"),
        (other.row.id, "r1", "in_doubt"),
        (follower.row.id, "r1", "in_doubt"),
    }
    assert free.row.id not in {b.row.id for b in blocked}
