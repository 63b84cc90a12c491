"""A small world of vendors that fail in every way, to drive the rules in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock.config.models import RetryPolicy
from crossdock.heritage import heritage
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
    Verify,
    Wait,
    decide,
    settles,
)
from crossdock.state import Run, Status, fold, leg_key
from crossdock_sdk import Redo
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
            case Verify(leg):
                self.verify(leg)

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

    def verify(self, leg: str) -> None:
        fault = self.next_fault()
        if fault in {"transient", "auth"}:
            self.fail("verify", leg, fault)
        elif not fault.startswith("crash"):
            self.say("verify", leg, "done", there=self.live(leg) > 0)

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
            self.fail("undo", leg, fault.partition("_")[0])


legs = st.lists(
    st.tuples(
        st.sampled_from([Redo.NATIVE_KEY, Redo.UPSERT, Redo.LOOKUP]),
        st.sampled_from(["rollback", "skip", "hold"]),
    ),
    min_size=1,
    max_size=4,
)


def plan_of(shape: list[tuple[Redo, Any]], attempts: int = 3) -> Plan:
    named = tuple(
        LegPlan(f"leg{n}", redo, on, recovers=redo is not Redo.UNSAFE, verifies=redo is Redo.NATIVE_KEY)
        for n, (redo, on) in enumerate(shape)
    )
    return Plan(named, RetryPolicy(attempts=attempts))


def one(redo: Redo, on_failure: Any = "rollback") -> Plan:
    return plan_of([(redo, on_failure)])


def replayed(first: World, plan: Plan | None = None) -> World:
    again = World(plan or first.plan, [], held=first.held, applies=first.applies, replay_of="r1")
    for item in heritage(first.run):
        again.say("inherit", item.leg, item.phase, generation=item.generation, receipt=item.receipt, input=item.input)
    return again


EVERY = [Redo.UNSAFE, Redo.UPSERT, Redo.NATIVE_KEY, Redo.LOOKUP]


def in_doubt(redo: Redo, *script: str) -> World:
    world = World(one(redo), ["ok", "ambiguous_lost"])
    while not world.run.leg("leg0").doubt:
        world.perform(decide(world.plan, world.run, world.now))
    world.script += script
    return world
