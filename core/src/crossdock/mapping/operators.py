"""Arithmetic, comparison and text joining over plain values; what is not known yet spreads."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from crossdock.mapping.errors import Fault
from crossdock.mapping.values import (
    EXACT,
    MAX_TEXT,
    Pending,
    Unknown,
    bounded,
    equal,
    kind,
    less,
    merge,
    number,
    same,
    text,
)


def arithmetic(operation: Callable[[Decimal, Decimal], Decimal], left: Any, right: Any) -> Any:
    """Apply to two numbers, with 50 significant digits; the result is always a `Decimal`."""
    waiting = [v for v in (left, right) if isinstance(v, Unknown)]
    if waiting:
        return merge(waiting)
    try:
        return operation(number(left), number(right))
    except decimal.DivisionByZero:
        raise Fault("division by zero") from None
    except decimal.Overflow:
        raise Fault("the result is too large") from None
    except decimal.InvalidOperation:
        raise Fault("this division has no result") from None


def modulo(left: Decimal, right: Decimal) -> Decimal:
    """The remainder that has the sign of the divisor, as Python's `%` has for integers."""
    rest = EXACT.remainder(left, right)
    return EXACT.add(rest, right) if rest and (rest < 0) != (right < 0) else rest


def floor_divide(left: Decimal, right: Decimal) -> Decimal:
    return EXACT.divide_int(EXACT.subtract(left, modulo(left, right)), right)


ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "Add": EXACT.add,
    "Sub": EXACT.subtract,
    "Mul": EXACT.multiply,
    "Div": EXACT.divide,
    "FloorDiv": floor_divide,
    "Mod": modulo,
}


def negative(value: Any) -> Any:
    return value if isinstance(value, Unknown) else EXACT.minus(number(value))


def positive(value: Any) -> Any:
    return value if isinstance(value, Unknown) else number(value)


def contains(container: Any, value: Any) -> bool:
    """`value in container`: an item of a list, a part of a text, a field name of a record."""
    if isinstance(container, (list, tuple)):
        return any(same(item, value) for item in container)
    if isinstance(container, dict):
        return value in container if isinstance(value, str) else False
    if isinstance(container, str):
        if not isinstance(value, str):
            raise Fault(f"{kind(value)} cannot be in a text")
        return value in container
    raise Fault(f"nothing can be in {kind(container)}")


COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda a, b: not equal(a, b),
    "lt": less,
    "gt": lambda a, b: less(b, a),
    "lteq": lambda a, b: not less(b, a),
    "gteq": lambda a, b: not less(a, b),
    "in": lambda a, b: contains(b, a),
    "notin": lambda a, b: not contains(b, a),
}


def compare(operator: str, left: Any, right: Any) -> Any:
    """True, false, or `Unknown` if a side is."""
    waiting = [v for v in (left, right) if isinstance(v, Unknown)]
    return merge(waiting) if waiting else COMPARISON[operator](left, right)


def join_text(values: Sequence[Any]) -> Any:
    """All values as one text of limited length."""
    waiting = [v for v in values if isinstance(v, Unknown)]
    if waiting:
        return merge(waiting)
    parts, length = [], 0
    for value in values:
        parts.append(text(value))
        length += len(parts[-1])
        if length > MAX_TEXT:
            break
    return bounded("".join(parts))


def truth(value: Any) -> bool:
    """Whether a known value counts as true: not null, not false, not zero, not empty."""
    if isinstance(value, Pending):
        return True
    if isinstance(value, Decimal) and not value.is_finite():
        raise Fault("infinity and NaN are neither true nor false")
    return bool(value)
