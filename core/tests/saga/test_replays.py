"""What the rules make of what an earlier run, or an undo, has left."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock.config.models import RetryPolicy
from crossdock.heritage import heritage
from crossdock.journal.rows import Checkpoint
from crossdock.saga import (
    Apply,
    Decision,
    End,
    LegPlan,
    Plan,
    Stop,
    Undo,
    Wait,
    decide,
    reports,
)
from crossdock.state import Run, Status, fold
from crossdock_sdk import Redo
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_world import MOSTLY_WELL, START, World, legs, one, plan_of, replayed


@settings(max_examples=300, deadline=None)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=30))
def test_a_replay_takes_over_what_stands_and_makes_the_rest_once(
    shape: list[tuple[Redo, Any]], script: list[str]
) -> None:
    first = World(plan_of(shape), list(script))
    last = first.drive()
    if not isinstance(last, End) or last.status is Status.SUCCEEDED:
        return
    again = World(first.plan, [], held=first.held, applies=first.applies, replay_of="r1")
    for item in heritage(first.run):
        again.say("inherit", item.leg, item.phase, generation=item.generation, receipt=item.receipt)
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    for leg in first.plan.legs:
        assert again.live(leg.name) == 1


def test_what_a_standing_leg_rests_on_stands_too() -> None:
    rests = LegPlan("leg1", Redo.NATIVE_KEY, reads=frozenset({"leg0"}))
    plan = Plan((LegPlan("leg0", Redo.NATIVE_KEY), rests, LegPlan("leg2", Redo.NATIVE_KEY)))
    world = World(plan, ["ok", "ok", "ok", "rejected", "rejected"])
    assert world.drive() == End(Status.DEAD, alert=True)
    assert [(r.leg, r.state) for r in reports(plan, world.run)] == [
        ("leg0", "stands"),
        ("leg1", "stands"),
        ("leg2", "failed"),
    ]
    assert not [d for d in world.decisions if d == Undo("leg0")]


def test_what_may_have_been_undone_unseen_is_undone_again_and_written_anew_by_a_replay() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", *["ambiguous_applied"] * 4])
    assert first.drive() == End(Status.DEAD, alert=True)
    assert [r.state for r in reports(first.plan, first.run)] == ["in doubt", "failed"]
    again = replayed(first)
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert [d for d in again.decisions if isinstance(d, (Apply, Undo))][:2] == [Undo("leg0"), Apply("leg0")]
    assert (again.live("leg0"), again.live("leg1")) == (1, 1)


def test_an_undo_that_may_have_been_applied_before_it_was_refused_is_not_taken_for_a_standing_write() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", "ambiguous_applied"])
    while not any(s.kind == "undo" and s.phase == "failed" for s in first.steps):
        decision = decide(first.plan, first.run, first.now)
        if isinstance(decision, Wait):
            first.now = decision.until
        else:
            first.perform(decision)
    first.fail("undo", "leg0", "rejected")
    assert first.drive() == End(Status.DEAD, alert=True)
    assert [r.state for r in reports(first.plan, first.run)] == ["in doubt", "failed"]
    again = replayed(first)
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert (again.live("leg0"), again.live("leg1")) == (1, 1)


def test_ignore_is_for_a_key_that_has_succeeded() -> None:
    plan = Plan(one(Redo.NATIVE_KEY).legs, again="ignore")
    world = World(plan, [])
    world.say("hydrate", None, "done", records={})
    world.say("plan", None, "done", again={"run": "r0", "same": False, "succeeded": False, "stands": []})
    assert world.drive() == Stop(Status.HELD, alert=True)


def test_what_stands_in_a_leg_that_the_flow_has_no_longer_is_no_clean_ending() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", "rejected"])
    assert first.drive() == End(Status.DEAD, alert=True)
    again = replayed(first, Plan((LegPlan("other", Redo.NATIVE_KEY),)))
    again.say("cancel", None, "done")
    assert again.drive() == End(Status.DEAD, alert=True)
    assert ("leg0", "stands") in [(r.leg, r.state) for r in reports(again.plan, again.run)]


def test_a_replay_over_something_that_stands_is_never_ignored_in_silence() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", "rejected"])
    first.drive()
    again = replayed(first)
    for kind, facts in (
        ("inherit", {}),
        ("hydrate", {"records": {}}),
        ("plan", {"again": {"run": "r0", "same": True}}),
    ):
        again.say(kind, None, "done", **facts)
    assert again.drive() == Stop(Status.HELD, alert=True)


def test_undo_goes_newest_first() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback")] * 3)
    world = World(plan, ["ok", "ok", "ok", "rejected"])
    assert world.drive() == End(Status.ROLLED_BACK, alert=True)
    assert [d for d in world.decisions if isinstance(d, Undo)] == [Undo("leg1"), Undo("leg0")]


def test_a_leg_that_cannot_be_undone_makes_the_run_dead_and_the_others_are_undone_all_the_same() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback")] * 3)
    world = World(plan, ["ok", "ok", "ok", "rejected", "rejected", "ok"])
    assert world.drive() == End(Status.DEAD, alert=True)
    assert [r.state for r in reports(plan, world.run)] == ["undone", "stands", "failed"]


def test_an_optional_leg_that_took_effect_amiss_is_undone_alone() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback"), (Redo.LOOKUP, "skip")])
    world = World(plan, ["ok", "ok", "discrepancy"])
    assert world.drive() == End(Status.SUCCEEDED, alert=True)
    assert (world.live("leg0"), world.live("leg1")) == (1, 0)


@pytest.mark.parametrize(
    ("again", "same", "expected"),
    [
        ("hold", True, End(Status.IGNORED, alert=False)),
        ("hold", False, Stop(Status.HELD, alert=True)),
        ("ignore", False, End(Status.IGNORED, alert=False)),
        ("allow", True, Apply("leg0")),
    ],
)
def test_a_second_win_of_the_same_key(again: Any, same: bool, expected: Decision) -> None:
    plan = Plan(one(Redo.NATIVE_KEY).legs, RetryPolicy(), again)
    run = fold(
        Run(id="r2", root="r2"),
        [
            Checkpoint("hydrate", None, "done", {"records": {}}, START),
            Checkpoint("plan", None, "done", {"again": {"run": "r1", "same": same}}, START),
        ],
    )
    assert decide(plan, run, START) == expected


def test_a_replay_after_rollback_uses_a_new_key_since_the_old_one_gets_the_old_reply() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected"])
    assert first.drive() == End(Status.ROLLED_BACK, alert=True)
    assert [(h.phase, h.generation) for h in heritage(first.run)] == [("fresh", 1), ("fresh", 1)]


def test_a_replay_takes_back_what_stands_amiss_before_it_writes_anew() -> None:
    first = World(one(Redo.NATIVE_KEY), ["ok", "discrepancy", *["transient"] * 4])
    assert first.drive() == End(Status.DEAD, alert=True)
    (item,) = heritage(first.run)
    assert (item.phase, item.generation) == ("amiss", 0)
    again = World(first.plan, [], held=first.held, replay_of="r1")
    again.say("inherit", item.leg, item.phase, generation=0, receipt=item.receipt)
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert [d for d in again.decisions if isinstance(d, (Apply, Undo))] == [Undo("leg0"), Apply("leg0")]
    assert again.run.leg("leg0").generation == 1
    assert again.live("leg0") == 1


def test_what_is_refused_to_be_undone_is_no_success_of_a_replay() -> None:
    first = World(one(Redo.NATIVE_KEY), ["ok", "discrepancy", "rejected"])
    assert first.drive() == End(Status.DEAD, alert=True)
    (item,) = heritage(first.run)
    again = World(first.plan, ["ok", "rejected"], held=first.held, replay_of="r1")
    again.say("inherit", item.leg, item.phase, generation=0, receipt=item.receipt)
    assert again.drive() == End(Status.DEAD, alert=True)


def test_once_an_undo_has_begun_there_is_no_way_forward_whoever_asks() -> None:
    world = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 2), ["ok", "ok", "rejected", "crash_after"])
    while not any(s.kind == "undo" for s in world.steps):
        world.perform(decide(world.plan, world.run, world.now))
    world.say("resume", None, "done")
    assert world.drive() == End(Status.ROLLED_BACK, alert=True)
    assert (world.live("leg0"), world.live("leg1")) == (0, 0)


def from_leg(first: World, leg: str, script: list[str]) -> World:
    """A replay of an ended run that makes this leg and those after it again."""
    names = [one.name for one in first.plan.legs]
    again = World(first.plan, script, held=first.held, applies=first.applies, replay_of="r1")
    again.say("retake", leg, "done", retake=names[names.index(leg) :])
    for item in heritage(first.run):
        again.say("inherit", item.leg, item.phase, generation=item.generation, receipt=item.receipt)
    return again


def written(world: World) -> list[Decision]:
    return [decision for decision in world.decisions if isinstance(decision, (Apply, Undo))]


def test_from_a_leg_on_what_was_made_is_taken_back_newest_first_and_made_again() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 3), [])
    assert first.drive() == End(Status.SUCCEEDED, alert=False)
    again = from_leg(first, "leg1", [])
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert written(again) == [Undo("leg2"), Undo("leg1"), Apply("leg1"), Apply("leg2")]
    assert [again.live(leg.name) for leg in first.plan.legs] == [1, 1, 1]
    assert [again.run.leg(leg.name).generation for leg in first.plan.legs] == [0, 1, 1]


def test_what_cannot_be_taken_back_is_not_made_twice_and_nothing_else_is_lost_over_it() -> None:
    first = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 3), [])
    first.drive()
    again = from_leg(first, "leg1", [])
    while (work := decide(again.plan, again.run, again.now)) != Undo("leg1"):
        again.decisions.append(work)
        again.perform(work)
    again.script = ["rejected"]
    assert again.drive() == Stop(Status.HELD, alert=True)
    assert written(again) == [Undo("leg2"), Undo("leg1")]
    assert [again.live(leg.name) for leg in first.plan.legs] == [1, 1, 0]
    again.say("resume", None, "done")
    assert again.drive() == End(Status.SUCCEEDED, alert=False)
    assert written(again)[2:] == [Undo("leg1"), Apply("leg1"), Apply("leg2")]


@settings(max_examples=300, deadline=None)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=40), st.integers(0, 3))
def test_whatever_fails_while_legs_are_made_again_nothing_is_made_twice(
    shape: list[tuple[Redo, Any]], script: list[str], number: int
) -> None:
    first = World(plan_of(shape), [])
    first.drive()
    again = from_leg(first, f"leg{number % len(shape)}", list(script))
    last = again.drive()
    for _ in range(5):
        if isinstance(last, End):
            break
        again.say("resume", None, "done")
        last = again.drive()
    assert all(again.live(leg.name) <= 1 for leg in first.plan.legs)
    if last == End(Status.SUCCEEDED, alert=False):
        assert all(again.live(leg.name) == 1 for leg in first.plan.legs)
    if isinstance(last, End) and last.status is Status.ROLLED_BACK:
        assert not any(again.live(leg.name) for leg in first.plan.legs)
