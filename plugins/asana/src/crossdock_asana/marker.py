"""Our key in a task's notes, and the search for it: for access tokens, which cannot set `external`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from crossdock_sdk import AmbiguousError, RejectedError

from crossdock_asana.connection import AsanaConnection

Json = dict[str, Any]

MARKED_FIELDS = "name,notes,permalink_url"
MARK = "crossdock:"
"""What stands before our key."""

_RECENT = timedelta(days=1)
_MOST_PAGES = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where GET /tasks lists a task: a project, or an assignee in a workspace (Asana's OpenAPI document)."""

    filters: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, body: Json) -> Place:
        """The place of a task to be made. Raises `RejectedError` if no list would show it."""
        if body.get("parent"):
            # Asana drops the projects of a task made under a parent (public reports), so no list would show it.
            why = "a subtask made with an access token cannot be found again: use an OAuth connection"
            raise RejectedError(why, field="native.parent")
        for project in body.get("projects") or ():
            return cls((("project", str(project)),))
        for membership in body.get("memberships") or ():
            return cls((("project", str(membership.get("project"))),))
        if body.get("workspace") and body.get("assignee"):
            return cls((("assignee", str(body["assignee"])), ("workspace", str(body["workspace"]))))
        why = "a task made with an access token can only be found again in a project: give `project`"
        raise RejectedError(f"{why}, or `assignee` with native `workspace`", field="project")


def marked(body: Json, key: str) -> Json:
    """The body with our key as the last line of its notes."""
    line = _line(key)
    rich = body.get("html_notes")
    if rich is None:
        return body | {"notes": f"{body['notes']}\n\n{line}" if body.get("notes") else line}
    head, end, tail = str(rich).rpartition("</body>")
    if "notes" in body or not end:
        why = "native.html_notes must stand alone (no `notes` beside it) and end with </body>"
        raise RejectedError(why, field="native.html_notes")
    return body | {"html_notes": f"{head}\n\n{line}{end}{tail}"}


async def find_marked(connection: AsanaConnection, place: Place, key: str) -> Json | None:
    """The task whose notes carry our key; None only after every task of the place has been looked at.

    What changed within a day is read first, because a task in doubt is nearly always that young.
    """
    since = (connection.context.now() - _RECENT).astimezone(UTC).isoformat(timespec="milliseconds")
    filters: Json = {**dict(place.filters), "opt_fields": MARKED_FIELDS}
    found = await _search(connection, {**filters, "modified_since": since.replace("+00:00", "Z")}, key)
    return found or await _search(connection, filters, key)


async def _search(connection: AsanaConnection, params: Json, key: str) -> Json | None:
    line, read = _line(key), 0
    async for page in connection.pages("/tasks", params):
        for task in page:
            if line in str(task.get("notes") or "").splitlines() and isinstance(task.get("gid"), str):
                return task
        read += 1
        if read == _MOST_PAGES:
            why = f"more than {read * 100} tasks to search for the line {line!r}"
            raise AmbiguousError(f"{why}: look for it in Asana by hand, or use an OAuth connection")
    return None


def _line(key: str) -> str:
    return f"{MARK}{key}"
