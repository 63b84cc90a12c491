"""A firm's worst years: whatever comes in whatever order, all promises hold once the vendor answers again.

Hypothesis draws what happens: deliveries, crashes, restarts, zombies, faults, people, new configurations, retention.
The runtime is the real one over a real file, driven by hand; the clock is turned, not waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from crossdock.actors import at_terminal
from crossdock.journal.base import ClaimedRun
from crossdock.operations import NotPossibleError, Operations, UnknownRunError
from crossdock.plugins import load_plugins
from crossdock.retention import KNOWN
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.state import FINAL, leg_key, unsettled
from crossdock.testing import assert_nothing_lost
from crossdock.testing.story import Place, Story, read_stories
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    Event,
    RejectedError,
    ThrottledError,
    TransientError,
    UnavailableError,
    crashpoints,
)
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from scripted import Plugin, Stall, Vendor, leg

LEASE = timedelta(seconds=150)
ACTIONS = ("key.create", "locked.create", "looked.create", "blind.create", "put.update", "seen.update", "key2.create")
BEFORE = {
    "transient": lambda: TransientError("busy", status=429),
    "throttled": lambda: ThrottledError("not sent", retry_after=3),
    "rejected": lambda: RejectedError("no"),
    "auth": lambda: AuthError("who?"),
    "unavailable": lambda: UnavailableError("503", status=503),
    "ambiguous": lambda: AmbiguousError("lost"),
}
"""What a vendor may answer without having acted."""
AFTER = {name: BEFORE[name] for name in ("unavailable", "ambiguous")}
"""What may be heard of it although it has acted."""
READS = {name: BEFORE[name] for name in ("transient", "throttled", "auth", "unavailable")}
MOMENTS = st.one_of(
    st.tuples(st.sampled_from([f"{action}.before" for action in ACTIONS]), st.sampled_from(sorted(BEFORE))),
    st.tuples(st.sampled_from([f"{action}.apply" for action in ACTIONS]), st.sampled_from(sorted(AFTER))),
    st.tuples(st.sampled_from([f"{action}.undo.before" for action in ACTIONS]), st.sampled_from(sorted(BEFORE))),
    st.tuples(st.sampled_from([f"{action}.undo" for action in ACTIONS]), st.sampled_from(sorted(AFTER))),
    st.tuples(
        st.sampled_from(["hydrate", "look", "looked.create.recover", "key.create.exists"]),
        st.sampled_from(sorted(READS)),
    ),
)
INDEX = st.integers(0, 10_000)
FATAL = st.none() | st.integers(0, 40)
"""After how many points the process dies."""


class DiedError(BaseException):
    """The process is no more."""


class Machine(RuleBasedStateMachine):
    """One firm."""

    @initialize(again=st.sampled_from(["allow", "hold", "ignore"]), failure=st.sampled_from(["rollback", "hold"]))
    def begin(self, again: str, failure: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.vendor = Vendor()
        self.flow = {
            "when": "v.deal.won",
            "key": "{{ deal.id }}",
            "again": again,
            "on_failure": failure,
            "legs": {
                "a": leg("key.create"),
                "b": leg("locked.create", "one for all"),
                "c": leg("looked.create", on_failure="skip"),
                "d": leg("blind.create", enabled=False),
                "e": leg("put.update"),
            },
            "notify": ["v"],
            "retry": {"attempts": 2, "first": "1s", "factor": 2, "max": "5s"},
        }
        self.follower = {
            "when": "v.thing.done",
            "follow": "f",
            "legs": {
                "x": leg("seen.update", "{{ origin.a.id }}"),
                "y": leg("key2.create", "{{ origin.c.id }}"),
                "z": leg("key2.create", "{{ origin.e.id }}", enabled=False),
            },
            "notify": ["v"],
            "retry": self.flow["retry"],
        }
        self.delivered: list[tuple[Event, datetime]] = []
        self.number = 0
        self.accepted: set[str] = set()
        self.before: set[Place] = set()
        self.zombie: tuple[Crossdock, ClaimedRun] | None = None
        self.lives = 0
        self.app = self.wait(self.boot())

    def teardown(self) -> None:
        if not hasattr(self, "app"):
            return
        try:
            self.vendor.script.clear()
            self.wait(self.settle())
            self.wait(self.check())
        finally:
            crashpoints.arm(None)
            self.wait(self.app.stop())
            if self.zombie:
                self.wait(self.zombie[0].stop())
            self.loop.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    @rule(key=st.sampled_from("123"), twice=st.booleans())
    def deliver(self, key: str, twice: bool) -> None:
        events = [self.event(key) for _ in range(1 + twice)]
        self.delivered += [(event, self.now) for event in events]
        self.wait(self.take(events[::-1]))

    @rule(which=INDEX, by_hand=st.booleans())
    def change(self, which: int, by_hand: bool) -> None:
        """Something happens to what a run has made, or to what a person made by hand."""
        things = sorted(self.vendor.standing)
        thing = "by hand" if by_hand or not things else things[which % len(things)]
        event = self.event(thing, "thing.done")
        self.delivered.append((event, self.now))
        self.wait(self.take([event]))

    @precondition(lambda self: self.delivered)
    @rule(which=INDEX)
    def redeliver(self, which: int) -> None:
        event, at = self.delivered[which % len(self.delivered)]
        runs = self.wait(self.take([event]))
        assert not runs or self.now - at > KNOWN

    @rule(many=st.integers(1, 4), fatal=FATAL)
    def work(self, many: int, fatal: int | None) -> None:
        self.mortal(lambda: self.round(many), fatal)

    @precondition(lambda self: self.zombie is None)
    @rule()
    def stand_still(self) -> None:
        """A process stops with a run in its hands, and another one is started."""
        claimed = self.wait(self.app.journal.claim(self.app.runner.owner, 1, self.now, LEASE))
        if claimed:
            self.zombie = (self.app, claimed[0])
            self.app = self.wait(self.boot())

    @precondition(lambda self: self.zombie is not None)
    @rule()
    def wake(self) -> None:
        """It goes on as if nothing had happened."""
        assert self.zombie is not None
        app, claimed = self.zombie
        self.zombie = None
        self.wait(app.runner._drive(claimed))
        self.wait(app.stop())

    @rule()
    def restart(self) -> None:
        self.wait(self.app.stop())
        self.app = self.wait(self.boot())

    @rule(seconds=st.sampled_from([1, 10, 151, 700, 4000]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(moment=MOMENTS, times=st.integers(1, 4))
    def fault(self, moment: tuple[str, str], times: int) -> None:
        place, kind = moment
        self.vendor.script[place] += [BEFORE[kind]() for _ in range(times)]

    @rule()
    def all_is_well(self) -> None:
        self.vendor.script.clear()

    @rule(which=INDEX, wish=st.sampled_from(["replay", "cancel", "keep", "retake", "resolve"]))
    def person(self, which: int, wish: str) -> None:
        stories = self.wait(read_stories(self.app.journal))
        if stories:
            self.wait(self.act(stories[which % len(stories)], wish))

    @rule(leg_=st.sampled_from("cdexyz"), enabled=st.booleans())
    def reconfigure(self, leg_: str, enabled: bool) -> None:
        (self.flow if leg_ in self.flow["legs"] else self.follower)["legs"][leg_]["enabled"] = enabled
        self.write()
        assert self.wait(self.app.reload()) == ()

    @rule(days=st.sampled_from([1, 40, 400]))
    def prune(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.wait(self.keep())

    def wait(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def event(self, key: str, kind: str = "deal.won") -> Event:
        self.number += 1
        return Event(kind, f"event {self.number}", key, {kind.partition(".")[0]: {"id": key}})

    def write(self) -> None:
        connections = {"v": {"connector": "scripted", "base_url": "http://127.0.0.1:9"}}
        routing = {"version": 1, "connections": connections, "flows": {"f": self.flow, "g": self.follower}}
        (self.folder / "crossdock.yaml").write_text(yaml.safe_dump(routing, sort_keys=False))

    async def boot(self) -> Crossdock:
        """A process with a name of its own, so that the one before it counts as gone."""
        self.write()
        self.lives += 1
        options = Settings(
            config=self.folder / "crossdock.yaml", database_url=f"sqlite:///{self.folder / 'c.db'}", watch=0, grace=0
        )
        registry = load_plugins(extra=[Plugin(self.vendor)], entry_points=())
        app = Crossdock(options, env={}, registry=registry, clock=lambda: self.now, rng=random.Random(self.lives))
        await app.assemble()
        app.runner.owner = f"life {self.lives}"
        return app

    async def take(self, events: list[Event]) -> tuple[str, ...]:
        taken = await self.app.intake.accept("v", events, self.app.telemetry.new_trace())
        self.accepted.update(taken.runs)
        return taken.runs

    def mortal(self, what: Callable[[], Awaitable[None]], fatal: int | None) -> None:
        """Do it, and perhaps die of it; then another process frees what the dead one held."""
        try:
            with dying_after(fatal):
                self.wait(what())
        except DiedError:
            self.wait(self.app.stop())
            self.app = self.wait(self.boot())
            alive = {self.app.runner.owner, *([self.zombie[0].runner.owner] if self.zombie else [])}
            self.wait(self.app.journal.release_dead(lambda owner: owner in alive))

    async def round(self, many: int) -> None:
        """What the loops of a runner do in one turn."""
        app = self.app
        await app.stepper.circuits.probe()
        claimed = await app.journal.claim(app.runner.owner, many, self.now, LEASE)
        drives = [asyncio.ensure_future(app.runner._drive(one)) for one in claimed]
        if drives:
            ended, left = await asyncio.wait(drives, return_when=asyncio.FIRST_EXCEPTION)
            for drive in left:
                drive.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for drive in ended:
                drive.result()
        await app.runner._courier.round()

    async def act(self, story: Story, wish: str) -> None:
        operations = Operations(self.app.journal, at_terminal("machine"), lambda: self.now, self.app.rng)
        try:
            if wish == "replay":
                row = await operations.replay(story.row.id, self.app.loaded.flows[story.row.flow].plan_hash)
                self.accepted.add(row.id)
            elif wish == "retake":
                leg_ = list(self.app.loaded.flows[story.row.flow].legs)[self.number % 3]
                row = await operations.retake(story.row.id, leg_, self.app.loaded.flows[story.row.flow].plan_hash)
                self.accepted.add(row.id)
            elif wish in {"cancel", "keep"}:
                await operations.cancel(story.row.id, keep=wish == "keep")
            else:
                await self.resolve(operations, story)
        except (NotPossibleError, UnknownRunError):
            pass

    async def resolve(self, operations: Operations, story: Story) -> None:
        """A person looks at the vendor, and says what is there."""
        for name, state in story.run.legs.items():
            if unsettled(state):
                made = self.vendor.keys.get(leg_key(story.row.root, name, state.generation))
                await operations.resolve(story.row.id, name, made if made in self.vendor.standing else None)

    async def keep(self) -> None:
        """Retention; what the runs that it deletes have made is nobody's any more."""
        stories = await read_stories(self.app.journal)
        await self.app.keeper.round()
        left = {story.row.id for story in await read_stories(self.app.journal)}
        gone = [story for story in stories if story.row.id not in left]
        places = [story.place(state) for story in gone for state in story.run.legs.values()]
        self.before |= {place for place in places if place is not None}
        self.accepted -= {story.row.id for story in gone}

    async def settle(self) -> None:
        """The vendor answers, time passes, and people see to what waits for them, until nothing is left to do."""
        for _ in range(200):
            self.now += timedelta(seconds=200)
            await self.round(50)
            waiting = [s for s in await read_stories(self.app.journal) if s.row.status not in FINAL]
            if not waiting:
                await self.deliver_alerts()
                return
            for story in waiting:
                if story.row.status in ("held", "in_doubt"):
                    await self.act(story, "resolve" if story.row.status == "in_doubt" else "cancel")
        raise AssertionError("no rest:\n" + "\n".join(map(str, waiting)))

    async def deliver_alerts(self) -> None:
        """A death may have cut a delivery short: it is tried again a little later."""
        self.now += timedelta(minutes=1)
        while await self.app.runner._courier.round():
            pass

    async def check(self) -> None:
        stories = await assert_nothing_lost(self.app.journal, {"v": Stall(self.vendor)}, before=self.before)
        assert self.accepted <= {story.row.id for story in stories}


@contextmanager
def dying_after(points: int | None) -> Iterator[None]:
    """Let `DiedError` come out of the point after so many, but not in the journal's thread: that would only block."""
    left = points

    def hook(point: str, about: str) -> None:
        nonlocal left
        if point.startswith("journal.") or left is None:
            return
        left -= 1
        if left < 0:
            raise DiedError(f"{point} {about}")

    crashpoints.arm(hook)
    try:
        yield
    finally:
        crashpoints.arm(None)


EXAMPLES = int(os.environ.get("CROSSDOCK_TEST_MACHINES", "25"))
SHRINK = "CROSSDOCK_TEST_MACHINES" in os.environ
"""A failure is shrunk only where it was sought for: that takes minutes."""
logging.getLogger("crossdock").addHandler(logging.NullHandler())
TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate] + ([Phase.shrink] if SHRINK else []),
)
