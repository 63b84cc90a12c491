"""Pydantic's errors in the words of the routing file, with the nearest right name and without any value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from crossdock.config.keys import unknown_key
from crossdock.words import did_you_mean

_WORDS = {
    "string_type": "must be text; put quotes around a number",
    "string_pattern_mismatch": "is no name here; use letters, digits and _",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "date_type": "must be a date such as 2026-01-31",
    "date_parsing": "must be a date such as 2026-01-31",
    "date_from_datetime_parsing": "must be a date such as 2026-01-31",
    "datetime_type": "must be an instant such as 2026-01-31T08:00:00Z, or a date",
    "datetime_parsing": "must be an instant such as 2026-01-31T08:00:00Z, or a date",
    "datetime_from_date_parsing": "must be an instant such as 2026-01-31T08:00:00Z, or a date",
    "timezone_aware": "needs a zone: write it like 2026-01-31T08:00:00Z",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


def explained(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, message) of each mistake."""
    for item in error.errors(include_url=False):
        yield tuple(str(step) for step in item["loc"]), one(dict(item), model)


def one(item: dict[str, Any], model: type[BaseModel], beside: Sequence[str] = ()) -> str:
    """One of pydantic's errors as a message; `model` is what was validated, `beside` are keys that are not its own."""
    loc, kind = item["loc"], item["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(loc[-1]), [*_names(model, loc[:-1]), *(() if loc[1:] else beside)])
    if kind == "missing":
        return f"{loc[-1]} is missing"
    if kind in ("too_short", "string_too_short"):
        return _too_short(item)
    message: str = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "literal_error":
        message = f"must be {item['ctx']['expected']}"
    if kind == "string_type" and isinstance(item.get("input"), (list, dict)):
        return f"must be text, not a {'list' if isinstance(item['input'], list) else 'mapping'}"
    return _WORDS.get(kind, message) + _nearest_value(item)


def _too_short(item: dict[str, Any]) -> str:
    least = item["ctx"]["min_length"]
    unit = "characters" if isinstance(item.get("input"), str) else "items"
    return "must not be empty" if least == 1 else f"must have at least {least} {unit}"


def _nearest_value(item: dict[str, Any]) -> str:
    """What was meant where only few values are right; the wrong one, which may be a secret, is not shown."""
    if item["type"] == "literal_error":
        right = re.findall(r"'([^']*)'", item["ctx"]["expected"])
    else:
        right = ["true", "false"] if item["type"] == "bool_parsing" else []
    given = item.get("input")
    return did_you_mean(given, right) if isinstance(given, str) else ""


def _names(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    here: type[BaseModel] | None = model
    for step in loc:
        if isinstance(step, str) and here is not None:
            info = next((i for n, i in here.model_fields.items() if step in (n, i.alias)), None)
            here = _model_in(info.annotation) if info else None
    return [info.alias or name for name, info in here.model_fields.items()] if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
