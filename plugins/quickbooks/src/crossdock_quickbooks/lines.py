"""Invoice lines as QuickBooks takes them, to the cent.

QuickBooks wants `Amount` to be `Qty` × `UnitPrice` rounded half up to two decimals (error 6070 otherwise) and
keeps seven decimals of both. Discounts on single lines are not part of its API for every country, so such a
line is sent with its net unit price, and its description says what it is net of.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from crossdock_sdk import Invoice, InvoiceLine, RejectedError

_CENT = Decimal("0.01")
_MOST_DIGITS = 12
"""Before the point; QuickBooks takes fifteen in all."""
_FINEST = Decimal("0.0000001")


def invoice_lines(invoice: Invoice, items: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """All `Line`s of the invoice. `items` is the item of each SKU."""
    lines = [sales_line(invoice, at, items[line.sku]["Id"]) for at, line in enumerate(invoice.lines)]
    return lines + discount_lines(invoice)


def sales_line(invoice: Invoice, at: int, item_id: str) -> dict[str, Any]:
    """One sold line, with the amount that `Invoice.total` counts for it."""
    line = invoice.lines[at]
    amount = line.amount_in(invoice.currency)
    if amount.adjusted() > _MOST_DIGITS:
        raise RejectedError(f"lines[{at}] comes to {amount}, too much for QuickBooks", field=f"lines[{at}]")
    if amount != _cents(amount):
        raise RejectedError(f"lines[{at}] comes to {amount}, but QuickBooks keeps two decimals", field=f"lines[{at}]")
    if line.custom:
        raise RejectedError("QuickBooks lines have no custom fields; use native", field=f"lines[{at}].custom")
    quantity, price = factors(line, amount)
    detail: dict[str, Any] = {"ItemRef": {"value": item_id}, "Qty": quantity, "UnitPrice": price}
    tax_code = line.tax_code or invoice.tax_code
    if tax_code:
        detail["TaxCodeRef"] = {"value": tax_code}
    if line.service_date:
        detail["ServiceDate"] = line.service_date.isoformat()
    body = {"DetailType": "SalesItemLineDetail", "Amount": amount, "SalesItemLineDetail": detail}
    said = description(line, changed=(quantity, price) != (line.quantity, line.unit_price))
    if said:
        body["Description"] = said
    return body | line.native


def factors(line: InvoiceLine, amount: Decimal) -> tuple[Decimal, Decimal]:
    """Quantity and unit price whose product, rounded half up to the cent, is `amount`.

    The line's own, if they are; else its quantity and a net unit price; else one of `amount`.
    """
    if _fits(line.quantity, line.unit_price, amount):
        return _trimmed(line.quantity), _trimmed(line.unit_price)
    if line.quantity and _short(line.quantity):
        net = _trimmed((amount / line.quantity).quantize(_FINEST, rounding=ROUND_HALF_UP))
        if _fits(line.quantity, net, amount):
            return _trimmed(line.quantity), net
    return Decimal(1), amount


def description(line: InvoiceLine, *, changed: bool) -> str:
    """The line's text, and how its amount came about if the factors on the invoice do not show it."""
    parts = [line.description] if line.description else []
    if changed:
        off = [f"{_plain(line.discount_percent)} %"] if line.discount_percent else []
        off += [_plain(line.discount_amount)] if line.discount_amount else []
        less = f", less {' and '.join(off)}" if off else ""
        parts.append(f"({_plain(line.quantity)} × {_plain(line.unit_price)}{less})")
    return " ".join(parts)


def discount_lines(invoice: Invoice) -> list[dict[str, Any]]:
    """The invoice's own discount: none or one line.

    By percent the server computes the amount, half up. With a fixed amount `DiscountPercent` must be left
    out: a nought there makes the discount nought.
    """
    if not invoice.discount:
        return []
    percent = invoice.discount_percent
    # Where the coin is no cent, or the percentage finer than the server may keep, our own amount is right.
    if percent and percent == _cents(percent) and invoice.discount == _cents(invoice.subtotal * percent / 100):
        detail: dict[str, Any] = {"PercentBased": True, "DiscountPercent": _trimmed(percent)}
        return [{"DetailType": "DiscountLineDetail", "DiscountLineDetail": detail}]
    detail = {"PercentBased": False}
    return [{"DetailType": "DiscountLineDetail", "Amount": invoice.discount, "DiscountLineDetail": detail}]


def _fits(quantity: Decimal, price: Decimal, amount: Decimal) -> bool:
    return _short(quantity) and _short(price) and _cents(quantity * price) == amount


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT, rounding=ROUND_HALF_UP)


def _short(number: Decimal) -> bool:
    return number == number.quantize(_FINEST)


def _trimmed(number: Decimal) -> Decimal:
    """Without needless noughts, and never with a positive exponent."""
    whole = number.to_integral_value()
    return whole.quantize(Decimal(1)) if number == whole else number.normalize()


def _plain(number: Decimal | None) -> str:
    return f"{_trimmed(number):f}" if number is not None else ""
