"""QuickBooks' invoices and payments as canonical records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crossdock_sdk import IssuedInvoice, Payment, PaymentLine
from crossdock_sdk.models import slugs

from crossdock_quickbooks.connection import inner
from crossdock_quickbooks.instants import told_at

Json = dict[str, Any]


def voided(row: Json) -> bool:
    """Whether an invoice was voided: all its amounts are nought then, and the private note says so."""
    nothing = not row.get("TotalAmt") and not row.get("Balance")
    return nothing and "voided" in str(row.get("PrivateNote") or "").casefold()


def status_of(row: Json, *, called_void: bool = False) -> str:
    """`open`, `partly_paid`, `paid` or `voided`, by the invoice's own amounts.

    With `called_void` an invoice of nought is a void one, whatever its note says. One that came to nought in another
    way (a discount of 100 %) is `open`: nobody has paid it, and nobody has voided it. Raises `KeyError`, `ValueError`.
    """
    total, balance = money(row, "TotalAmt"), money(row, "Balance")
    if voided(row) or (called_void and not total and not balance):
        return "voided"
    if total > 0 and not balance:
        return "paid"
    return "partly_paid" if balance < total else "open"


def issued_invoice(row: Json, url: str, *, called_void: bool = False) -> IssuedInvoice:
    """Raises `KeyError`, `TypeError`, `ValueError` for a row that is not as documented."""
    return IssuedInvoice(
        id=row["Id"],
        number=_text(row.get("DocNumber")),
        status=status_of(row, called_void=called_void),
        total=money(row, "TotalAmt"),
        balance=money(row, "Balance"),
        currency=inner(row, "CurrencyRef"),
        customer_id=inner(row, "CustomerRef"),
        customer_name=inner(row, "CustomerRef", "name"),
        email=inner(row, "BillEmail", "Address"),
        issue_date=row.get("TxnDate"),
        due_date=row.get("DueDate"),
        updated_at=told_at(row),
        url=url,
        custom=_custom(row),
        native=row,
    )


def payment(row: Json, url: str) -> Payment:
    """Raises as `issued_invoice` does."""
    return Payment(
        id=row["Id"],
        amount=money(row, "TotalAmt"),
        unapplied=money(row, "UnappliedAmt") if row.get("UnappliedAmt") is not None else None,
        currency=inner(row, "CurrencyRef"),
        customer_id=inner(row, "CustomerRef"),
        customer_name=inner(row, "CustomerRef", "name"),
        paid_on=row.get("TxnDate"),
        reference=_text(row.get("PaymentRefNum")),
        invoices=_covered(row),
        updated_at=told_at(row),
        url=url,
        native=row,
    )


def money(row: Json, name: str) -> Decimal:
    """An amount. Raises `KeyError` if it is missing, `ValueError` if it is no number."""
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError(f"{name} is no number")  # noqa: TRY004 - a wrong value of a vendor, not of a caller
    return Decimal(value)


def _covered(row: Json) -> tuple[PaymentLine, ...]:
    """What goes to which invoice; lines that put credits, or that go to other transactions, are none of these."""
    parts: dict[str, Decimal] = {}
    for line in row.get("Line") or []:
        invoices = [str(link["TxnId"]) for link in line.get("LinkedTxn") or [] if link.get("TxnType") == "Invoice"]
        if len(invoices) > 1:
            raise ValueError(f"one line goes to the invoices {', '.join(invoices)}, so no amount is known for each")
        if invoices:
            parts[invoices[0]] = parts.get(invoices[0], Decimal(0)) + money(line, "Amount")
    return tuple(PaymentLine(invoice_id=ident, amount=amount) for ident, amount in parts.items())


def _custom(row: Json) -> dict[str, Any]:
    """The sales-form fields by readable name, None where they are empty."""
    fields = {str(f["DefinitionId"]): f for f in row.get("CustomField") or [] if f.get("Name")}
    names = slugs((ident, str(f["Name"])) for ident, f in fields.items())
    return {names[ident]: f.get("StringValue") or None for ident, f in fields.items()}


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
