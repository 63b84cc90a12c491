"""What a simulated deal is worth.

A line's sum is quantity × price less its discount, rounded half up to the cent; a line discount by amount
comes off the whole line, not off each piece. A deal with enabled lines is worth their sums less the deal's
discounts, each percentage taken of the lines' total and rounded. Taxes are left out: with the tax method
`exclusive` or `none` the price is without tax, with `inclusive` the price contains it and so does the deal's
value. Pipedrive documents none of these roundings, nor whether its value contains exclusive tax; they are
assumptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from crossdock_sdk.models import round_money

Row = Mapping[str, Any]


def plain(amount: Decimal | int) -> Decimal | int:
    """A number as Pipedrive's JSON writes it: 1200 and 1199.5, not 1200.00 and 1199.50."""
    number = Decimal(amount)
    return int(number) if number == number.to_integral_value() else number.normalize()


def line_sum(quantity: Decimal, price: Decimal, discount: Decimal, discount_type: str) -> Decimal:
    gross = quantity * price
    return round_money(gross - (gross * discount / 100 if discount_type == "percentage" else discount))


def deal_value(lines: Iterable[Row], discounts: Iterable[Row]) -> Decimal | None:
    """The derived value, or None where no enabled line derives one."""
    sums = [Decimal(line["sum"]) for line in lines if line["is_enabled"]]
    if not sums:
        return None
    total = sum(sums, Decimal(0))
    return total - sum((_taken_off(total, discount) for discount in discounts), Decimal(0))


def _taken_off(total: Decimal, discount: Row) -> Decimal:
    amount = Decimal(discount["amount"])
    return round_money(total * amount / 100) if discount["type"] == "percentage" else amount
