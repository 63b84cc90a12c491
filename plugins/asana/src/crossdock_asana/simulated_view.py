"""Which properties of a record a simulated reply shows: `opt_fields`, and the defaults without it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_OPT_IN = frozenset({"external"})
_COMPACT = ("gid", "resource_type", "name", "resource_subtype", "project", "section", "active", "resource", "target")


def show(record: Json, opt_fields: str | None) -> Json:
    """A single record: in full without `opt_fields`, else exactly what it names, and the gid."""
    if opt_fields is None:
        return {name: value for name, value in record.items() if name not in _OPT_IN}
    return _pick(record, [path.split(".") for path in opt_fields.split(",") if path])


def compact(record: Json, opt_fields: str | None) -> Json:
    """A record in a list: compact without `opt_fields`, else exactly what it names, and the gid."""
    if opt_fields is None:
        return {name: record[name] for name in _COMPACT if name in record}
    return show(record, opt_fields)


def _pick(record: Json, paths: list[list[str]]) -> Json:
    picked: Json = {"gid": record["gid"]} if "gid" in record else {}
    for name in dict.fromkeys(path[0] for path in paths):
        if name in record:
            below = [path[1:] for path in paths if path[0] == name and len(path) > 1]
            picked[name] = _value(record[name], below)
    return picked


def _value(value: Any, below: list[list[str]]) -> Any:
    if isinstance(value, list):
        return [_value(item, below) for item in value]
    if not isinstance(value, dict):
        return value
    return _pick(value, below) if below else _default(value)


def _default(value: Json) -> Json:
    """A nested record without own paths comes compact; plain nested data (a date) comes whole."""
    if "resource_type" not in value:
        return value
    return {name: item for name, item in value.items() if name not in {"email", "enum_options"}}
