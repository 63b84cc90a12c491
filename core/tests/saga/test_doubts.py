"""What the rules make of writes whose fate is unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from crossdock.saga import (
    Apply,
    End,
    LegPlan,
    Plan,
    Recover,
    Stop,
    Undo,
    Verify,
    Wait,
    decide,
    left_open,
    reports,
)
from crossdock.state import Phase, Status, leg_key
from crossdock_sdk import Redo
from saga_world import EVERY, World, in_doubt, one, plan_of, replayed


def test_a_write_in_doubt_is_looked_up_and_never_blindly_repeated() -> None:
    world = World(one(Redo.LOOKUP), ["ok", "ambiguous_applied"])
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert [type(d) for d in world.decisions if not isinstance(d, Wait)][2:] == [Apply, Recover, End]
    assert world.live("leg0") == 1


def test_what_a_crash_cut_off_is_not_looked_for_before_it_can_have_arrived() -> None:
    world = World(one(Redo.LOOKUP), ["ok", "crash_after"])
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    sent = next(s.at for s in world.steps if s.phase == "intent")
    assert Wait(sent + timedelta(seconds=5), Status.WAITING) in world.decisions
    assert world.live("leg0") == 1


@pytest.mark.parametrize("fault", ["ambiguous_applied", "unavailable_applied"])
def test_a_write_that_may_still_be_at_work_is_not_looked_for_at_once(fault: str) -> None:
    world = World(one(Redo.LOOKUP), ["ok", fault])
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    failed = next(s.at for s in world.steps if s.phase == "failed")
    assert Wait(failed + timedelta(seconds=5), Status.WAITING) in world.decisions
    looked = next(s.at for s in world.steps if s.kind == "recover")
    assert looked >= failed + timedelta(seconds=5)


def test_an_unsafe_write_in_doubt_stops_and_tells_a_person_once() -> None:
    world = World(one(Redo.UNSAFE), ["ok", "ambiguous_applied"])
    assert world.drive() == Stop(Status.IN_DOUBT, alert=True)
    assert decide(world.plan, world.run, world.now) == Stop(Status.IN_DOUBT, alert=False)


@pytest.mark.parametrize("redo", [Redo.NATIVE_KEY, Redo.UPSERT, Redo.LOOKUP])
def test_a_503_is_no_proof_so_it_is_looked_for_before_it_is_given_up(redo: Redo) -> None:
    world = World(one(redo), ["ok", *["unavailable_applied"] * (2 if redo is Redo.LOOKUP else 4)])
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.live("leg0") == 1
    world = World(
        one(redo), ["ok"] + ["unavailable_lost", "ok"] * 4 if redo is Redo.LOOKUP else ["unavailable_lost"] * 5
    )
    assert world.drive().status is Status.ROLLED_BACK  # type: ignore[union-attr]
    assert isinstance(world.decisions[-2], Recover)


def test_what_a_person_has_taken_away_by_hand_is_made_anew_by_a_replay() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", "rejected"])
    assert first.drive() == End(Status.DEAD, alert=True)
    first.held["leg0"] = dict.fromkeys(first.held["leg0"], False)
    again = replayed(first)
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert [d for d in again.decisions if isinstance(d, (Verify, Apply))][:2] == [Verify("leg0"), Apply("leg0")]
    assert (again.live("leg0"), again.live("leg1")) == (1, 1)


def test_a_doubt_elsewhere_is_settled_before_anything_is_undone() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback"), (Redo.NATIVE_KEY, "rollback")])
    world = World(plan, ["ok", "rejected"], replay_of="r1")
    world.held["leg1"] = {leg_key("r1", "leg1", 0): True}
    world.say("inherit", "leg1", "doubt", generation=0, input={"a": 1})
    assert world.drive() == End(Status.ROLLED_BACK, alert=True)
    assert [type(d) for d in world.decisions if isinstance(d, (Apply, Undo))] == [Apply, Apply, Undo]
    assert (world.live("leg0"), world.live("leg1")) == (0, 0)


@pytest.mark.parametrize("kind", ["config", "mapping"])
def test_what_fails_before_it_is_asked_settles_no_503(kind: str) -> None:
    world = World(one(Redo.NATIVE_KEY), ["ok", "unavailable_applied"])
    while not world.run.leg("leg0").unproven:
        world.perform(decide(world.plan, world.run, world.now))
    world.fail("apply", "leg0", kind)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.live("leg0") == 1


def test_a_leg_that_stands_but_would_be_written_otherwise_now_is_for_a_person() -> None:
    world = World(one(Redo.NATIVE_KEY), [])
    world.say("hydrate", None, "done", records={})
    world.say("plan", None, "done", changed=["leg0"])
    assert world.drive() == Stop(Status.HELD, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)


@pytest.mark.parametrize("first", ["ambiguous_applied", "crash_after"])
def test_a_refused_repeat_of_an_upsert_is_asked_about_for_the_first_may_stand(first: str) -> None:
    world = World(one(Redo.UPSERT), ["ok", first, "rejected"])
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert [d for d in world.decisions if isinstance(d, (Apply, Recover))] == [
        Apply("leg0"),
        Apply("leg0", redo=True),
        Recover("leg0"),
    ]
    assert world.live("leg0") == 1


def test_a_refused_repeat_of_an_upsert_that_is_not_there_has_failed() -> None:
    world = World(one(Redo.UPSERT), ["ok", "ambiguous_lost", "rejected"])
    assert world.drive() == End(Status.ROLLED_BACK, alert=True)
    assert [r.state for r in reports(world.plan, world.run)] == ["failed"]
    assert world.live("leg0") == 0


def test_a_refused_repeat_of_an_upsert_that_cannot_be_asked_about_is_for_a_person() -> None:
    plan = Plan((LegPlan("leg0", Redo.UPSERT),))
    world = World(plan, ["ok", "ambiguous_applied", "rejected"])
    assert world.drive() == Stop(Status.IN_DOUBT, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)


@pytest.mark.parametrize("redo", EVERY)
def test_what_a_person_names_is_read_at_the_vendor_and_taken_for_the_legs_own(redo: Redo) -> None:
    world = in_doubt(redo)
    world.say("resolve", "leg0", "done", exists="7")
    assert decide(world.plan, world.run, world.now) == Recover("leg0", "7")
    world.say("recover", "leg0", "done", receipt=None, named=None)
    assert decide(world.plan, world.run, world.now) == Recover("leg0", "7")
    world.say("recover", "leg0", "done", receipt={"id": "7"}, named="7")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.live("leg0") == 0


@pytest.mark.parametrize("redo", EVERY)
def test_what_a_person_says_is_not_there_is_written(redo: Redo) -> None:
    world = in_doubt(redo)
    world.say("resolve", "leg0", "done", exists=None)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.live("leg0") == 1


def test_what_a_person_names_and_nobody_finds_settles_nothing() -> None:
    world = in_doubt(Redo.UNSAFE)
    world.say("resolve", "leg0", "done", exists="404")
    world.fail("recover", "leg0", "not_found")
    assert world.drive() == Stop(Status.IN_DOUBT, alert=True)


def test_what_the_vendor_has_answered_counts_for_more_than_what_a_person_saw() -> None:
    world = World(one(Redo.UPSERT), [])
    while world.run.leg("leg0").phase is not Phase.APPLIED:
        world.perform(decide(world.plan, world.run, world.now))
    world.say("resolve", "leg0", "done", exists=None)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)


def test_a_doubt_that_the_vendor_does_not_settle_is_asked_again_for_ever_with_one_alert() -> None:
    world = World(one(Redo.NATIVE_KEY), ["ok", "ambiguous_applied"] + ["transient"] * 50)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.alerts == [Status.IN_DOUBT]
    assert world.live("leg0") == 1


def test_a_held_leg_that_stands_amiss_is_taken_back_and_written_anew_when_a_person_lets_it_go_on() -> None:
    world = World(one(Redo.NATIVE_KEY, "hold"), ["ok", "discrepancy"])
    assert world.drive() == Stop(Status.HELD, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert (world.run.leg("leg0").generation, world.live("leg0")) == (1, 1)


@pytest.mark.parametrize("redo", [Redo.LOOKUP, Redo.NATIVE_KEY])
def test_a_wish_to_cancel_makes_nobody_look_before_the_write_can_have_arrived(redo: Redo) -> None:
    world = World(one(redo), ["ok", "unavailable_applied"])
    while not world.run.leg("leg0").unproven:
        world.perform(decide(world.plan, world.run, world.now))
    lost = world.now
    world.say("cancel", None, "done")
    assert decide(world.plan, world.run, world.now) == Wait(lost + timedelta(seconds=5), Status.WAITING)
    assert world.drive() == End(Status.CANCELLED, alert=False)
    assert world.live("leg0") == 0


def test_what_a_performer_left_behind_is_not_looked_for_before_it_can_have_arrived() -> None:
    """It may have been at work on it for long: what counts is when it vanished, not when it began."""
    world = World(one(Redo.LOOKUP), ["ok", "crash_after"])
    while world.run.leg("leg0").phase is not Phase.SENT:
        world.perform(decide(world.plan, world.run, world.now))
    world.now += timedelta(seconds=60)
    world.say("takeover", None, "done")
    assert decide(world.plan, world.run, world.now) == Wait(world.now + timedelta(seconds=5), Status.WAITING)


@pytest.mark.parametrize(
    ("redo", "kind", "status", "repeated", "left"),
    [
        (Redo.NATIVE_KEY, "rejected", 409, True, ("ambiguous", False)),
        (Redo.NATIVE_KEY, "rejected", 409, False, ("rejected", False)),
        (Redo.NATIVE_KEY, "rejected", 400, True, ("rejected", False)),
        (Redo.LOOKUP, "rejected", 409, True, ("rejected", False)),
        (Redo.UPSERT, "rejected", 409, True, ("rejected", True)),
        (Redo.UPSERT, "rejected", 409, False, ("rejected", False)),
        (Redo.UNSAFE, "unavailable", 503, False, ("ambiguous", False)),
        (Redo.LOOKUP, "unavailable", 503, False, ("unavailable", False)),
    ],
)
def test_what_a_failure_leaves_open(redo: Redo, kind: str, status: int, repeated: bool, left: tuple[str, bool]) -> None:
    said = left_open(redo, {"kind": kind, "status": status, "message": "no"}, repeated=repeated)
    assert (said["error"]["kind"], said.get("unsettled", False)) == left
    assert said["error"]["message"] == "no"
