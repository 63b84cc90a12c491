"""Markdown from models: what a key is called, what it takes, and what it is for."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; empty text if it has no rows."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        return ""
    names = list(header)
    return "\n".join("| " + " | ".join(row) + " |" for row in [names, ["---"] * len(names), *lines]) + "\n"


def code(text: object) -> str:
    """As code; empty text stays empty."""
    return f"`{text}`" if str(text) else ""


def keys(model: type[BaseModel], *, named: bool = False) -> str:
    """The table of a model's keys; a `named` one has its name outside, as the key of what it stands in."""
    fields = {info.alias or name: info for name, info in model.model_fields.items() if not (named and name == "name")}
    return table(("key", "takes", "default", ""), (_key(name, info) for name, info in fields.items()))


def columns(model: type[BaseModel]) -> str:
    """The names of a model's fields in one line; those that must be given are bold."""
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    return ", ".join(f"**{code(n)}**" if info.is_required() else code(n) for n, info in fields.items())


def _key(name: str, info: FieldInfo) -> tuple[str, ...]:
    return code(name), kind(info.annotation), _default(info), info.description or ""


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or value == () or value == {} or isinstance(value, BaseModel):
        return ""
    if isinstance(value, timedelta):
        return code(duration(value))
    return code(str(value).lower() if isinstance(value, bool) else value)


def duration(value: timedelta) -> str:
    """As people write it: `10m`."""
    seconds = int(value.total_seconds())
    units = {"d": 86400, "h": 3600, "m": 60}
    return next((f"{seconds // size}{unit}" for unit, size in units.items() if seconds % size == 0), f"{seconds}s")


def kind(annotation: Any) -> str:
    """What a key takes, in a word or two."""
    origin, given = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(given[0])
    if origin is Literal:
        return ", ".join(code(one) for one in given)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(kind(one) for one in given if one is not type(None)))
    if origin in {tuple, list, frozenset, set}:
        return f"a list of {kind(given[0])}" if given else "a list"
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "names, each with " + kind(given[1]) if given else "names with values"
    return _plain(annotation)


def _plain(annotation: Any) -> str:
    if annotation is Any:
        return "a value"
    if not isinstance(annotation, type):
        return "text"
    if issubclass(annotation, BaseModel):
        return "keys of its own"
    if issubclass(annotation, Enum):
        return ", ".join(code(one.value) for one in annotation)
    words = {bool: "true or false", timedelta: "a duration", SecretStr: "a secret"}
    words |= {int: "a whole number", float: "a number"}
    return next((word for kind_, word in words.items() if issubclass(annotation, kind_)), _named(annotation))


def _named(annotation: type) -> str:
    return "a number" if annotation.__name__ == "Decimal" else "text"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
