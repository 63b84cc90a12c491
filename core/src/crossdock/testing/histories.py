"""What must hold of the journal by itself. Each function tells what is broken, one line each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from crossdock_sdk import jsonio

from crossdock.journal.base import StoredStep
from crossdock.state import FINAL, UNCOUNTED, Status, unsettled
from crossdock.testing.story import Story

_FOR_A_PERSON = frozenset({Status.HELD, Status.IN_DOUBT})
_NO_WORK = frozenset({"cancel", "resume", "resolve", "reload", "stop", "end"})
_TOLD_OF = frozenset({Status.ROLLED_BACK, Status.DEAD})


def lost(stories: Sequence[Story], accepted: Collection[tuple[str, str]]) -> Iterator[str]:
    """Accepted is durable."""
    stored = {(story.event.connection, story.event.subject) for story in stories}
    for connection, subject in sorted(set(accepted) - stored):
        yield f"{connection} was answered 2xx for {subject}, and the journal knows nothing of it"


def endings(stories: Sequence[Story], at_rest: bool) -> Iterator[str]:
    """A run ends once, with what it says it ended with, or it waits for a person who was told."""
    for_a_person = {(story.row.flow, story.row.key) for story in stories if story.row.status in _FOR_A_PERSON}
    for story in stories:
        name, status = f"run {story.row.id}", Status(story.row.status)
        ends = [step for step in story.steps if step.kind == "end"]
        if len(ends) > 1:
            yield f"{name} ended {len(ends)} times"
        if ends and story.steps[-1] is not ends[-1]:
            yield f"{name} went on after its end"
        if (status in FINAL) != bool(ends) or (ends and ends[-1].phase != status):
            yield f"{name} is {status}, and its last step is {_shown(story.steps[-1:])}"
        behind = (story.row.flow, story.row.key) in for_a_person or (for_a_person and _waits_for_another(story))
        if at_rest and status not in FINAL | _FOR_A_PERSON and not behind:
            yield f"{name} makes no progress: it is {status} ({story.row.error})"
        if status is Status.SUCCEEDED:
            yield from _unwritten(story)


def _waits_for_another(story: Story) -> bool:
    """Whether it waits for a lock, or for the end of the run that it follows."""
    return (story.row.waits_for or "").startswith(("lock:", "run:"))


def _unwritten(story: Story) -> Iterator[str]:
    for leg in story.legs:
        phase = story.run.leg(leg.name).phase
        optional = (leg.on_failure or story.flow.on_failure) == "skip"
        if phase != "applied" and not optional and leg.name not in story.run.left_out:
            yield f"run {story.row.id} succeeded, and its leg {leg.name} is {phase}"


def numbering(stories: Sequence[Story]) -> Iterator[str]:
    """Two performers of one run never both write: steps are numbered without a gap, and in order of time."""
    for story in stories:
        numbers = [step.seq for step in story.steps]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"run {story.row.id} has the steps {numbers}"


def tries(stories: Sequence[Story]) -> Iterator[str]:
    """A flow's retries are what it says, but for a doubt, which is never given up, and for what a person wished."""
    for story in stories:
        allowed = story.flow.retry.attempts + 1
        failed: Counter[str] = Counter()
        for number, step in enumerate(story.steps):
            leg = step.leg or ""
            if step.kind == "resume":
                failed.clear()
            elif step.phase == "done" and (step.kind == "apply" or step.data.get("receipt")):
                failed[leg] = 0
            elif step.kind == "apply" and step.phase == "failed" and not _doubtful(story, number):
                failed[leg] += 1
                if failed[leg] == allowed + 1:
                    yield f"run {story.row.id} tried {leg} more than {allowed} times"


def _doubtful(story: Story, number: int) -> bool:
    """Whether step `number` leaves open what the leg did, or is a failure of the connection and no try of the run."""
    step = story.steps[number]
    error = step.data.get("error") or {}
    uncounted = error.get("kind") in UNCOUNTED or error.get("outage")
    return bool(uncounted or unsettled(story.after(number + 1).leg(step.leg or "")))


def alerts(stories: Sequence[Story]) -> Iterator[str]:
    """One alert for each notifier and each time that a person is needed; none is forgotten."""
    for story in stories:
        wanted = sorted(
            f"{story.row.id}:{step.phase}@{notifier}"
            for step in story.steps
            if step.kind in ("end", "stop") and step.data.get("alert")
            for notifier in story.flow.notify
        )
        had = sorted(_episode(alert.id) for alert in story.alerts)
        stops = [one for one in had if one.split(":")[1].split("@")[0] in {str(s) for s in Status}]
        # Retention takes delivered alerts with the payload that they quote.
        if wanted != stops and story.row.emptied_at is None:
            yield f"run {story.row.id} had the alerts {stops} where its steps want {wanted}"
        last = story.steps[-1] if story.steps else None
        if story.row.status in _TOLD_OF and not (last and last.data.get("alert")):
            yield f"run {story.row.id} is {story.row.status}, and nobody was told"


def _episode(alert_id: str) -> str:
    """`run:status:steps@notifier` without the number of steps."""
    run, status, rest = alert_id.split(":", 2)
    return f"{run}:{status}@{rest.rpartition('@')[2]}"


def order(stories: Sequence[Story]) -> Iterator[str]:
    """The runs of one record go one after the other, those of its events in the order of arrival."""
    keyed: dict[tuple[str, str], list[Story]] = defaultdict(list)
    for story in stories:
        if _began(story):
            keyed[(story.row.flow, story.row.key)].append(story)
    for (_, key), runs in keyed.items():
        by_start = sorted(runs, key=lambda story: (_began(story), story.row.created_at))
        for first, second in pairwise(by_start):
            begun, end = _began(second), _end(first)
            if end is None or (begun and begun < end):
                yield f"{key}: run {second.row.id} began before run {first.row.id} had ended"
        arrived = [story.row.event_seq for story in by_start if story.row.replay_of is None]
        if arrived != sorted(arrived):
            yield f"{key}: its events came as {sorted(arrived)} and were run as {arrived}"


def _began(story: Story) -> datetime | None:
    """When it was first worked at; a wish of a person may come before its turn."""
    return next((step.at for step in story.steps if step.kind not in _NO_WORK), None)


def _end(story: Story) -> datetime | None:
    last = story.steps[-1]
    return last.at if last.kind == "end" else None


def leaks(stories: Sequence[Story], secrets: Collection[str]) -> Iterator[str]:
    """No secret is in a journal row."""
    for story in stories:
        rows = [step.data for step in story.steps] + [alert.data for alert in story.alerts]
        text = jsonio.dumps([story.event.data, story.row.error, *rows]).decode()
        for number, secret in enumerate(secrets, 1):
            if secret in text:
                yield f"run {story.row.id} holds secret number {number} in clear"


def _shown(steps: Sequence[StoredStep]) -> str:
    return ", ".join(f"{step.kind} {step.phase}" for step in steps) or "none"
