"""Asana's `/events`: what happened in each project since a sync token was given out.

A token is given out by a 412, at the first call and when the one that was sent is too old (about a day). What
happened under a token that has lapsed is told of no more; the tasks themselves are read then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crossdock_sdk import Event, PollPage, PollRequest, TransientError, jsonio

from crossdock_asana.connection import AsanaConnection, SyncLapsedError
from crossdock_asana.events import MISSHAPEN, events_in, instant, stamp, task_events

_READ_AGAIN = "completed,completed_at,modified_at"


@dataclass(frozen=True, slots=True)
class _Place:
    """A project's sync token, and the instant up to which all has been told."""

    sync: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Read:
    events: list[Event]
    place: _Place
    more: bool = False
    missed: str | None = None


async def read_feed(connection: AsanaConnection, request: PollRequest) -> PollPage:
    """The next page of each watched project. Raises `ConnectorError`."""
    places = _decoded(request.cursor)
    read = {
        project: await _project(connection, request, project, places.get(project)) for project in connection.watched()
    }
    told = {event.id: event for one in read.values() for event in one.events}
    missed = [one.missed for one in read.values() if one.missed]
    return PollPage(
        events=tuple(event for event in told.values() if _wanted(event, request)),
        cursor=_encoded({project: one.place for project, one in read.items()}),
        more=any(one.more for one in read.values()),
        missed="; ".join(missed) or None,
    )


async def _project(connection: AsanaConnection, request: PollRequest, project: str, place: _Place | None) -> _Read:
    asked_at = connection.context.now()
    try:
        reply = await connection.api.get("/events", params={"resource": project, "sync": place and place.sync})
    except SyncLapsedError as lapsed:
        fresh = _Place(lapsed.sync, asked_at)
        if place is not None:
            since = max(request.since, place.at - request.overlap)
            return _Read(await _tasks(connection, project, since), fresh, missed=_missed(project, since, asked_at))
        # A project that is added to others is watched from now on.
        begun = request.cursor is None
        return _Read(await _tasks(connection, project, request.since) if begun else [], fresh)
    try:
        events, more = events_in(reply.json()["data"]), bool(reply.json().get("has_more"))
    except MISSHAPEN as error:
        raise reply.unusable(f"the events are not as documented: {error}") from None
    # The next token of a page in the middle is older than this call.
    reached = place.at if more and place is not None else asked_at
    return _Read(events, _Place(reply.require("sync"), reached), more)


async def _tasks(connection: AsanaConnection, project: str, since: datetime) -> list[Event]:
    """What the project's tasks tell by themselves of the time since."""
    params = {"project": project, "modified_since": stamp(since), "opt_fields": _READ_AGAIN}
    events: list[Event] = []
    async for page in connection.pages("/tasks", params):
        try:
            events += [event for row in page for event in task_events(row)]
        except MISSHAPEN as error:
            raise TransientError(f"a task of Asana project {project} is not as documented: {error}") from None
    return [event for event in events if event.occurred_at is not None and event.occurred_at >= _second(since)]


def _wanted(event: Event, request: PollRequest) -> bool:
    at = event.occurred_at
    return event.type in request.events and (at is None or at >= _second(request.since))


def _second(moment: datetime) -> datetime:
    """The instant without its fraction, as the instants of completions are told."""
    return moment.replace(microsecond=0)


def _missed(project: str, since: datetime, until: datetime) -> str:
    return (
        f"Asana no longer tells what happened in project {project} from {stamp(since)} to {stamp(until)}: its tasks "
        "were read instead, but tasks that were deleted or left the project meanwhile are not told of; look at its "
        "trash and its activity"
    )


def _decoded(cursor: str | None) -> dict[str, _Place]:
    kept = jsonio.loads(cursor) if cursor else {}
    return {project: _Place(place["sync"], instant(place["at"])) for project, place in kept.items()}


def _encoded(places: dict[str, _Place]) -> str:
    kept = {project: {"sync": place.sync, "at": place.at.isoformat()} for project, place in places.items()}
    return jsonio.dumps(kept).decode()
