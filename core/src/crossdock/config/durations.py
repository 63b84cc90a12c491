"""Durations as people write them in the routing file: `2s`, `10m`, `1h30m`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
PATTERN = r"^(?=\d)(?:\d{1,6}d)?(?:\d{1,6}h)?(?:\d{1,6}m(?!s))?(?:\d{1,6}s)?(?:\d{1,6}ms)?$"
_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"(\d+)(ms|[dhms])")


def parse_duration(value: object) -> timedelta:
    """`1h30m` → 90 minutes. Raises `ValueError`."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _WHOLE.match(value):
        raise ValueError(f"{value!r} is no duration; write it like 2s, 10m, 1h30m or 500ms")
    return sum((int(n) * _UNITS[unit] for n, unit in _PART.findall(value)), timedelta())


def format_duration(value: timedelta) -> str:
    """90 minutes → `1h30m`; whole milliseconds."""
    left, parts = value, ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["2s", "10m", "1h30m"]}),
]
