"""The rules of a flow that follows another: when it looks, how long it waits, what it does without."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from crossdock.config.models import Flow
from crossdock.following import Lack, lack, origin_facts
from crossdock.journal.rows import Checkpoint
from crossdock.saga import (
    LONGEST_LOOK,
    Apply,
    Decision,
    End,
    FindOrigin,
    Hydrate,
    MakePlan,
    Plan,
    Stop,
    Wait,
    decide,
    next_look,
    reports,
)
from crossdock.state import LegState, Phase, Run, Status, fold
from crossdock_sdk import Redo
from hypothesis import given
from hypothesis import strategies as st
from saga_world import START, one, plan_of

FOLLOWS = Plan(one(Redo.NATIVE_KEY).legs, follows=True)
FOUND = {"run": "r0", "flow": "f", "status": "succeeded", "legs": {}, "without": {}, "accounts": {"board": "team 1"}}


def step(kind: str, phase: str = "done", seconds: int = 0, **data: Any) -> Checkpoint:
    return Checkpoint(kind, None, phase, data, START + timedelta(seconds=seconds))


def after(*steps: Checkpoint) -> Run:
    return fold(Run(id="r1", root="r1"), steps)


def next_(*steps: Checkpoint, seconds: int = 0) -> Decision:
    return decide(FOLLOWS, after(*steps), START + timedelta(seconds=seconds))


AWAITED = step("origin", "awaited", run="r0", made=True)
VOID = step("origin", "failed", error={"kind": "void", "message": "no run of f made thing 1"})


def test_the_origin_is_looked_for_before_anything_is_read_and_once() -> None:
    assert next_() == FindOrigin()
    assert next_(step("origin", **FOUND)) == Hydrate()
    assert next_(step("origin", **FOUND), step("hydrate", records={})) == MakePlan()
    assert decide(Plan(FOLLOWS.legs), after(), START) == Hydrate()


def test_without_an_origin_there_is_nothing_to_do() -> None:
    assert next_(VOID) == End(Status.IGNORED, alert=False)


def test_a_replay_over_something_that_stands_is_not_ignored_for_want_of_an_origin() -> None:
    left = Checkpoint("inherit", "leg0", "stands", {"generation": 0, "receipt": {"id": "1"}, "input": {}}, START)
    seen = Checkpoint("verify", "leg0", "done", {"there": True}, START)
    assert next_(left, seen, VOID) == Stop(Status.HELD, alert=True)


@given(st.integers(1, 40))
def test_the_pauses_between_two_looks_grow_to_an_hour(looks: int) -> None:
    run = after(*[AWAITED] * looks)
    look = next_look(run)
    assert look is not None
    assert timedelta(seconds=5) <= look - START <= LONGEST_LOOK
    assert decide(FOLLOWS, run, START) == Wait(look, Status.WAITING)
    assert decide(FOLLOWS, run, look) == FindOrigin()
    later = next_look(after(*[AWAITED] * (looks + 1)))
    assert later is not None
    assert later >= look


def test_another_run_to_wait_for_is_looked_at_soon() -> None:
    run = after(*[AWAITED] * 9, step("origin", "awaited", run="another", made=False))
    assert next_look(run) == START + timedelta(seconds=5)


@pytest.mark.parametrize("news", [step("awaited"), step("resume")])
def test_the_end_of_what_it_waits_for_or_a_person_makes_it_look_at_once(news: Checkpoint) -> None:
    assert next_(AWAITED, AWAITED, news) == FindOrigin()


def test_a_run_that_waits_for_its_origin_can_be_cancelled() -> None:
    assert next_(AWAITED, step("cancel")) == End(Status.CANCELLED, alert=False)


def test_what_is_read_of_the_origin_is_written_into_the_accounts_that_it_used() -> None:
    assert after(step("origin", **FOUND)).accounts == {"board": "team 1"}


@given(st.sets(st.integers(0, 3)), st.sampled_from(["rollback", "skip", "hold"]))
def test_legs_that_are_left_out_are_neither_written_nor_missed(out: set[int], on_failure: Any) -> None:
    plan = Plan(plan_of([(Redo.NATIVE_KEY, on_failure)] * 4).legs, follows=True)
    left_out = {f"leg{n}": "task was not enabled" for n in out}
    run = after(step("origin", **FOUND), step("hydrate", records={}), step("plan", inputs={}, left_out=left_out))
    written = []
    while isinstance(decision := decide(plan, run, START), Apply):
        written.append(decision.leg)
        done = Checkpoint("apply", decision.leg, "done", {"receipt": {"id": "1"}}, START)
        run = fold(run, [Checkpoint("apply", decision.leg, "intent", {}, START), done])
    assert written == [f"leg{n}" for n in range(4) if n not in out]
    assert decision == End(Status.SUCCEEDED, alert=False)
    states = {report.leg: (report.state, report.note) for report in reports(plan, run)}
    assert {name for name, said in states.items() if said == ("skipped", "task was not enabled")} == set(left_out)


def test_what_a_left_out_leg_wrote_before_is_not_forgotten() -> None:
    doubt = Checkpoint("inherit", "leg0", "doubt", {"generation": 0, "input": {}}, START)
    run = after(
        doubt,
        step("origin", **FOUND),
        step("hydrate", records={}),
        step("plan", inputs={}, left_out={"leg0": "task was left out"}),
    )
    assert decide(FOLLOWS, run, START) == Apply("leg0", redo=True)


LEG = {"do": "v.key.create", "with": {}}
MAKER = {
    "name": "f",
    "when": "v.deal.won",
    "legs": {
        "made": LEG,
        "off": LEG | {"enabled": False},
        "spared": LEG | {"on_failure": "skip"},
        "without": LEG,
        "gone": LEG,
    },
}


def facts() -> dict[str, Any]:
    receipt = {"id": "1", "number": "N-1", "undo": {"before": {"secret": "of the vendor"}}}
    state = LegState(phase=Phase.APPLIED, receipt=receipt, do="v.key.create", account="one")
    legs = {
        "made": state,
        "spared": LegState(phase=Phase.FAILED, error={"message": "no"}),
        "without": LegState(phase=Phase.FAILED),
        "gone": LegState(phase=Phase.UNDONE, receipt=receipt, do="other.key.create", account="two"),
    }
    return origin_facts(Run("r0", "r0", legs=legs), Flow.model_validate(MAKER), [("origin", "made", "id")])


def test_what_stands_of_the_origin_is_kept_and_why_the_rest_is_not_there() -> None:
    assert facts() == {
        "legs": {"made": {"do": "v.key.create", "receipt": {"id": "1", "number": "N-1"}}},
        "without": {
            "off": {"why": "was not enabled", "optional": True},
            "spared": {"why": "was left out", "optional": True},
            "without": {"why": "has no receipt", "optional": False},
            "gone": {"why": "has no receipt", "optional": False},
        },
        "accounts": {"v": "one"},
    }


@given(st.sets(st.sampled_from(["made", "off", "spared", "without", "gone", "never"]), min_size=1))
def test_one_needed_leg_that_is_missing_outweighs_all_that_may_be(reads: set[str]) -> None:
    origin = FOUND | facts()
    found = lack([("origin", leg, "id") for leg in reads] + [("deal", "id")], origin)
    needed, may = reads & {"without", "gone", "never"}, reads & {"off", "spared"}
    if needed:
        assert found is not None
        assert (found.leg, found.optional) == (min(needed), False)
    elif may:
        assert found is not None
        assert (found.leg, found.optional) == (min(may), True)
    else:
        assert found is None


def test_a_lack_says_which_run_and_how_that_ended() -> None:
    assert lack([("origin", "off", "id")], FOUND | facts()) == Lack(
        "off", "off was not enabled in run r0 of f, which ended succeeded", optional=True
    )
    assert lack([("origin", "never", "id")], FOUND | facts()) == Lack(
        "never", "there was no leg never in run r0 of f, which ended succeeded", optional=False
    )
    assert lack([("origin", "never", "id")], None) is None
