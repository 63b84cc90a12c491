"""The unmapped-field guard: nothing that the account wrote down, and no discount, is lost in silence.

Two sorts of fields are loud: each key of a record's `custom` that carries a value, and each field that the
canonical models mark `Loud` (it takes money off) whose number is not zero. A loud field counts as mapped if the
mapping reads it, something inside it, or a whole that it is part of. Going through a list reads none of the fields
of its items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from crossdock_sdk.models import Loud, Record, valued
from pydantic import BaseModel

from crossdock.mapping.paths import EVERY, PRESENCE, Path
from crossdock.mapping.shapes import Shape, shape_of


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A loud field that nobody reads or ignores. `path` has list indices, such as `deal.products.0.custom.color`."""

    path: str
    value: Any


def unmapped(
    records: Mapping[str, Any],
    models: Mapping[str, type[Record]],
    reads: frozenset[Path],
    ignore: Sequence[str] = (),
) -> list[Unmapped]:
    """Every loud field of `records` (plain data by root name) that is neither in `reads` nor named by `ignore`.

    A pattern names a field and all below it; `*` stands for any name, or any part of one.
    """
    patterns = [tuple(pattern.split(".")) for pattern in ignore]
    return [
        Unmapped(".".join(step for step, _ in steps), value)
        for name, body in records.items()
        if name in models
        for steps, value in _loud(body, models[name], ((name, 0),))
        if not _is_read(steps, value, reads) and not _is_ignored(steps, patterns)
    ]


_Steps = tuple[tuple[str, int], ...]
"""Names from the root; beside a list index stands the length of its list, beside a name 0."""


def _loud(body: Any, model: type[BaseModel], at: _Steps) -> Iterator[tuple[_Steps, Any]]:
    record = dict(body) if isinstance(body, BaseModel) else body
    if not isinstance(record, Mapping):
        return
    for name, shape in _watched(model):
        value = record.get(name)
        if value is None:
            continue
        here = (*at, (name, 0))
        if shape is not None:
            yield from _below(value, shape, here)
        elif name == "custom" and isinstance(value, Mapping):
            yield from (((*here, (str(key), 0)), item) for key, item in value.items() if valued(item))
        elif _takes_off(value):
            yield here, value


@cache
def _watched(model: type[BaseModel]) -> tuple[tuple[str, Shape | None], ...]:
    """The fields of a model that are loud (None), or in whose records something may be (their shape)."""
    fields: list[tuple[str, Shape | None]] = []
    for name, info in model.model_fields.items():
        shape = shape_of(info.annotation)
        if name == "custom" or any(isinstance(mark, Loud) for mark in info.metadata):
            fields.append((name, None))
        elif shape.model is not None:
            fields.append((name, shape))
    return tuple(fields)


def _below(value: Any, shape: Shape, at: _Steps) -> Iterator[tuple[_Steps, Any]]:
    assert shape.model is not None
    if not shape.many:
        yield from _loud(value, shape.model, at)
    elif isinstance(value, Iterable):
        items = list(value)
        for index, item in enumerate(items):
            yield from _loud(item, shape.model, (*at, (str(index), len(items))))


def _takes_off(value: Any) -> bool:
    return bool(value) if isinstance(value, (int, Decimal)) else valued(value)


def _is_read(steps: _Steps, value: Any, reads: frozenset[Path]) -> bool:
    return any(_covers(read, steps, value) for read in reads)


def _covers(read: Path, steps: _Steps, value: Any) -> bool:
    if read[-1] == PRESENCE:
        scalar = not isinstance(value, (Mapping, list, tuple))
        return scalar and len(read) == len(steps) + 1 and _along(read[:-1], steps)
    return _along(read, steps)


def _along(read: Path, steps: _Steps) -> bool:
    return all(_same_step(wanted, step) for wanted, step in zip(read, steps, strict=False))


def _same_step(wanted: str, step: tuple[str, int]) -> bool:
    name, length = step
    if wanted == name:
        return True
    return bool(length) and (wanted == EVERY or wanted == str(int(name) - length))


def _is_ignored(steps: _Steps, patterns: Iterable[tuple[str, ...]]) -> bool:
    names = [name for name, _ in steps]
    return any(len(pattern) <= len(names) and all(map(fnmatchcase, names, pattern)) for pattern in patterns)
