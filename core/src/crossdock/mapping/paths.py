"""Paths into records: how expressions read a field, and which fields a mapping reads.

A path is a tuple of names such as `("deal", "products", "*", "code")`. In the place of a list's item stands
`*` (every item), or an index (`0`, `-1`). A path that ends in `#` reads no content: only how many items there
are, or whether there is anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from crossdock_sdk import jsonio

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


def fingerprint(records: Mapping[str, Any], reads: Iterable[Path]) -> str:
    """SHA-256 over all that `reads` finds in `records`: equal as long as nothing that is read has changed.

    Numbers count by value: `10.50` and `10.5` are the same.
    """
    found = {".".join(path): list(_at(records, path)) for path in reads if path[0] in records}
    return hashlib.sha256(jsonio.canonical(found)).hexdigest()


def _at(value: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield _normal(value)
    elif path == (PRESENCE,):
        yield len(value) if isinstance(value, (list, tuple, dict)) else _normal(value)
    elif isinstance(value, dict):
        yield from _at(value.get(path[0]), path[1:])
    elif isinstance(value, (list, tuple)):
        for element in _items(value, path[0]):
            yield from _at(element, path[1:])
    else:
        yield None


def _items(values: list[Any] | tuple[Any, ...], step: str) -> Iterable[Any]:
    if step == EVERY:
        return values
    index = int(step) if step.lstrip("-").isdecimal() else len(values)
    return [values[index]] if -len(values) <= index < len(values) else []


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _normal(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(v) for v in value]
    if isinstance(value, Decimal):
        return str(value.normalize())
    if isinstance(value, int) and not isinstance(value, bool):
        return str(Decimal(value).normalize())
    return value
