"""Paths into records: how expressions read a field, and which fields a mapping reads.

A path is a tuple of names such as `("deal", "products", "*", "code")`. In the place of a list's item stands
`*` (every item), or an index (`0`, `-1`). A path that ends in `#` reads no content: only how many items there
are, or whether there is anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from crossdock.mapping.errors import Absent, Fault
from crossdock.mapping.values import Pending, Unknown, bounded, kind
from crossdock.words import did_you_mean

Path: TypeAlias = tuple[str, ...]
EVERY = "*"
PRESENCE = "#"


def field(value: Any, name: str, label: str) -> Any:
    """The field `name` of a record. `label` says in messages what the record is called."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, Pending):
        return bounded(value.field(name))
    if isinstance(value, dict):
        if name not in value:
            raise Absent(f"{label} has no {name}{did_you_mean(name, (k for k in value if isinstance(k, str)))}")
        return bounded(value[name])
    if value is None:
        raise Absent(f"{label} is null, so it has no {name}")
    if isinstance(value, (list, tuple)):
        raise Fault(f"{label} is a list, so it has no {name}; take `| first`, an index or `each`")
    raise Fault(f"{label} is {kind(value)}, so it has no {name}")


def item(value: Any, index: int, label: str) -> Any:
    """The item at `index` of a list."""
    if isinstance(value, Unknown):
        return value
    if value is None:
        raise Absent(f"{label} is null, so it has no item {index}")
    if not isinstance(value, (list, tuple)):
        raise Fault(f"{label} is {kind(value)}, not a list")
    if not -len(value) <= index < len(value):
        raise Absent(f"{label} has {len(value)} items, so there is no item {index}")
    return bounded(value[index])


def dig(value: Any, names: Iterable[str], label: str) -> Any:
    """The field at the end of a dotted path, as `map` and `where` take it."""
    for name in names:
        value = field(value, name, label)
        label = f"{label}.{name}"
    return value
