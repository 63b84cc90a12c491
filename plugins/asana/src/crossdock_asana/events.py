"""What Asana tells of tasks, as events: the same by webhook and by `/events`.

Asana gives an event no id (docs, 'Webhooks guide'), so ours is made of what was done to which task, and when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crossdock_sdk import Event

Json = dict[str, Any]

COMPLETED = "task.completed"
CHANGED = "task.changed"
DELETED = "task.deleted"

_ANY_FIELD = "*"
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
"""What taking Asana's JSON apart raises when it is not as documented."""


def events_in(rows: Any) -> list[Event]:
    """The events that concern tasks, each once. Raises one of `MISSHAPEN` if `rows` are not as documented."""
    if not isinstance(rows, list):
        raise TypeError("`events` is not a list")
    found: dict[str, Event] = {}
    for row in rows:
        for event in _told(row):
            found.setdefault(event.id, event)
    return list(found.values())


def task_events(row: Json) -> list[Event]:
    """What a task as it stands tells of: that it was changed, and that it was completed, if it is.

    For a time of which Asana tells no events any more. A change has another id than the event that is missing.
    """
    gid = _gid(row)
    events = [_changed(gid, instant(row["modified_at"]), _ANY_FIELD)]
    return [_completed(gid, instant(row["completed_at"])), *events] if row["completed"] else events


def instant(text: Any) -> datetime:
    """An instant in UTC. Raises `TypeError`, `ValueError` or `OverflowError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """An instant as Asana writes it: `2012-02-22T02:06:58.147Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(row: Any) -> list[Event]:
    resource, action = row["resource"], row["action"]
    if resource["resource_type"] != "task" or action not in {"changed", "deleted"}:
        return []
    gid, at = _gid(resource), instant(row["created_at"])
    if action == "deleted":
        return [Event(DELETED, f"{DELETED}:{gid}:{stamp(at)}", gid, {"task": {"id": gid}}, at)]
    field = row["change"]["field"]
    if not isinstance(field, str) or not field:
        raise TypeError("a change names no field")
    changed = _changed(gid, at, field)
    return [_completed(gid, at), changed] if field == "completed" else [changed]


def _completed(gid: str, at: datetime) -> Event:
    """To the second, for a task's `completed_at` and its event's `created_at` need not be stamped alike."""
    at = at.replace(microsecond=0)
    told = at.isoformat().replace("+00:00", "Z")
    return Event(COMPLETED, f"{COMPLETED}:{gid}:{told}", gid, {"task": {"id": gid, "completed_at": told}}, at)


def _changed(gid: str, at: datetime, field: str) -> Event:
    task = {"id": gid, "updated_at": stamp(at), "native": {"change": field}}
    return Event(CHANGED, f"{CHANGED}:{gid}:{stamp(at)}:{field}", gid, {"task": task}, at)


def _gid(resource: Json) -> str:
    gid = resource["gid"]
    if not isinstance(gid, str) or not (gid.isascii() and gid.isdigit()):
        raise TypeError(f"{gid!r} is not the gid of a task")
    return gid
