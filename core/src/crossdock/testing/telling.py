"""What people must have been told, and how often. Each function tells what is broken, one line each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from crossdock.journal.base import StoredAlert, StoredStep, connection_wait
from crossdock.state import FINAL, Status
from crossdock.testing.story import Story
from crossdock.testing.tables import Tables, Told

_TOLD_OF = frozenset({Status.ROLLED_BACK, Status.DEAD})
_PUT_OFF = {"config": "stuck", "defect": "defect"}
"""The kind of error with which a run is put off → the word for it in its alert's id."""
_OPEN = "active"
_TROUBLES = frozenset({Status.ROLLED_BACK, Status.DEAD, Status.HELD, Status.IN_DOUBT, Status.CANCELLED})
_RECOVERED = "recovered"
_KEPT = timedelta(days=7)
"""Retention takes an alert about a connection by its age alone; in a younger journal than this none is missing."""
_ASKING = frozenset({"hydrate", "apply", "recover", "undo", "verify"})
_NO_ANSWER = frozenset({"auth", "throttled", "config", "mapping"})


def stops(stories: Sequence[Story]) -> Iterator[str]:
    """One alert for each notifier and each time that a person is needed; none is forgotten."""
    for story in stories:
        wanted = sorted(
            f"{story.row.id}:{step.phase}@{notifier}"
            for step in story.steps
            if step.kind in ("end", "stop") and step.data.get("alert")
            for notifier in story.flow.notify
        )
        had = sorted(_episode(alert.id) for alert in story.alerts)
        had = [one for one in had if one.split(":")[1].split("@")[0] in {str(s) for s in Status}]
        # Retention takes delivered alerts with the payload that they quote.
        if wanted != had and story.row.emptied_at is None:
            yield f"run {story.row.id} had the alerts {had} where its steps want {wanted}"
        last = story.steps[-1] if story.steps else None
        if story.row.status in _TOLD_OF and not (last and last.data.get("alert")):
            yield f"run {story.row.id} is {story.row.status}, and nobody was told"


def _episode(alert_id: str) -> str:
    """`run:status:steps@notifier` without the number of steps."""
    run, status, rest = alert_id.split(":", 2)
    return f"{run}:{status}@{rest.rpartition('@')[2]}"


def recoveries(stories: Sequence[Story]) -> Iterator[str]:
    """That a run succeeded after all is told once to each notifier, where people had been told of trouble."""
    chains: dict[str, list[Story]] = defaultdict(list)
    for story in stories:
        chains[story.row.root].append(story)
    for story in stories:
        notes = [alert.id.rpartition("@")[2] for alert in story.alerts if alert.id.split(":")[1] == _RECOVERED]
        chain = chains[story.row.root]
        troubled = any(map(_troubled, chain[: chain.index(story) + 1]))
        well = story.row.status == Status.SUCCEEDED and not story.steps[-1].data.get("alert")
        wanted = story.flow.notify if well and troubled else ()
        gone = story.row.emptied_at is not None or any(one.row.emptied_at for one in chain)
        if sorted(notes) != sorted(wanted) and not (gone and set(notes) <= set(wanted)):
            yield f"run {story.row.id} ({story.row.status}) told {notes} that it succeeded after all, and not {wanted}"


def _troubled(story: Story) -> bool:
    return any(s.kind in ("end", "stop") and s.data.get("alert") and s.phase in _TROUBLES for s in story.steps)


def troubles(stories: Sequence[Story]) -> Iterator[str]:
    """Of a run that is put off, each notifier was told why, and of one reason once."""
    for story in stories:
        told = [one for one in map(_trouble, story.alerts) if one is not None]
        error = _put_off(story)
        knowing = {one.notifier for one in told if (one.word, one.message) == error}
        for notifier in story.flow.notify if error else ():
            if notifier not in knowing:
                yield f"run {story.row.id} is put off ({story.row.error}), and {notifier} was not told"
        for notifier in {one.notifier for one in told}:
            mine = sorted(one for one in told if one.notifier == notifier)
            again = [b for a, b in pairwise(mine) if a[1:] == b[1:] and not _moved_between(story, a.at, b.at)]
            # Who is told may die before it is noted that this was done.
            if len(again) > story.row.takeovers:
                yield f"run {story.row.id} told {notifier} {len(again) + 1} times of {again[-1].word}"


def _moved_between(story: Story, first: datetime, second: datetime) -> bool:
    return any(first <= step.at <= second for step in story.steps)


class _Trouble(NamedTuple):
    at: datetime
    word: str
    message: str
    notifier: str


def _trouble(alert: StoredAlert) -> _Trouble | None:
    about, _, notifier = alert.id.rpartition("@")
    _, word, at = about.split(":", 2)
    if word not in _PUT_OFF.values():
        return None
    return _Trouble(datetime.fromisoformat(at), word, alert.data["alert"]["error"]["message"], notifier)


def _put_off(story: Story) -> tuple[str, str] | None:
    """The word and the message with which a run is put off; what a connector raises has a jitter beside them."""
    error = story.row.error or {}
    if Status(story.row.status) in FINAL or error.keys() != {"kind", "message"} or error["kind"] not in _PUT_OFF:
        return None
    return _PUT_OFF[error["kind"]], error["message"]


def undelivered(tables: Tables, failing: Collection[str]) -> Iterator[str]:
    """At rest every alert has arrived, unless its notifier fails to this day."""
    for one in tables.alerts:
        if not one.delivered and one.notifier not in failing:
            tried = f"was tried {one.tries} times" if one.tries else "was never tried"
            yield f"alert {one.about} is not delivered by {one.notifier}: it {tried}"


