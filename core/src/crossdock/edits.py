"""What a person changes in the records of a run before it goes on, or is replayed. Pure.

A path is dotted, with the numbers of list items from 0: `deal.products.0.code`. Where a name itself has a dot the path
is a JSON pointer (RFC 6901): `/deal/custom/a.b`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from crossdock_sdk import jsonio

Steps: TypeAlias = tuple[str, ...]
NATIVE = "native"
"""The vendor's own JSON, which is kept beside the canonical fields and is not edited: mappings seldom read it."""
MOST = 200
"""Edits of one run at once."""


class EditError(ValueError):
    """An edit cannot be made; one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One field set to another value, plain data."""

    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit came to."""

    path: str
    before: Any
    after: Any


def steps_of(path: str) -> Steps:
    """The names and numbers on the way. Raises `EditError`."""
    steps = tuple(path.split("."))
    if path.startswith("/"):
        steps = tuple(part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/"))
    if not all(steps):
        raise EditError(f"{path!r} is no path; write it like deal.products.0.code")
    return steps


def path_of(steps: Sequence[str]) -> str:
    """The path as people write it."""
    if any("." in step or step.startswith("/") for step in steps):
        return "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
    return ".".join(steps)


def applied(records: Mapping[str, Any], edits: Sequence[Edit]) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """The records with the edits made, and what changed; an edit that changes nothing is left out.

    Raises `EditError` for a field that is not there.
    """
    if len(edits) > MOST:
        raise EditError(f"{len(edits)} edits at once; {MOST} is the most")
    edited = copy.deepcopy(dict(records))
    changes = tuple(change for edit in edits if (change := _set(edited, edit)) is not None)
    return edited, changes


def _set(records: dict[str, Any], edit: Edit) -> Change | None:
    steps = steps_of(edit.path)
    within: Any = records
    for place, step in enumerate(steps[:-1]):
        within = _inside(within, step, steps[: place + 1])
    before = _inside(within, steps[-1], steps)
    if isinstance(before, (dict, list)) and not isinstance(edit.value, type(before)):
        raise EditError(f"{edit.path} has fields of its own; edit those")
    if type(before) is type(edit.value) and before == edit.value:
        return None
    within[int(steps[-1]) if isinstance(within, list) else steps[-1]] = edit.value
    return Change(path_of(steps), before, edit.value)


def _inside(value: Any, step: str, so_far: Sequence[str]) -> Any:
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    if isinstance(value, dict) and step in value:
        return value[step]
    known = ", ".join(list(value)[:12]) if isinstance(value, dict) else f"items 0 to {len(value) - 1}" if value else ""
    hint = f"; there are {known}" if isinstance(value, (dict, list)) and known else ""
    raise EditError(f"there is no field {path_of(so_far)}{hint}")


def typed(before: Any, text: str) -> Any:
    """What a person typed over `before`, of the same kind where that is possible.

    Text stays text. Nothing typed over what was nothing, or a number, is nothing. Raises `EditError`.
    """
    if isinstance(before, str):
        return text
    plain = text.strip()
    if not plain:
        return None
    if isinstance(before, bool):
        if plain.lower() not in {"true", "false"}:
            raise EditError(f"{text!r} is neither true nor false")
        return plain.lower() == "true"
    if isinstance(before, (int, Decimal)):
        return _number(plain)
    try:
        return jsonio.loads(plain.encode())
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> int | Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise EditError(f"{text!r} is no number; write it like 12 or 10.50") from None
    if not number.is_finite():
        raise EditError(f"{text!r} is no number; write it like 12 or 10.50")
    return int(text) if text.lstrip("+-").isdecimal() else number


def value_at(records: Any, path: str) -> Any:
    """What stands at a path. Raises `EditError`."""
    steps, value = steps_of(path), records
    for place, step in enumerate(steps):
        value = _inside(value, step, steps[: place + 1])
    return value


def leaves(records: Any) -> list[tuple[str, Any]]:
    """Every field that can be edited, with its value, in the order of the records."""
    return list(_leaves(records, ()))


def _leaves(value: Any, at: Steps) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        inner = [(name, item) for name, item in value.items() if name != NATIVE]
        return [leaf for name, item in inner for leaf in _leaves(item, (*at, name))]
    if isinstance(value, list):
        return [leaf for place, item in enumerate(value) for leaf in _leaves(item, (*at, str(place)))]
    return [(path_of(at), value)]
