"""Pydantic's errors in the words of the routing file, with the nearest right name and without any value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

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
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


def explained(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, message) of each mistake."""
    for item in error.errors(include_url=False, include_input=False):
        yield tuple(str(step) for step in item["loc"]), one(dict(item), model)


def one(item: dict[str, Any], model: type[BaseModel]) -> str:
    """One of pydantic's errors as a message; `model` is what was validated."""
    loc = item["loc"]
    if item["type"] == "extra_forbidden":
        return f"unknown key {loc[-1]}{did_you_mean(str(loc[-1]), _names(model, loc[:-1]))}"
    if item["type"] == "missing":
        return f"{loc[-1]} is missing"
    if item["type"] == "literal_error":
        return f"must be {item['ctx']['expected']}"
    message: str = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _WORDS.get(item["type"], message)


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