class _Outage(NamedTuple):
    """One episode of a closed connection, as its alert tells of it."""

    at: datetime
    status: str
    name: str


def connections(stories: Sequence[Story], tables: Tables) -> Iterator[str]:
    """A connection that is closed is told of, to each notifier of the flow that met it, once an episode."""
    told: dict[_Outage, list[Told]] = defaultdict(list)
    notes: dict[_Outage, list[Told]] = defaultdict(list)
    for one in tables.alerts:
        if one.about.startswith(connection_wait("")):
            outage = _outage(one.about)
            (notes if outage.status == _OPEN else told)[outage].append(one)
    yield from _back(told, notes)
    if _all_kept(stories, tables):
        yield from _untold(stories, tables, told)
        yield from _told_by_half(stories, told)
    by_name: dict[str, list[_Outage]] = defaultdict(list)
    for outage in sorted(told):
        by_name[outage.name].append(outage)
    for episodes in by_name.values():
        for first, second in pairwise(episodes):
            goes_on = (first.status, second.status) == ("down", "paused")
            if not goes_on and not _answered_between(stories, first, second):
                yield (
                    f"connection {first.name} was {first.status} at {first.at} and {second.status} at {second.at},"
                    " was told of twice, and nothing shows that it was in use between"
                )


def _back(told: Mapping[_Outage, Sequence[Told]], notes: Mapping[_Outage, Sequence[Told]]) -> Iterator[str]:
    """That a connection is back is told once after it was closed, to those who were told of that."""
    for first, second in pairwise(sorted(notes, key=lambda note: (note.name, note.at))):
        if first.name == second.name and not any(first.at <= o.at <= second.at for o in told if o.name == first.name):
            yield f"connection {first.name} was told of as back at {first.at} and {second.at}, and not closed between"
    for note, alerts in notes.items():
        before = [outage for outage in told if outage.name == note.name and outage.at <= note.at]
        heard = {one.notifier for one in told[max(before)]} if before else set()
        strangers = {one.notifier for one in alerts} - heard
        # Retention may have taken the alert that told of it, and then all of them.
        if before and strangers:
            yield f"{sorted(strangers)} heard that connection {note.name} is back, and not that it was closed"


def _outage(about: str) -> _Outage:
    _, name, status, at = about.split(":", 3)
    return _Outage(datetime.fromisoformat(at), status, name)


def _all_kept(stories: Sequence[Story], tables: Tables) -> bool:
    """Whether retention can have taken no alert that the runs give reason to expect."""
    if not stories or not tables.whole:
        return False
    first = min(story.event.received_at for story in stories)
    return max(story.row.updated_at for story in stories) - first < _KEPT


def _untold(stories: Sequence[Story], tables: Tables, told: Mapping[_Outage, Sequence[Told]]) -> Iterator[str]:
    for closed in tables.closed:
        if _Outage(closed.since, closed.status, closed.name) not in told and _tells(stories, closed.name):
            yield f"connection {closed.name} is {closed.status} since {closed.since}, and nobody was told"
    for story in stories:
        for step in story.steps:
            name = _found_closed(story, step)
            if name is None or not _tells(stories, name):
                continue
            by_hand = any(stopped == name and at <= step.at for stopped, at in tables.paused)
            # Clocks of several processes are not one: the run that met the outage is proof enough of the order.
            of_this = (any(one.alert.get("run") == story.row.id for one in alerts) for alerts in told.values())
            before = (outage.name == name and outage.at <= step.at for outage in told)
            if not by_hand and not any(before) and not any(of_this):
                yield f"run {story.row.id} found {name} closed before {step.at}, and nobody was told"


def _told_by_half(stories: Sequence[Story], told: Mapping[_Outage, Sequence[Told]]) -> Iterator[str]:
    flows = {story.row.id: story.flow for story in stories}
    for outage, alerts in told.items():
        flow = flows.get(alerts[0].alert["run"])
        missing = set(flow.notify if flow else ()) - {one.notifier for one in alerts}
        for notifier in sorted(missing):
            yield f"connection {outage.name} is {outage.status} since {outage.at}, and {notifier} was not told"


def _tells(stories: Sequence[Story], name: str) -> bool:
    """Whether every flow that uses the connection has somebody to tell: which of them met it is not recorded."""
    flows = [s.flow for s in stories if name in {s.flow.source, *(leg.connection for leg in s.flow.legs)}]
    return bool(flows) and all(flow.notify for flow in flows)


def _found_closed(story: Story, step: StoredStep) -> str | None:
    """The connection of which a step says that it was closed."""
    if step.kind == "reconnect":
        return str(step.data["connection"]).removeprefix(connection_wait(""))
    return _asked(story, step) if (step.data.get("error") or {}).get("outage") else None


def _asked(story: Story, step: StoredStep) -> str | None:
    """The connection that a step has called."""
    if step.kind not in _ASKING:
        return None
    if step.leg is None:
        return story.flow.source
    return next((leg.connection for leg in story.flow.legs if leg.name == step.leg), None)


def _answered_between(stories: Sequence[Story], first: _Outage, second: _Outage) -> bool:
    """Whether the vendor answered, or a performer vanished and what it had heard with it."""
    return any(
        first.at <= step.at <= second.at
        and (step.kind == "takeover" or (_asked(story, step) == first.name and _is_answer(step)))
        for story in stories
        for step in story.steps
    )


def _is_answer(step: StoredStep) -> bool:
    if step.phase == "intent":
        return False
    error = step.data.get("error") or {}
    status = error.get("status")
    cannot = isinstance(status, int) and (status >= 500 or status == 408)
    return not (error.get("kind") in _NO_ANSWER or error.get("unanswered") or error.get("outage") or cannot)
