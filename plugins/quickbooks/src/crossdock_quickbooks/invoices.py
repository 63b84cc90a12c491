"""Creating invoices, and taking them back."""

from __future__ import annotations

import contextlib
import difflib
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    AmbiguousError,
    DiscrepancyError,
    Invoice,
    NotFoundError,
    Receipt,
    Redo,
    RejectedError,
    looking,
)
from crossdock_sdk.models import Number, slugs

from crossdock_quickbooks import query
from crossdock_quickbooks.connection import QuickBooksConnection, inner, on_newest
from crossdock_quickbooks.customers import address_body
from crossdock_quickbooks.errors import DUPLICATE_NUMBER
from crossdock_quickbooks.items import items_by_sku
from crossdock_quickbooks.lines import invoice_lines
from crossdock_quickbooks.marks import carries, mark, require_ours
from crossdock_quickbooks.records import voided

_LONGEST = {"number": 21, "memo": 1000}
_LONGEST_NOTE = 4000
_LOOK_BACK = timedelta(days=30)
"""How far back an invoice of ours is looked for: a try may have waited for a person for that long."""
_NAMED_FIELD = re.compile(r"SalesFormsPrefs\.SalesCustomName(\d+)")


class InvoiceReceipt(Receipt):
    """The invoice as QuickBooks booked it. `total` is before tax; amounts are in `currency`."""

    number: str | None = None
    total: Number
    tax: Number
    total_with_tax: Number
    balance: Number
    currency: str | None = None
    customer_id: str | None = None
    sync_token: str | None = None


class InvoiceCreate(Action[Invoice]):
    """Create an invoice. Its total is compared with ours to the cent; another one is a `DiscrepancyError`."""

    name = "invoice.create"
    redo = Redo.NATIVE_KEY
    receipt: ClassVar[type[Receipt]] = InvoiceReceipt
    object = "invoice"
    summary = "Create an invoice, its lines by SKU"
    connection: QuickBooksConnection

    async def apply(self, data: Invoice, key: str) -> InvoiceReceipt:
        items = await items_by_sku(self.connection, _fields_by_sku(data))
        body = invoice_body(data, key, invoice_lines(data, items))
        if data.custom:
            body["CustomField"] = await self._custom_fields(data.custom)
        body |= data.native | {"PrivateNote": body["PrivateNote"]}
        home = (await self.connection.currencies.require(data.currency)).home if data.currency else None
        made = await self._numbered(data, key) or await self._made(data, body, key)
        return checked(self.connection, data, made, key, home)

    async def recover(self, data: Invoice, key: str) -> InvoiceReceipt | None:
        """The invoice whose private note has our key; None if there is none.

        There are reports that a `requestid` was not honoured (QuickBooks-V3-DotNET-SDK issue 352), so it is not
        the only thing between a lost reply and a second invoice. Private notes cannot be queried.
        """
        customer = inner(data.native, "CustomerRef") or data.customer_id
        recent = query.since("MetaData.CreateTime", self.connection.context.now() - _LOOK_BACK)
        with looking(f"an invoice for customer {customer} was made"):
            rows = await self.connection.find("Invoice", query.equals("CustomerRef", customer), recent)
            ours = (row for row in rows if carries(row, "PrivateNote", key) and not voided(row))
            made = next(ours, None)
            return None if made is None else await self._stands(data, made, key)

    async def named(self, object_id: str, data: Invoice, key: str) -> InvoiceReceipt:
        return await self._stands(data, await self.connection.read("Invoice", object_id), key)

    async def exists(self, receipt: Receipt) -> bool:
        try:
            return not voided(await self.connection.read("Invoice", receipt.id))
        except NotFoundError:
            return False

    async def undo(self, receipt: Receipt) -> None:
        """Delete the invoice. One that is paid, or whose total somebody has changed, is left and refused."""
        if not receipt.created:
            return
        with contextlib.suppress(NotFoundError):
            await on_newest(lambda: self._delete(receipt))

    async def _delete(self, receipt: Receipt) -> None:
        found = await self.connection.read("Invoice", receipt.id)
        if voided(found):
            return
        number = found.get("DocNumber") or receipt.id
        require_ours(found, "PrivateNote", receipt, f"invoice {number}")
        total = receipt_of(self.connection, found).total_with_tax
        if paid_in_part(found):
            raise RejectedError(
                f"invoice {number} has payments or credits applied, so it is not deleted; a person decides",
                field="Balance",
            )
        if isinstance(receipt, InvoiceReceipt) and total != receipt.total_with_tax:
            raise RejectedError(
                f"invoice {number} came to {receipt.total_with_tax} and comes to {total} now: somebody changed it, "
                "so it is not deleted; a person decides",
                field="TotalAmt",
            )
        await self.connection.change("Invoice", version(found), "delete")

    async def _stands(self, data: Invoice, made: dict[str, Any], key: str) -> InvoiceReceipt:
        home = (await self.connection.currencies.get()).home if data.currency else None
        return checked(self.connection, data, made, key, home)

    async def _made(self, data: Invoice, body: dict[str, Any], key: str) -> dict[str, Any]:
        try:
            return await self.connection.create("Invoice", body, key)
        except RejectedError as error:
            if error.code not in DUPLICATE_NUMBER or not data.number:
                raise
            with looking(f"invoice number {data.number!r} is our own"):
                same = await self._with_number(data.number)
            ours = _ours(data.number, same, key)
            if ours is None:
                raise
            return ours

    async def _numbered(self, data: Invoice, key: str) -> dict[str, Any] | None:
        """The invoice that has the wanted number, if it is our own earlier success; refused if it is another.

        It is asked before, for QuickBooks takes a used number without a word where it numbers by itself.
        """
        return _ours(data.number, await self._with_number(data.number), key) if data.number else None

    async def _with_number(self, number: str) -> list[dict[str, Any]]:
        return await self.connection.find("Invoice", query.equals("DocNumber", number))

    async def _custom_fields(self, custom: dict[str, Any]) -> list[dict[str, str]]:
        labels = sales_fields(await self.connection.preferences())
        names = slugs(labels.items())
        by_name = {name: ident for ident in labels for name in (names[ident], labels[ident])}
        fields = []
        for name, value in custom.items():
            if name not in by_name:
                near = difflib.get_close_matches(name, by_name, 1)
                there = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(by_name) or 'none'}"
                raise RejectedError(f"QuickBooks has no sales-form field {name!r}; {there}", field=f"custom.{name}")
            ident = by_name[name]
            text = "" if value is None else str(value)
            fields.append({"DefinitionId": ident, "Name": labels[ident], "Type": "StringType", "StringValue": text})
        return fields


