"""What a webhook of Asana's tells of: its filters as one line, `task changed of completed, task deleted in 1201`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from crossdock_asana.events import CHANGED, COMPLETED, DELETED

Json = dict[str, Any]

_LINE = re.compile(r"(?P<filters>.+) in (?P<resource>\d+)")
_FILTER = re.compile(r"(?P<type>\w+) (?P<action>\w+)(?: of (?P<fields>\S+))?")
_EVERYTHING = "everything"


def filters_for(events: Iterable[str]) -> list[Json]:
    """The filters that let these event types through and as little else as possible."""
    wanted, filters = set(events), list[Json]()
    if CHANGED in wanted:
        filters.append({"resource_type": "task", "action": "changed"})
    elif COMPLETED in wanted:
        filters.append({"resource_type": "task", "action": "changed", "fields": ["completed"]})
    if DELETED in wanted:
        filters.append({"resource_type": "task", "action": "deleted"})
    return filters


def topic(resource: str, filters: Iterable[Json]) -> str:
    """The same for the same filters in any order. A filter that names no type of resource counts as one for tasks."""
    lines = sorted(_line(one) for one in filters)
    return f"{', '.join(lines) or _EVERYTHING} in {resource}"


def resource_and_filters(line: str) -> tuple[str, list[Json]]:
    """The inverse of `topic`. Raises `ValueError`."""
    told = _LINE.fullmatch(line)
    parts = [_FILTER.fullmatch(part) for part in told["filters"].split(", ")] if told else [None]
    if told is None or None in parts:
        raise ValueError(f"{line!r} is not like 'task changed of completed, task deleted in 1201'")
    return told["resource"], [_filter(part) for part in parts if part]


def _line(one: Json) -> str:
    fields = ",".join(sorted(one.get("fields") or ())).replace(" ", "")
    return f"{one.get('resource_type') or 'task'} {one['action']}" + (f" of {fields}" if fields else "")


def _filter(part: re.Match[str]) -> Json:
    named: Json = {"resource_type": part["type"], "action": part["action"]}
    return named | ({"fields": part["fields"].split(",")} if part["fields"] else {})
