"""The rules, driven by a small world of vendors that fail in every way, and by tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from crossdock.config.models import RetryPolicy
from crossdock.saga import (
    Apply,
    End,
    Stop,
    Wait,
    backoff,
    decide,
    reports,
)
from crossdock.state import FINAL, Phase, Run, Status, evolve, leg_key, unsettled
from crossdock_sdk import Redo
from hypothesis import example, given, settings
from hypothesis import strategies as st
from saga_world import MOSTLY_WELL, World, legs, one, plan_of


def driven(world: World, decisions: int) -> None:
    """So many decisions, or until it rests."""
    for _ in range(decisions):
        decision = decide(world.plan, world.run, world.now)
        if isinstance(decision, (End, Stop)):
            return
        if isinstance(decision, Wait):
            world.now = decision.until
        else:
            world.perform(decision)


@settings(max_examples=600, deadline=None)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=40), st.integers(0, 4))
def test_whatever_fails_nothing_is_made_twice_and_every_ending_is_true(
    shape: list[tuple[Redo, Any]], script: list[str], attempts: int
) -> None:
    world = World(plan_of(shape, attempts), list(script))
    last = world.drive()
    run, told = world.run, {r.leg: r for r in reports(world.plan, world.run)}
    for leg in world.plan.legs:
        assert world.live(leg.name) <= 1
        stands = world.live(leg.name) == 1
        if stands:
            assert told[leg.name].state in {"stands", "in doubt"}, (told[leg.name], world.steps)
    if isinstance(last, End):
        assert run.ended in FINAL
        if last.status is Status.SUCCEEDED:
            for leg in world.plan.legs:
                assert world.live(leg.name) == 1 or leg.on_failure == "skip"
            assert last.alert == any(run.leg(p.name).phase is not Phase.APPLIED for p in world.plan.legs)
        else:
            assert last.alert
        if last.status is Status.ROLLED_BACK:
            assert not any(world.live(leg.name) for leg in world.plan.legs)
    else:
        assert last == Stop(Status.HELD, alert=True)
    assert decide(world.plan, run, world.now) in (
        {End(run.ended, alert=False)} if run.ended else {Stop(Status.HELD, False)}
    )


@settings(max_examples=300, deadline=None)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=30), st.integers(0, 30))
def test_a_cancelled_run_ends_with_nothing_left_or_says_what_is(
    shape: list[tuple[Redo, Any]], script: list[str], when: int
) -> None:
    world = World(plan_of(shape), list(script))
    driven(world, when)
    world.say("cancel", None, "done")
    last = world.drive()
    assert isinstance(last, End)
    if last.status is Status.CANCELLED:
        assert not any(world.live(leg.name) for leg in world.plan.legs)
    else:
        assert last.status in {Status.DEAD, Status.CANCELLED}
        assert last.alert


@settings(max_examples=200, deadline=None)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=40))
def test_folding_in_parts_is_folding_at_once(shape: list[tuple[Redo, Any]], script: list[str]) -> None:
    world = World(plan_of(shape), list(script))
    world.drive()
    run = Run(id="r1", root="r1")
    for step in world.steps:
        run = evolve(run, step)
    assert run == world.run
    assert run.steps == len(world.steps)


def test_three_retries_with_growing_waits_then_it_is_given_up() -> None:
    world = World(one(Redo.NATIVE_KEY), ["ok"] + ["transient"] * 9)
    assert world.drive() == End(Status.ROLLED_BACK, alert=True)
    assert [d for d in world.decisions if isinstance(d, Apply)] == [Apply("leg0")] * 4
    waits = [d.until for d in world.decisions if isinstance(d, Wait)]
    failures = [s.at for s in world.steps if s.phase == "failed"]
    lengths = [(until - at).total_seconds() for until, at in zip(waits, failures, strict=False)]
    assert lengths == [2.2, 8.8, 35.2]


def test_retry_after_is_honoured_over_the_back_off() -> None:
    assert backoff(RetryPolicy(), 1, 0.0, 90) == timedelta(seconds=90)
    assert backoff(RetryPolicy(), 1, 0.0, 1) == timedelta(seconds=2)
    assert backoff(RetryPolicy(), 9, 0.0, None) == timedelta(minutes=10)


@pytest.mark.parametrize("kind", ["auth", "throttled"])
def test_what_is_the_connections_fault_burns_no_tries(kind: str) -> None:
    world = World(one(Redo.NATIVE_KEY), ["ok"] + [kind] * 20)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)


def test_an_optional_leg_that_fails_is_left_out_and_said() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback"), (Redo.LOOKUP, "skip")])
    world = World(plan, ["ok", "ok", "rejected"])
    assert world.drive() == End(Status.SUCCEEDED, alert=True)
    assert [r.state for r in reports(plan, world.run)] == ["stands", "skipped"]


def test_a_held_run_goes_on_from_the_failed_leg_with_a_new_key() -> None:
    world = World(one(Redo.NATIVE_KEY, "hold"), ["ok", "rejected"])
    assert world.drive() == Stop(Status.HELD, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.run.leg("leg0").generation == 1


def test_keys_differ_by_run_leg_and_generation_and_nothing_else() -> None:
    keys = {leg_key(r, leg, g) for r in ("a", "b") for leg in ("x", "y") for g in (0, 1)}
    assert len(keys) == 8
    assert all(len(key) == 36 for key in keys)
    assert leg_key("a", "x", 0) == leg_key("a", "x", 0)


@settings(max_examples=300, deadline=None)
@example([(Redo.NATIVE_KEY, "rollback")], ["ok", "ambiguous_lost"], 3)
@given(legs, st.lists(st.sampled_from(MOSTLY_WELL), max_size=30), st.integers(0, 30))
def test_a_run_that_is_cancelled_to_keep_what_it_made_says_truly_what_that_is(
    shape: list[tuple[Redo, Any]], script: list[str], when: int
) -> None:
    world = World(plan_of(shape), list(script))
    driven(world, when)
    # What is in doubt is settled, where a vendor keeps our key by sending it again; an undo is brought to its end.
    moving = {name for name, leg in world.run.legs.items() if leg.undoing or unsettled(leg)}
    before = {leg.name: world.live(leg.name) for leg in world.plan.legs}
    world.say("cancel", None, "done", keep=True)
    assert world.drive() == End(Status.CANCELLED, alert=False)
    told = {report.leg: report.state for report in reports(world.plan, world.run)}
    for leg in world.plan.legs:
        assert world.live(leg.name) == before[leg.name] or leg.name in moving
        assert world.live(leg.name) <= 1
        assert world.live(leg.name) == 0 or told[leg.name] in {"stands", "in doubt"}


def test_an_undo_that_has_begun_is_brought_to_its_end_and_no_other_is_begun() -> None:
    world = World(plan_of([(Redo.NATIVE_KEY, "rollback")] * 3), ["ok", "ok", "ok", "rejected", "crash_before"])
    while not world.run.leg("leg1").undo_sent:
        driven(world, 1)
    world.say("cancel", None, "done", keep=True)
    assert world.drive() == End(Status.CANCELLED, alert=False)
    assert [(r.leg, r.state) for r in reports(world.plan, world.run)] == [
        ("leg0", "stands"),
        ("leg1", "undone"),
        ("leg2", "failed"),
    ]
