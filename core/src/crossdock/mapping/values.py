"""The values of the expression language: what they are called, how they compare, compute and print.

Numbers are `Decimal` (or `int`) with up to 50 significant digits; a float is refused wherever it turns up.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from crossdock.mapping.errors import Absent, Fault

MAX_TEXT = 65_536
MAX_ITEMS = 10_000
MAX_STEPS = 2_000_000
"""What all filters of one mapping may walk: some tenths of a second, in which nothing else of the server runs."""
_MAX_MAGNITUDE = 100
_MAX_INT = 10**_MAX_MAGNITUDE

EXACT = decimal.Context(
    prec=50,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999,
    Emax=999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only the run itself can tell. `after` names the leg; it spreads through all that uses it."""

    after: str

    def __str__(self) -> str:
        return f"known after {self.after}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A receipt that is yet to come: what its leg's input already tells, and `Unknown` for every other field.

    A field that is null in the input counts as unknown, for the receipt may well bring it.
    """

    known: Mapping[str, Any]
    after: str

    def field(self, name: str) -> Any:
        value = self.known.get(name)
        return Unknown(self.after) if value is None else value


def merge(unknowns: Iterable[Unknown]) -> Unknown:
    """One `Unknown` for a value that waits for several legs."""
    names = dict.fromkeys(name for u in unknowns for name in u.after.split(", "))
    return Unknown(", ".join(names))


def walk(value: Any, unknowns: list[Unknown]) -> int:
    """How many steps it takes a filter to go through a value; every `Unknown` in it is added to `unknowns`.

    The items of a list count by the comparisons that sorting them takes, the dearest that a filter does with them.
    """
    if isinstance(value, str):
        return 1 + len(value) // 4
    if isinstance(value, (list, tuple)):
        return _within(value, unknowns) + len(value) * len(value).bit_length()
    return _within(value, unknowns)


def _within(value: Any, unknowns: list[Unknown]) -> int:
    items: Iterable[Any] = ()
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    elif isinstance(value, Unknown):
        unknowns.append(value)
    elif isinstance(value, Pending):
        unknowns.append(Unknown(value.after))
    steps = 1
    for item in items:
        steps += _within(item, unknowns)
    return steps


def kind(value: object) -> str:
    """What people call this sort of value."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool,), "true or false"),
    ((int, Decimal), "a number"),
    ((str,), "text"),
    ((datetime,), "an instant"),
    ((date,), "a date"),
    ((list, tuple), "a list"),
    ((dict,), "a record"),
    ((Unknown, Pending), "not known yet"),
)


def number(value: object) -> Decimal:
    """An operand of arithmetic. Raises `Fault` for all that is no finite number."""
    if value is None:
        raise Absent("a number is needed, but the value is null")
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Fault(f"a number is needed, not {kind(value)}")
    if isinstance(value, Decimal) and not value.is_finite():
        raise Fault("a number is needed, not infinity or NaN")
    return Decimal(value)


def text(value: object) -> str:
    """A value inside text: numbers without exponent, dates and instants in ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return _digits(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if value is None:
        raise Absent("a null has no text; give it a value with `| default(…)`")
    raise Fault(f"{kind(value)} has no text" + ("; use `| join`" if isinstance(value, (list, tuple)) else ""))


def _digits(value: int | Decimal) -> str:
    if isinstance(value, int):
        if abs(value) >= _MAX_INT:
            raise Fault(f"a number has more than {_MAX_MAGNITUDE} digits")
        return str(value)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise Fault("infinity and NaN are no numbers")
    if value.adjusted() >= _MAX_MAGNITUDE or exponent < -_MAX_MAGNITUDE:
        raise Fault(f"a number has more than {_MAX_MAGNITUDE} digits")
    return f"{abs(value):f}" if value == 0 else f"{value:f}"


def bounded(value: Any) -> Any:
    """The value itself, if it is within the limits at its top level."""
    if isinstance(value, float):
        raise Fault("a float is not exact; numbers must be Decimal or int")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise Fault(f"the text is longer than {MAX_TEXT} characters")
    if isinstance(value, (list, tuple, dict)) and len(value) > MAX_ITEMS:
        raise Fault(f"more than {MAX_ITEMS} items")
    return value


def plain(value: Any) -> Any:
    """A copy as plain data within the limits. Raises `Fault` for a float or a foreign type anywhere in it."""
    left = [MAX_ITEMS]
    return _plain(value, left)


def _plain(value: Any, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise Fault(f"more than {MAX_ITEMS} items")
    if isinstance(value, Pending):
        return Unknown(value.after)
    if isinstance(value, dict):
        return {_key(k): _plain(v, left) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, left) for v in value]
    if isinstance(value, Decimal) and not value.is_finite():
        raise Fault("infinity and NaN are no numbers")
    if value is None or isinstance(value, (str, bool, int, Decimal, date, Unknown)):
        return bounded(value)
    raise Fault("a float is not exact" if isinstance(value, float) else f"{kind(value)} cannot be mapped")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Fault(f"the key of a record must be text, not {kind(key)}")
    return key


def equal(left: object, right: object) -> bool:
    """Whether two values of one kind are equal; null equals only null. Raises `Fault` for two kinds."""
    if left is None or right is None:
        return left is right
    if kind(left) != kind(right):
        raise Fault(f"{kind(left)} cannot be compared with {kind(right)}")
    return left == right


def same(left: object, right: object) -> bool:
    """Like `equal`, but values of two kinds are simply different."""
    return kind(left) == kind(right) and left == right


_ORDERED = ("a number", "text", "a date", "an instant")


def less(left: Any, right: Any) -> bool:
    """`left < right` for two numbers, texts, dates or instants. Raises `Fault` for anything else."""
    for side in (left, right):
        if side is None:
            raise Absent("null has no order; give it a value with `| default(…)`")
        if kind(side) not in _ORDERED:
            raise Fault(f"{kind(side)} has no order")
    if kind(left) != kind(right):
        raise Fault(f"{kind(left)} cannot be compared with {kind(right)}")
    try:
        return bool(left < right)
    except (TypeError, ArithmeticError):
        raise Fault("an instant without a zone cannot be compared") from None
