"""Filters over numbers."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

from crossdock_sdk.models import minor_units

from crossdock.mapping.errors import Fault
from crossdock.mapping.filters.spec import Filter, whole
from crossdock.mapping.values import EXACT, number

_ROUNDING = {
    "half_up": decimal.ROUND_HALF_UP,
    "half_even": decimal.ROUND_HALF_EVEN,
    "up": decimal.ROUND_UP,
    "down": decimal.ROUND_DOWN,
}


def _quantize(value: Any, digits: int, how: str) -> Decimal:
    try:
        return number(value).quantize(Decimal(1).scaleb(-digits), rounding=how, context=EXACT)
    except decimal.InvalidOperation:
        raise Fault("the number has too many digits") from None


def money(value: Any, currency: str | None = None) -> Decimal:
    if not (currency is None or isinstance(currency, str)):
        raise Fault("the currency must be a code such as EUR")
    return _quantize(value, minor_units(currency), decimal.ROUND_HALF_UP)


def round_to(value: Any, digits: Any = 0, how: Any = "half_up") -> Decimal:
    places = whole(digits, "digits")
    if not -20 <= places <= 20:
        raise Fault("digits must be between -20 and 20")
    if how not in _ROUNDING:
        raise Fault(f"how must be one of {', '.join(_ROUNDING)}")
    rounded = _quantize(value, places, _ROUNDING[how])
    return rounded if places >= 0 else rounded.quantize(Decimal(1), context=EXACT)


FILTERS = (
    Filter(
        "money",
        money,
        "Round half up to the currency's smallest coin (two digits where none is named).",
        "{{ 10.005 | money }}",
        "10.01",
    ),
    Filter(
        "round",
        round_to,
        "Round to `digits` after the point: half_up, half_even, up or down.",
        '{{ 2.345 | round(1, "down") }}',
        "2.3",
    ),
)
