"""Asana's JSON of a task as a `BoardTask`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from crossdock_sdk import BoardTask
from crossdock_sdk.models import slugs

from crossdock_asana.events import instant
from crossdock_asana.fields import held, kind_of

Json = dict[str, Any]

_CUSTOM = (
    "name",
    "resource_subtype",
    "type",
    "display_value",
    "text_value",
    "number_value",
    "enum_value.name",
    "multi_enum_values.name",
    "people_value.name",
    "date_value",
)
TASK_FIELDS = ",".join(
    (
        *("name", "completed", "completed_at", "notes", "assignee.name", "due_on", "due_at", "permalink_url"),
        *("projects.name", "memberships.project.name", "memberships.section.name", "parent.name"),
        *("created_at", "modified_at", "resource_subtype", *(f"custom_fields.{name}" for name in _CUSTOM)),
    )
)
"""`opt_fields` for what `board_task` reads."""


def board_task(row: Json, change: str | None = None) -> BoardTask:
    """The task; `change` is the field that an event named. Raises one of `MISSHAPEN` if it is not as documented.

    `custom` has each custom field of the task by readable name, None where it is empty: options by their labels,
    people by their ids, dates as text, numbers exact; of other types what Asana shows.
    """
    completed = row["completed"]
    if not isinstance(completed, bool):
        raise TypeError("`completed` is neither true nor false")
    assignee = row.get("assignee") or {}
    return BoardTask(
        id=row["gid"],
        name=row["name"],
        completed=completed,
        completed_at=instant(row["completed_at"]) if row.get("completed_at") else None,
        notes=row.get("notes") or None,
        assignee_id=assignee.get("gid"),
        assignee_name=assignee.get("name"),
        due_date=date.fromisoformat(row["due_on"]) if row.get("due_on") else None,
        projects=tuple(project["gid"] for project in row.get("projects") or ()),
        updated_at=instant(row["modified_at"]) if row.get("modified_at") else None,
        url=row.get("permalink_url"),
        custom=_custom(row.get("custom_fields") or ()),
        native={**row, "change": change} if change else dict(row),
    )


def _custom(fields: Iterable[Json]) -> Json:
    by_gid = {str(field["gid"]): field for field in fields}
    names = slugs((gid, str(field["name"])) for gid, field in by_gid.items())
    return {names[gid]: _value(field) for gid, field in by_gid.items()}


def _value(field: Json) -> Any:
    kind = kind_of(field)
    if kind == "number":
        number = field.get("number_value")
        return None if number is None else Decimal(number)
    if kind == "enum":
        return (field.get("enum_value") or {}).get("name")
    if kind == "multi_enum":
        return [option["name"] for option in field.get("multi_enum_values") or ()]
    if kind == "date":
        return next(iter((held(field) or {}).values()), None)
    return held(field) if kind in {"text", "people"} else field.get("display_value")
