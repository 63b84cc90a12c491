"""Custom fields by readable name: what a mapping gives, as Asana takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from crossdock_sdk import RejectedError
from crossdock_sdk.models import slugs

Json = Mapping[str, Any]

DEFINITION = ("gid", "name", "resource_subtype", "type", "precision", "format", "enum_options")
DEFINITION_OPTIONS = ("enum_options.gid", "enum_options.name", "enum_options.enabled")
VALUES = (
    "text_value",
    "number_value",
    "enum_value.gid",
    "multi_enum_values.gid",
    "people_value.gid",
    "date_value",
)


def opt_fields(prefix: str, *, values: bool = False) -> str:
    """`opt_fields` that bring custom fields' definitions, and with `values` what a task holds in them."""
    names = (*DEFINITION, *DEFINITION_OPTIONS, *(VALUES if values else ()))
    return ",".join(f"{prefix}.{name}" for name in names)


class CustomFields:
    """The custom fields of one project or task, found by readable name, label or gid."""

    def __init__(self, definitions: Iterable[Json], where: str) -> None:
        self._by_gid = {str(d["gid"]): d for d in definitions if d.get("gid")}
        self._where = where
        self._readable = slugs((gid, str(d.get("name", gid))) for gid, d in self._by_gid.items())

    def to_asana(self, custom: Mapping[str, Any]) -> dict[str, Any]:
        """{field gid: value} for {name: value}. Raises `RejectedError` for what does not fit."""
        found: dict[str, Any] = {}
        for name, value in custom.items():
            gid = self._gid(name)
            found[gid] = _to_asana(self._by_gid[gid], name, value)
        return found

    def _gid(self, name: str) -> str:
        for gid, definition in self._by_gid.items():
            if name in {gid, self._readable[gid], definition.get("name")}:
                return gid
        near = get_close_matches(name, self._readable.values(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(self._readable.values()) or 'none'}."
        raise RejectedError(f"{self._where} has no custom field {name!r}; {hint}", field=f"custom.{name}")


def kind_of(field: Json) -> str:
    """`text`, `number`, `enum`, `multi_enum`, `date`, `people`, …"""
    return str(field.get("resource_subtype") or field.get("type"))


def held(field: Json) -> Any:
    """What a task holds in a custom field, in the form in which Asana takes it back."""
    kind = kind_of(field)
    if kind == "enum":
        return (field.get("enum_value") or {}).get("gid")
    if kind == "multi_enum":
        return sorted(option["gid"] for option in field.get("multi_enum_values") or ())
    if kind == "people":
        return sorted(person["gid"] for person in field.get("people_value") or ())
    if kind == "date":
        value = field.get("date_value") or {}
        return _named_date(value.get("date_time"), value.get("date"))
    return field.get(f"{kind}_value")


def _named_date(instant: str | None, day: str | None) -> dict[str, str] | None:
    if instant:
        return {"date_time": instant}
    return {"date": day} if day else None


def _to_asana(field: Json, name: str, value: Any) -> Any:
    kind = kind_of(field)
    if value is None:
        return [] if kind in {"multi_enum", "people"} else None
    if kind == "text" and isinstance(value, (str, int, Decimal, date)) and not isinstance(value, bool):
        return value.isoformat() if isinstance(value, date) else str(value)
    if kind == "number":
        return _number(field, name, value)
    if kind == "enum" and isinstance(value, str):
        return _option(field, name, value)
    if kind == "multi_enum":
        return sorted(_option(field, name, label) for label in _several(name, value))
    if kind == "people":
        return sorted(_several(name, value))
    if kind == "date" and isinstance(value, (date, str)):
        return _date(name, value)
    raise RejectedError(f"custom field {name} of type {kind} does not take {value!r}", field=f"custom.{name}")


def _number(field: Json, name: str, value: Any) -> Decimal:
    number, digits = _decimal(value), field.get("precision")
    if number is None:
        raise RejectedError(f"custom field {name} takes a number, not {value!r}", field=f"custom.{name}")
    if isinstance(digits, int):
        # Asana counts a percentage's digits as shown: 0.251 is 25.1 %, one digit.
        digits += 2 if field.get("format") == "percentage" else 0
        exponent = number.normalize(Context(prec=1000)).as_tuple().exponent
        if isinstance(exponent, int) and -exponent > digits:
            why = f"custom field {name} keeps {digits} digits after the point and would round {number}"
            raise RejectedError(why, field=f"custom.{name}")
    return number


def _decimal(value: Any) -> Decimal | None:
    if not isinstance(value, (int, str, Decimal)) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _option(field: Json, name: str, label: str) -> str:
    options = [o for o in field.get("enum_options") or () if o.get("enabled", True)]
    for option in options:
        if label in {option["gid"], option.get("name")}:
            return str(option["gid"])
    folded = [o for o in options if str(o.get("name", "")).strip().casefold() == label.strip().casefold()]
    if len(folded) == 1:
        return str(folded[0]["gid"])
    labels = [str(o.get("name")) for o in options]
    near = get_close_matches(label, labels, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(labels) or 'none'}."
    raise RejectedError(f"custom field {name} has no option {label!r}; {hint}", field=f"custom.{name}")


def _several(name: str, value: Any) -> list[str]:
    many = [value] if isinstance(value, str) else value
    if not isinstance(many, (list, tuple)) or not all(isinstance(item, str) for item in many):
        raise RejectedError(f"custom field {name} takes a list of texts, not {value!r}", field=f"custom.{name}")
    return list(many)


def _date(name: str, value: date | str) -> dict[str, str]:
    try:
        moment = _parsed(value) if isinstance(value, str) else value
    except ValueError:
        why = f"custom field {name} takes a date such as 2026-12-01, not {value!r}"
        raise RejectedError(why, field=f"custom.{name}") from None
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    if moment.tzinfo is None:
        raise RejectedError(f"custom field {name}: {value} has no time zone", field=f"custom.{name}")
    return {"date_time": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def _parsed(text: str) -> date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
