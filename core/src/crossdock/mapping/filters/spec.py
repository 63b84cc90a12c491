"""What a filter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from crossdock.mapping.errors import Fault
from crossdock.mapping.values import number

_LARGEST = 1_000_000


class Reads(Enum):
    """Which part of its operand a filter reads, or hands on."""

    WHOLE = "whole"
    COUNT = "count"
    FIRST = "first"
    LAST = "last"
    SAME = "same"
    """Hands its operand (or some of its items) on as it is; reads the field it is given."""
    FIELD = "field"
    """Reads of each item the field it is given, or all of it without one."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A named function of the expression language. `call` raises `Fault` or `ValueError` with one line for a person.

    `example` is an expression and `gives` its result as JSON; both are shown in the reference.
    """

    name: str
    call: Callable[..., Any]
    summary: str
    example: str = ""
    gives: str = ""
    reads: Reads = Reads.WHOLE
    takes_field: bool = False
    takes_null: bool = False
    argument: Callable[[str], Any] | None = None
    """Raises `Fault` for a first argument, written out as text, that can never be right."""


def whole(value: Any, what: str) -> int:
    """An argument that must be a whole number of reasonable size."""
    exact = number(value)
    if abs(exact) > _LARGEST or exact != exact.to_integral_value():
        raise Fault(f"{what} must be a whole number of at most {_LARGEST}")
    return int(exact)
