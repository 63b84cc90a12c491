"""The rules, driven by a small world of vendors that fail in every way, and by tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock.config.models import RetryPolicy
from crossdock.journal.rows import Checkpoint
from crossdock.saga import (
    Apply,
    Decision,
    End,
    Hydrate,
    Inherit,
    LegPlan,
    MakePlan,
    Plan,
    Recover,
    Stop,
    Undo,
    Wait,
    backoff,
    decide,
    reports,
    settles,
)
from crossdock.state import FINAL, Phase, Run, Status, evolve, fold, heritage, leg_key
from crossdock_sdk import Redo
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FAULTS = (
    "ok",
    "transient",
    "ambiguous_applied",
    "ambiguous_lost",
    "unavailable_applied",
    "unavailable_lost",
    "rejected",
    "auth",
    "discrepancy",
    "crash_before",
    "crash_after",
)
MOSTLY_WELL = ("ok",) * 6 + FAULTS


@dataclass
class World:
    """Vendors that hold what was written, by key; what they do next comes from a script, then all is well."""

    plan: Plan
    script: list[str]
    held: dict[str, dict[str, bool]] = field(default_factory=dict)
    steps: list[Checkpoint] = field(default_factory=list)
    now: datetime = START
    decisions: list[Decision] = field(default_factory=list)
    applies: dict[str, int] = field(default_factory=dict)
    alerts: list[Status] = field(default_factory=list)
    replay_of: str | None = None
    root: str = "r1"

    @property
    def run(self) -> Run:
        return fold(Run(id="r1", root=self.root, replay_of=self.replay_of), self.steps)

    def live(self, leg: str) -> int:
        return sum(self.held.get(leg, {}).values())

    def next_fault(self) -> str:
        return self.script.pop(0) if self.script else "ok"

    def say(self, kind: str, leg: str | None, phase: str, **data: Any) -> None:
        self.steps.append(Checkpoint(kind, leg, phase, data, self.now))

    def fail(self, kind: str, leg: str | None, error: str, **data: Any) -> None:
        self.say(kind, leg, "failed", error={"kind": error, "message": error, "jitter": 0.5}, **data)

    def drive(self, limit: int = 400) -> Decision:
        for _ in range(limit):
            decision = decide(self.plan, self.run, self.now)
            assert decision == decide(self.plan, self.run, self.now)
            self.decisions.append(decision)
            if isinstance(decision, End):
                self.say("end", None, decision.status, alert=decision.alert)
                self.alerts += [decision.status] * decision.alert
                return decision
            if isinstance(decision, Stop):
                if decision.alert:
                    self.say("stop", None, decision.status, alert=True)
                    self.alerts.append(decision.status)
                return decision
            if isinstance(decision, Wait):
                if decision.alert:
                    self.say("stop", None, decision.status, alert=True)
                    self.alerts.append(decision.status)
                assert decision.until > self.now
                self.now = decision.until
            else:
                self.now += timedelta(seconds=1)
                self.perform(decision)
        raise AssertionError(f"no end after {limit} decisions: {self.decisions[-5:]}")

    def perform(self, work: Any) -> None:
        match work:
            case Inherit():
                self.say("inherit", None, "done")
            case Hydrate():
                self.read("hydrate", records={"deal": {"id": "1"}})
            case MakePlan():
                self.say("plan", None, "done", inputs={})
            case Apply(leg, redo):
                self.apply(leg, redo)
            case Recover(leg):
                self.recover(leg)
            case Undo(leg):
                self.undo(leg)

    def read(self, kind: str, **data: Any) -> None:
        fault = self.next_fault()
        if fault in {"transient", "auth", "rejected"}:
            self.fail(kind, None, fault)
        elif not fault.startswith("crash"):
            self.say(kind, None, "done", **data)

    def apply(self, leg: str, redo: bool) -> None:
        state = self.run.leg(leg)
        rule = next(p for p in self.plan.legs if p.name == leg)
        key = leg_key(self.root, leg, state.generation)
        self.say("apply", leg, "intent", key=key, input={"a": 1})
        fault = self.next_fault()
        if fault in {"ok", "ambiguous_applied", "unavailable_applied", "crash_after", "discrepancy"}:
            mine = self.held.setdefault(leg, {})
            if rule.redo is Redo.NATIVE_KEY:
                # An old key gets the old reply, even if what it made has been deleted since.
                mine.setdefault(key, True)
            elif rule.redo is Redo.UPSERT:
                mine[key] = True
            else:
                self.applies[leg] = self.applies.get(leg, 0) + 1
                mine[f"{key}#{self.applies[leg]}"] = True
        receipt = {"id": key, "created": True}
        if fault == "ok":
            self.say("apply", leg, "done", receipt=receipt)
        elif fault == "discrepancy":
            self.fail("apply", leg, "discrepancy", receipt=receipt)
        elif fault.startswith(("ambiguous", "unavailable")):
            self.fail("apply", leg, fault.partition("_")[0])
        elif fault == "rejected" and redo and not settles(rule.redo, fault):
            self.fail("apply", leg, "rejected", unsettled=True)
        elif fault == "rejected" and not self.live(leg):
            self.fail("apply", leg, "rejected")
        elif not fault.startswith("crash"):
            self.fail("apply", leg, "transient" if fault == "rejected" else fault)

    def recover(self, leg: str) -> None:
        fault = self.next_fault()
        key = leg_key(self.root, leg, self.run.leg(leg).generation)
        mine = [k for k, on in self.held.get(leg, {}).items() if on and k.startswith(key)]
        if fault in {"transient", "auth"}:
            self.fail("recover", leg, fault)
        elif not fault.startswith("crash"):
            self.say("recover", leg, "done", receipt={"id": key, "created": True} if mine else None)

    def undo(self, leg: str) -> None:
        self.say("undo", leg, "intent")
        fault = self.next_fault()
        if fault == "rejected" and not self.live(leg):
            fault = "ok"
        if fault in {"ok", "ambiguous_applied", "unavailable_applied", "crash_after", "discrepancy"}:
            self.held[leg] = dict.fromkeys(self.held.get(leg, {}), False)
        if fault == "ok" or fault == "discrepancy":
            self.say("undo", leg, "done")
        elif fault in {"transient", "auth", "rejected"}:
            self.fail("undo", leg, fault)
        elif fault.startswith(("ambiguous", "unavailable")):
            self.fail("undo", leg, "transient")


legs = st.lists(
    st.tuples(
        st.sampled_from([Redo.NATIVE_KEY, Redo.UPSERT, Redo.LOOKUP]),
        st.sampled_from(["rollback", "skip", "hold"]),
    ),
    min_size=1,
    max_size=4,
)


def plan_of(shape: list[tuple[Redo, Any]], attempts: int = 3) -> Plan:
    named = tuple(LegPlan(f"leg{n}", redo, on, recovers=redo is not Redo.UNSAFE) for n, (redo, on) in enumerate(shape))
    return Plan(named, RetryPolicy(attempts=attempts))


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
    for _ in range(when):
        decision = decide(world.plan, world.run, world.now)
        if isinstance(decision, (End, Stop)):
            break
        if isinstance(decision, Wait):
            world.now = decision.until
        else:
            world.perform(decision)
    world.say("cancel", None, "done")
    last = world.drive()
    assert isinstance(last, End)
    if last.status is Status.CANCELLED:
        assert not any(world.live(leg.name) for leg in world.plan.legs)
    else:
        assert last.status in {Status.DEAD, Status.CANCELLED}
        assert last.alert


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


def one(redo: Redo, on_failure: Any = "rollback") -> Plan:
    return plan_of([(redo, on_failure)])


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


def replayed(first: World, plan: Plan | None = None) -> World:
    again = World(plan or first.plan, [], held=first.held, applies=first.applies, replay_of="r1")
    for item in heritage(first.run):
        again.say("inherit", item.leg, item.phase, generation=item.generation, receipt=item.receipt, input=item.input)
    return again


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


EVERY = [Redo.UNSAFE, Redo.UPSERT, Redo.NATIVE_KEY, Redo.LOOKUP]


def in_doubt(redo: Redo, *script: str) -> World:
    world = World(one(redo), ["ok", "ambiguous_lost"])
    while not world.run.leg("leg0").doubt:
        world.perform(decide(world.plan, world.run, world.now))
    world.script += script
    return world


@pytest.mark.parametrize("redo", EVERY)
def test_what_a_person_names_is_read_at_the_vendor_and_taken_for_the_legs_own(redo: Redo) -> None:
    world = in_doubt(redo)
    world.say("resolve", "leg0", "done", exists="7")
    assert decide(world.plan, world.run, world.now) == Recover("leg0", "7")
    world.say("recover", "leg0", "done", receipt={"id": "7"})
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


@pytest.mark.parametrize("kind", ["auth", "throttled"])
def test_what_is_the_connections_fault_burns_no_tries(kind: str) -> None:
    world = World(one(Redo.NATIVE_KEY), ["ok"] + [kind] * 20)
    assert world.drive() == End(Status.SUCCEEDED, alert=False)


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


def test_an_optional_leg_that_fails_is_left_out_and_said() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback"), (Redo.LOOKUP, "skip")])
    world = World(plan, ["ok", "ok", "rejected"])
    assert world.drive() == End(Status.SUCCEEDED, alert=True)
    assert [r.state for r in reports(plan, world.run)] == ["stands", "skipped"]


def test_an_optional_leg_that_took_effect_amiss_is_undone_alone() -> None:
    plan = plan_of([(Redo.NATIVE_KEY, "rollback"), (Redo.LOOKUP, "skip")])
    world = World(plan, ["ok", "ok", "discrepancy"])
    assert world.drive() == End(Status.SUCCEEDED, alert=True)
    assert (world.live("leg0"), world.live("leg1")) == (1, 0)


def test_a_held_run_goes_on_from_the_failed_leg_with_a_new_key() -> None:
    world = World(one(Redo.NATIVE_KEY, "hold"), ["ok", "rejected"])
    assert world.drive() == Stop(Status.HELD, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert world.run.leg("leg0").generation == 1


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


def test_a_held_leg_that_stands_amiss_is_taken_back_and_written_anew_when_a_person_lets_it_go_on() -> None:
    world = World(one(Redo.NATIVE_KEY, "hold"), ["ok", "discrepancy"])
    assert world.drive() == Stop(Status.HELD, alert=True)
    world.say("resume", None, "done")
    assert world.drive() == End(Status.SUCCEEDED, alert=False)
    assert (world.run.leg("leg0").generation, world.live("leg0")) == (1, 1)


def test_keys_differ_by_run_leg_and_generation_and_nothing_else() -> None:
    keys = {leg_key(r, leg, g) for r in ("a", "b") for leg in ("x", "y") for g in (0, 1)}
    assert len(keys) == 8
    assert all(len(key) == 36 for key in keys)
    assert leg_key("a", "x", 0) == leg_key("a", "x", 0)
