"""How the simulated account takes and shows the values of custom fields, by the field's type."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = dict[str, Any]


def is_gid(value: str) -> bool:
    return value.isascii() and value.isdigit()


def check_custom_value(field: Json, value: Any, users: set[str]) -> Any:
    """The value as it is kept, or `ValueError` if the field's type does not take it."""
    if value is None:
        return None
    kind = field["type"]
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "number" and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value).quantize(Decimal(1).scaleb(-field["precision"]), ROUND_HALF_UP)
    if kind == "enum" and isinstance(value, str) and value in _open_options(field):
        return value
    if kind == "multi_enum" and _all_in(value, _open_options(field)):
        return value
    if kind == "people" and _all_in(value, users):
        return value
    if kind == "date" and isinstance(value, dict):
        return _checked_date(value)
    raise ValueError(f"Not a value of a custom field of type {kind}: {value}")


def _open_options(field: Json) -> set[str]:
    return {option["gid"] for option in field["options"] if option["enabled"]}


def _all_in(value: Any, known: set[str]) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item in known for item in value)


def _checked_date(value: Json) -> Json:
    if set(value) - {"date", "date_time"} or not any(value.values()):
        raise ValueError("a date value is {date} or {date_time}")
    if value.get("date_time"):
        instant = datetime.fromisoformat(value["date_time"])
        return {"date": instant.date().isoformat(), "date_time": value["date_time"]}
    return {"date": date.fromisoformat(value["date"]).isoformat(), "date_time": None}


def shown_custom_value(field: Json, value: Any) -> Json:
    """The properties that carry the value in a task's record."""
    options = {option["gid"]: option for option in field["options"]}
    kind = field["type"]
    if kind == "enum":
        chosen = options.get(value)
        return {"enum_value": chosen, "display_value": chosen and chosen["name"]}
    if kind == "multi_enum":
        several = [options[gid] for gid in value or ()]
        return {"multi_enum_values": several, "display_value": ", ".join(o["name"] for o in several) or None}
    if kind == "people":
        return {
            "people_value": [{"gid": gid} for gid in value or ()],
            "display_value": ", ".join(value or ()) or None,
        }
    if kind == "date":
        return {"date_value": value, "display_value": value and (value["date_time"] or value["date"])}
    return {f"{kind}_value": value, "display_value": None if value is None else str(value)}
