"""What a simulated line is worth: quantity × sales price less the line's percentage, rounded half up to the cent.

Salesforce documents `TotalPrice` as net of the discount, and not how it rounds; that is an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crossdock_sdk.models import round_money


def plain(amount: Decimal) -> Decimal:
    """A number as Salesforce's JSON writes it: always with a point, 1200.0 and 1199.5."""
    number = Decimal(amount).normalize()
    return number if number.as_tuple().exponent < 0 else number.quantize(Decimal("1.0"))  # type: ignore[operator]


def line(row: Mapping[str, Any]) -> dict[str, Decimal]:
    gross = Decimal(row["Quantity"]) * Decimal(row["UnitPrice"])
    net = gross - gross * Decimal(row["Discount"] or 0) / 100
    return {"Subtotal": plain(round_money(gross)), "TotalPrice": plain(round_money(net))}