def checked(
    connection: QuickBooksConnection, data: Invoice, made: dict[str, Any], key: str, home: str | None
) -> InvoiceReceipt:
    """The receipt of an invoice that comes to what was asked for; else raises `DiscrepancyError`, with the receipt.

    It asks nothing: a question that failed now would pass for a write that failed. `home` is the books' own currency.
    """
    receipt = receipt_of(connection, made).model_copy(update={"undo": {"key": key}})
    number = receipt.number or receipt.id
    inclusive = data.native.get("GlobalTaxCalculation") == "TaxInclusive"
    booked = receipt.total_with_tax if inclusive else receipt.total
    if booked != data.total:
        said = f"invoice {number} comes to {booked} in QuickBooks, to {data.total} here"
        raise DiscrepancyError(said, receipt=receipt, field="total")
    wanted = (data.currency or "").upper()
    if wanted and receipt.currency and receipt.currency != wanted:
        said = f"invoice {number} is in {receipt.currency}, not {wanted}"
        raise DiscrepancyError(said, receipt=receipt, field="currency")
    # Foreign invoices without a rate have been booked one to one.
    unrated = data.exchange_rate is None and made.get("ExchangeRate") == 1
    if wanted and unrated and home not in (None, wanted):
        said = f"invoice {number} is booked at 1 {wanted} = 1 {home}; give exchange_rate"
        raise DiscrepancyError(said, receipt=receipt, field="exchange_rate")
    return receipt


