"""What must hold of the journal by itself. Each function tells what is broken, one line each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from crossdock.journal.base import Blocked, StoredStep
from crossdock.state import FINAL, Status
from crossdock.testing.story import Story
from crossdock.testing.tables import Arrival

_FOR_A_PERSON = frozenset({Status.HELD, Status.IN_DOUBT, Status.AWAITING_APPROVAL})
_NO_WORK = frozenset({"cancel", "resume", "retake", "resolve", "reload", "stop", "end"})


def lost(
    arrivals: Iterable[Arrival], accepted: Iterable[tuple[str, str]], events: Iterable[tuple[str, str]]
) -> Iterator[str]:
    """Accepted is durable: each event is there, once for each time that its record had one, with its runs."""
    arrivals = tuple(arrivals)
    stored = Counter((one.connection, one.subject) for one in arrivals)
    for (connection, subject), count in sorted(Counter(accepted).items()):
        there = stored[connection, subject]
        if there == 0:
            yield f"{connection} was answered 2xx for {subject}, and the journal knows nothing of it"
        elif there < count:
            yield f"{connection} was answered 2xx for {count} events of {subject}, and the journal has {there}"
    ids = {(one.connection, one.id) for one in arrivals}
    for connection, event in sorted(set(events) - ids):
        yield f"{connection} was answered 2xx for the event {event}, and the journal knows nothing of it"
    for one in arrivals:
        if one.needed and not one.runs:
            yield f"{one.connection} was answered 2xx for the event {one.id}, and no run is about it"


def endings(stories: Sequence[Story], blocked: Sequence[Blocked], at_rest: bool) -> Iterator[str]:
    """A run ends once, with what it says it ended with, or it waits for a person who was told.

    `blocked` are the runs that wait for their turn, or for a lock, behind one that waits for a person.
    """
    behind = _behind(stories, blocked)
    for story in stories:
        name, status = f"run {story.row.id}", Status(story.row.status)
        ends = [step for step in story.steps if step.kind == "end"]
        if len(ends) > 1:
            yield f"{name} ended {len(ends)} times"
        if ends and story.steps[-1] is not ends[-1]:
            yield f"{name} went on after its end"
        if (status in FINAL) != bool(ends) or (ends and ends[-1].phase != status):
            yield f"{name} is {status}, and its last step is {_shown(story.steps[-1:])}"
        if at_rest and status not in FINAL | _FOR_A_PERSON and story.row.id not in behind:
            yield f"{name} makes no progress: it is {status} ({story.row.error})"
        if status is Status.SUCCEEDED:
            yield from _unwritten(story)


def _behind(stories: Sequence[Story], blocked: Sequence[Blocked]) -> set[str]:
    """Those that are blocked, and those of the same record, which come after them."""
    waiting = {one.row.id for one in blocked}
    records = {(one.row.flow, one.row.key) for one in blocked}
    return waiting | {story.row.id for story in stories if (story.row.flow, story.row.key) in records}


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


def _shown(steps: Sequence[StoredStep]) -> str:
    return ", ".join(f"{step.kind} {step.phase}" for step in steps) or "none"
