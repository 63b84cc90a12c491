"""What is tried again, how often and when: the flow's `retry`, held against the steps of its runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock.config.models import RetryPolicy
from crossdock.journal.base import StoredStep
from crossdock.saga import AUTH_PROBE, backoff
from crossdock.state import CLOSING, UNCOUNTED, LegState, Phase, Run, evolve, undecided, unsettled
from crossdock.testing.story import Story

_READS = frozenset({"hydrate", "plan"})
_ASKS = frozenset({"apply", "recover", "verify"})
_NAMED = {"read": "to read its record", "apply": "{leg}", "undo": "to undo {leg}"}
_ROUNDING = timedelta(milliseconds=1)


@dataclass
class _Failures:
    """Those of one thing since it last succeeded, or a person last asked for it."""

    count: int = 0
    at: datetime | None = None
    error: Mapping[str, Any] | None = None

    def add(self, step: StoredStep) -> None:
        self.at, self.error = step.at, step.data.get("error") or {}
        self.count += self.uncounted is None

    def clear(self) -> None:
        self.count, self.at, self.error = 0, None, None

    @property
    def uncounted(self) -> str | None:
        """Why the last one burned no try: it was the connection's, not the run's."""
        error = self.error or {}
        kind = "outage" if error.get("outage") else error.get("kind")
        return kind if kind in UNCOUNTED else None

    def due(self, policy: RetryPolicy, *, counts: bool) -> datetime | None:
        """Before when it is not tried again. What does not count is asked of at the longest interval at least."""
        if self.at is None:
            return None
        asked = (self.error or {}).get("retry_after")
        pause = backoff(policy, 1 if self.uncounted else self.count, 0, asked)
        pause = AUTH_PROBE if self.uncounted in CLOSING else pause
        return self.at + (pause if counts else min(pause, policy.max))


def tries(stories: Sequence[Story]) -> Iterator[str]:
    """A flow's retries are what it says, but for a doubt, which is never given up, and for what a person wished."""
    for story in stories:
        yield from dict.fromkeys(_wrong(story))


def _wrong(story: Story) -> Iterator[str]:
    policy = story.flow.retry
    run = story.after(0)
    failures: dict[tuple[str, str], _Failures] = defaultdict(_Failures)
    for step in story.steps:
        leg = run.leg(step.leg or "")
        thing, counts = _begun(step, leg)
        if thing is not None:
            so_far = failures[thing]
            named = _NAMED[thing[0]].format(leg=thing[1])
            if counts and so_far.count > policy.attempts:
                yield f"run {story.row.id} tried {named} more than {policy.attempts + 1} times"
            due = so_far.due(policy, counts=counts)
            if due is not None and step.at < due - _ROUNDING:
                yield f"run {story.row.id} tried {named} at {step.at}, and was to wait until {due}"
        _note(failures, run, step)
        run = evolve(run, step)


def _begun(step: StoredStep, leg: LegState) -> tuple[tuple[str, str] | None, bool]:
    """What the step is a try of, if it begins one; and whether it counts, for a doubt is asked of without end.

    `leg` is as before the step. A write begins with its intent, or fails without one.
    """
    name = step.leg or ""
    if step.kind in _READS:
        return ("read", ""), True
    if step.kind == "apply" and step.phase == "intent":
        return ("apply", name), not undecided(leg)
    if step.kind == "recover" or (step.kind == "apply" and leg.phase is not Phase.SENT):
        return ("apply", name), not unsettled(leg)
    if step.kind == "verify":
        return ("apply", name), False
    if step.kind == "undo" and step.phase == "intent":
        return ("undo", name), True
    return None, False


def _note(failures: dict[tuple[str, str], _Failures], run: Run, step: StoredStep) -> None:
    """Take in how the step went; `run` is as before it."""
    name = step.leg or ""
    leg = run.leg(name)
    thing = ("read", "") if step.kind in _READS else ("undo" if step.kind == "undo" else "apply", name)
    if step.kind in _READS | _ASKS | {"undo"} and step.phase == "failed":
        failures[thing].add(step)
    elif _succeeded(step, leg):
        failures[thing].clear()
        if step.kind == "undo":
            failures["apply", name].clear()
    elif step.kind in {"resume", "retake", "edit"}:
        _resumed(failures, run, step.data.get("retake", ()))
    elif step.kind == "cancel":
        for (what, _), so_far in failures.items():
            so_far.at = None if what == "apply" else so_far.at
    elif step.kind == "reconnect":
        for so_far in failures.values():
            so_far.at = None if so_far.uncounted in CLOSING else so_far.at


def _succeeded(step: StoredStep, leg: LegState) -> bool:
    """Whether what comes after it begins to count anew."""
    if step.kind == "recover":
        return step.phase == "done" and step.data.get("receipt") is not None
    if step.kind == "resolve":
        return unsettled(leg)
    if step.kind == "undo":
        return step.phase in {"done", "kept"} and leg.retake
    return step.kind in _READS | _ASKS and step.phase == "done"


def _resumed(failures: dict[tuple[str, str], _Failures], run: Run, retaken: Collection[str]) -> None:
    """A person has the run go on: what failed is tried anew, and what stands amiss, or is retaken, undone first."""
    failures["read", ""].clear()
    for name, leg in run.legs.items():
        if leg.phase in {Phase.FAILED, Phase.PENDING, Phase.SENT}:
            failures["apply", name].clear()
        if leg.phase in {Phase.FAILED, Phase.AMISS} or leg.retake or name in retaken:
            failures["undo", name].clear()
