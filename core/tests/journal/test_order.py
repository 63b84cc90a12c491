"""Whatever is accepted, claimed, crashed, finished and replayed: one record, one performer, in order."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crossdock.journal.base import Checkpoint, ClaimedRun, LeaseLost, NewEvent, NewRun, RunUpdate
from crossdock.journal.sqlite import SqliteJournal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

LEASE = timedelta(seconds=30)
KEYS = st.sampled_from(["a", "b"])


class Workers(RuleBasedStateMachine):
    """Drives a real journal next to a model that is a plain list of runs."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.Runner()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.journal = SqliteJournal(Path(self.folder.name, "j.db"), redact=lambda text: text, now=lambda: self.now)
        self.loop.run(self.journal.open())
        self.loop.run(self.journal.store_plan("p", "f", {}))
        self.open: list[tuple[int, int, str, str]] = []
        """Unfinished runs: event, creation, id, key."""
        self.begun: set[str] = set()
        self.held: dict[str, ClaimedRun] = {}
        self.lost: list[ClaimedRun] = []
        self.dead: list[ClaimedRun] = []
        self.made = 0

    def teardown(self) -> None:
        self.loop.run(self.journal.close())
        self.loop.close()
        self.folder.cleanup()

    @rule(key=KEYS)
    def accept(self, key: str) -> None:
        self.made += 1
        name = f"r{self.made}"
        event = NewEvent(f"e{self.made}", "t", key, {})
        self.loop.run(self.journal.accept("crm", [(event, [NewRun(name, "f", key, "p")])]))
        row = self.loop.run(self.journal.run(name))
        assert row is not None
        self.open.append((row.event_seq, self.made, name, key))

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        expected = self.claimable()
        got = self.loop.run(self.journal.claim("w", limit, self.now, LEASE))
        assert len(got) == min(limit, len(expected))
        for claimed in got:
            assert claimed.row.id in expected
            self.begun.add(claimed.row.id)
            previous = self.held.pop(claimed.row.id, None)
            assert claimed.taken_over == (previous is not None)
            if previous is not None:
                self.lost.append(previous)
            self.held[claimed.row.id] = claimed

    def claimable(self) -> set[str]:
        heads = {}
        for key in ("a", "b"):
            waiting = sorted(run for run in self.open if run[3] == key)
            started = [run for run in waiting if run[2] in self.begun]
            assert len(started) <= 1
            if waiting:
                heads[key] = (started or waiting)[0][2]
        return {name for name in heads.values() if name not in self.held or self.expired(self.held[name])}

    def expired(self, claimed: ClaimedRun) -> bool:
        assert claimed.row.lease_until is not None
        return claimed.row.lease_until <= self.now

    @rule(seconds=st.sampled_from([1, 31]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), final=st.sampled_from(["succeeded", "dead"]))
    def finish(self, data: st.DataObject, final: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        claimed = self.held.pop(name)
        step = Checkpoint("end", None, final, {}, self.now)
        self.loop.run(self.journal.checkpoint(claimed.claim, [step], RunUpdate(final, ended=True), None))
        self.open = [run for run in self.open if run[2] != name]
        if final == "dead":
            self.dead.append(claimed)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        assert self.loop.run(self.journal.release(self.held.pop(name).claim, self.now)) is True

    @precondition(lambda self: self.dead)
    @rule()
    def replay(self) -> None:
        dead = self.dead.pop()
        self.made += 1
        new = NewRun(f"r{self.made}", "f", dead.row.key, "p", replay_of=dead.row.id)
        self.loop.run(self.journal.add_run(new, dead.row.event_seq))
        self.open.append((dead.row.event_seq, self.made, new.id, dead.row.key))

    @precondition(lambda self: self.lost)
    @rule()
    def a_zombie_writes(self) -> None:
        try:
            self.loop.run(self.journal.checkpoint(self.lost.pop().claim, [], RunUpdate("dead"), None))
        except LeaseLost:
            return
        raise AssertionError("a void claim could write")

    @invariant()
    def the_next_due_time_is_that_of_a_claimable_run(self) -> None:
        due = self.loop.run(self.journal.oldest_due(self.now))
        assert (due is not None) == bool(self.claimable())


TestOrder = Workers.TestCase
TestOrder.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