def invoice_body(data: Invoice, key: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The invoice as QuickBooks' JSON. Our key is in the private note, which the customer never sees."""
    for name, most in _LONGEST.items():
        if len(getattr(data, name) or "") > most:
            raise RejectedError(f"{name} is longer than the {most} characters that QuickBooks takes", field=name)
    own = str(data.native.get("PrivateNote") or data.note or "").strip()
    note = "\n".join(part for part in (own, mark(key)) if part)
    if len(note) > _LONGEST_NOTE:
        most = _LONGEST_NOTE - len(mark(key)) - 1
        raise RejectedError(f"note is longer than the {most} characters that fit beside our key", field="note")
    body: dict[str, Any] = {"CustomerRef": {"value": data.customer_id}, "Line": lines, "PrivateNote": note}
    named = {
        "DocNumber": data.number,
        "TxnDate": data.issue_date and data.issue_date.isoformat(),
        "DueDate": data.due_date and data.due_date.isoformat(),
        "CustomerMemo": data.memo and {"value": data.memo},
        "BillEmail": data.email and {"Address": data.email.strip()},
        "BillAddr": data.billing_address and address_body(data.billing_address),
        "CurrencyRef": data.currency and {"value": data.currency.upper()},
        "ExchangeRate": data.exchange_rate,
        # The default taxes what the discount takes off.
        "ApplyTaxAfterDiscount": True if data.discount else None,
    }
    return body | {k: v for k, v in named.items() if v}


def receipt_of(connection: QuickBooksConnection, row: dict[str, Any], *, created: bool = True) -> InvoiceReceipt:
    """The receipt of an invoice as QuickBooks returned it. Raises `AmbiguousError` if it names no total."""
    details = row.get("TxnTaxDetail")
    tax = _money(details.get("TotalTax", 0) if isinstance(details, dict) else 0, row)
    total = _money(row.get("TotalAmt"), row)
    token = row.get("SyncToken")
    return InvoiceReceipt(
        id=row["Id"],
        created=created,
        url=connection.app_url("invoice", txnId=row["Id"]),
        number=str(row["DocNumber"]) if row.get("DocNumber") else None,
        total=total - tax,
        tax=tax,
        total_with_tax=total,
        balance=_money(row.get("Balance", total), row),
        currency=inner(row, "CurrencyRef"),
        customer_id=inner(row, "CustomerRef"),
        sync_token=None if token is None else str(token),
    )


def sales_fields(preferences: dict[str, Any]) -> dict[str, str]:
    """Definition id → label of the custom sales-form fields that are in use (the three text fields of old).

    The settings hold flags and labels in nested lists, `SalesFormsPrefs.UseSalesCustom1` and `…CustomName1`.
    """
    forms = preferences.get("SalesFormsPrefs")
    groups = _objects(forms.get("CustomField") if isinstance(forms, dict) else None)
    flags: dict[str, Any] = {}
    for group in groups:
        for each in _objects(group.get("CustomField")) or [group]:
            flags[str(each.get("Name"))] = each.get("StringValue", each.get("BooleanValue"))
    found = {}
    for name, label in flags.items():
        named = _NAMED_FIELD.fullmatch(name)
        if named and label and flags.get(f"SalesFormsPrefs.UseSalesCustom{named[1]}") is not False:
            found[named[1]] = str(label)
    return found


def version(row: dict[str, Any]) -> dict[str, Any]:
    """What a delete or a void is given: which record, and which version of it was seen."""
    return {"Id": row["Id"], "SyncToken": str(row["SyncToken"])}


def paid_in_part(row: dict[str, Any]) -> bool:
    """Whether payments or credits are applied to an invoice."""
    linked = any(link.get("TxnType") in ("Payment", "CreditMemo") for link in _objects(row.get("LinkedTxn")))
    return linked or row.get("Balance", row.get("TotalAmt")) != row.get("TotalAmt")


def _fields_by_sku(data: Invoice) -> dict[str, str]:
    fields: dict[str, str] = {}
    for at, line in enumerate(data.lines):
        fields.setdefault(line.sku, f"lines[{at}].sku")
    return fields


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _ours(number: str, same: list[dict[str, Any]], key: str) -> dict[str, Any] | None:
    for row in same:
        if carries(row, "PrivateNote", key):
            return row
    if same:
        raise RejectedError(
            f"invoice number {number!r} is already used in QuickBooks (id {same[0]['Id']})",
            field="number",
        )
    return None


def _money(value: Any, row: dict[str, Any]) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise AmbiguousError(f"QuickBooks: invoice {row['Id']} comes without a usable total; look at it there")
    return Decimal(value)
