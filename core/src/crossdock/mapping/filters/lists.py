"""Filters over lists, and `default`."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

from crossdock.mapping.errors import Fault
from crossdock.mapping.filters.spec import Filter, Reads
from crossdock.mapping.operators import ARITHMETIC, arithmetic, truth
from crossdock.mapping.paths import dig
from crossdock.mapping.values import kind, less, same

_TRUTH = object()


def _list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise Fault(f"a list is needed, not {kind(value)}")
    return list(value)


def _of(item: Any, field: str | None) -> Any:
    return item if field is None else dig(item, field.split("."), "an item")


def first(value: Any) -> Any:
    return next(iter(_list(value)), None)


def last(value: Any) -> Any:
    return next(reversed(_list(value)), None)


def count(value: Any) -> int:
    if isinstance(value, (dict, str)):
        return len(value)
    return len(_list(value))


def total(value: Any, field: str | None = None) -> Any:
    result: Any = Decimal(0)
    for item in _list(value):
        result = arithmetic(ARITHMETIC["Add"], result, _of(item, field))
    return result


def pluck(value: Any, field: str) -> list[Any]:
    return [_of(item, field) for item in _list(value)]


def where(value: Any, field: str, wanted: Any = _TRUTH) -> list[Any]:
    items = _list(value)
    if wanted is _TRUTH:
        return [item for item in items if truth(_of(item, field))]
    return [item for item in items if same(_of(item, field), wanted)]


def sort(value: Any, field: str | None = None, *, reverse: Any = False) -> list[Any]:
    def order(a: Any, b: Any) -> int:
        left, right = _of(a, field), _of(b, field)
        return -1 if less(left, right) else int(less(right, left))

    if not isinstance(reverse, bool):
        raise Fault("reverse must be true or false")
    return sorted(_list(value), key=functools.cmp_to_key(order), reverse=reverse)


def default(value: Any, fallback: Any, blank: Any = False) -> Any:
    """Never called: an operand that is absent must be caught while it is computed."""
    return fallback if value is None or (blank is True and isinstance(value, str) and not value.strip()) else value


FILTERS = (
    Filter(
        "default",
        default,
        "The fallback for a null, a missing field or a null on the way; with `true`, for blank text too.",
        "{{ none | default(0) }}",
        "0",
        Reads.SAME,
        takes_null=True,
    ),
    Filter("first", first, "The first item, or null.", "{{ [3, 4] | first }}", "3", Reads.FIRST),
    Filter("last", last, "The last item, or null.", "{{ [3, 4] | last }}", "4", Reads.LAST),
    Filter("count", count, "How many items (or characters).", '{{ ["a", "b"] | count }}', "2", Reads.COUNT),
    Filter(
        "sum",
        total,
        "The exact sum of the items, or of a field of theirs.",
        '{{ [{"a": 0.1}, {"a": 0.2}] | sum("a") }}',
        "0.3",
        Reads.FIELD,
        takes_field=True,
    ),
    Filter(
        "map",
        pluck,
        "A field of each item.",
        '{{ [{"a": 1}, {"a": 2}] | map("a") }}',
        "[1,2]",
        Reads.FIELD,
        takes_field=True,
    ),
    Filter(
        "where",
        where,
        "The items whose field equals a value, or without one is true.",
        '{{ [{"a": 1}, {"a": 2}] | where("a", 2) | count }}',
        "1",
        Reads.SAME,
        takes_field=True,
    ),
    Filter(
        "sort",
        sort,
        "The items in order, or in the order of a field of theirs.",
        "{{ [2, 3, 1] | sort(reverse=true) }}",
        "[3,2,1]",
        Reads.SAME,
        takes_field=True,
    ),
)
