"""What is done to an invoice that stands: mailing it, and voiding it."""

from __future__ import annotations

from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    AmbiguousError,
    InvoiceSend,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
    looking,
)
from pydantic import AwareDatetime

from crossdock_quickbooks.connection import QuickBooksConnection, inner, on_newest
from crossdock_quickbooks.instants import instant
from crossdock_quickbooks.invoices import InvoiceReceipt, paid_in_part, receipt_of, version
from crossdock_quickbooks.records import voided

_SENT = "EmailSent"


class SendReceipt(Receipt):
    """The invoice that was mailed, where to and when."""

    number: str | None = None
    email: str | None = None
    sent_at: AwareDatetime | None = None


class InvoiceMail(Action[InvoiceSend]):
    """Have QuickBooks mail an invoice to its own address, or to `email`, which then becomes its address.

    It mails again each time it is asked, so a mail whose fate is unknown is looked up: an invoice that says
    it has been sent (to that address) is not sent again, whoever sent it. An e-mail cannot be undone.
    """

    name = "invoice.send"
    redo = Redo.LOOKUP
    receipt: ClassVar[type[Receipt]] = SendReceipt
    summary = "E-mail an invoice to the customer"
    connection: QuickBooksConnection

    async def apply(self, data: InvoiceSend, key: str) -> SendReceipt:
        sent = await self.connection.send_invoice(data.id, data.email, key)
        if sent.get("EmailStatus") != _SENT:
            status = sent.get("EmailStatus")
            raise AmbiguousError(f"QuickBooks: invoice {data.id} was to be mailed, but its e-mail status is {status}")
        return self._receipt(sent)

    async def recover(self, data: InvoiceSend, key: str) -> SendReceipt | None:
        with looking(f"invoice {data.id} was mailed"):
            found = await self.connection.read("Invoice", data.id)
        address = inner(found, "BillEmail", "Address") or ""
        elsewhere = data.email is not None and address.casefold() != data.email.casefold()
        return None if found.get("EmailStatus") != _SENT or elsewhere else self._receipt(found)

    async def undo(self, receipt: Receipt) -> None:
        raise RejectedError(f"invoice {receipt.id} has been e-mailed, and an e-mail cannot be taken back", field="id")

    def serialize_by(self, data: InvoiceSend) -> str | None:
        return f"invoice {data.id}"

    def _receipt(self, row: dict[str, Any]) -> SendReceipt:
        return SendReceipt(
            id=row["Id"],
            url=self.connection.app_url("invoice", txnId=row["Id"]),
            number=str(row["DocNumber"]) if row.get("DocNumber") else None,
            email=inner(row, "BillEmail", "Address"),
            sent_at=instant(inner(row, "DeliveryInfo", "DeliveryTime")),
        )


class InvoiceVoid(Action[ObjectRef]):
    """Void an invoice: it stays in the books, with nought everywhere. A void one is left as it is.

    An invoice with payments or credits applied is refused: what becomes of the money is a person's decision.
    A void cannot be undone.
    """

    name = "invoice.void"
    redo = Redo.UPSERT
    receipt: ClassVar[type[Receipt]] = InvoiceReceipt
    summary = "Void an invoice"
    connection: QuickBooksConnection

    async def before(self, data: ObjectRef) -> dict[str, Any]:
        return {"void": voided(await self.connection.read("Invoice", data.id))}

    async def apply(self, data: ObjectRef, key: str) -> InvoiceReceipt:
        return await on_newest(lambda: self._void(data.id))

    async def recover(self, data: ObjectRef, key: str) -> InvoiceReceipt | None:
        with looking(f"invoice {data.id} is void"):
            try:
                found = await self.connection.read("Invoice", data.id)
            except NotFoundError:
                return None
            return receipt_of(self.connection, found) if voided(found) else None

    async def named(self, object_id: str, data: ObjectRef, key: str) -> InvoiceReceipt:
        return receipt_of(self.connection, await self.connection.read("Invoice", data.id))

    async def undo(self, receipt: Receipt) -> None:
        if not receipt.undo.get("before", {}).get("void"):
            raise RejectedError(f"invoice {receipt.id} has been voided, and a void cannot be taken back", field="id")

    def serialize_by(self, data: ObjectRef) -> str | None:
        return f"invoice {data.id}"

    async def _void(self, ident: str) -> InvoiceReceipt:
        found = await self.connection.read("Invoice", ident)
        if voided(found):
            return receipt_of(self.connection, found)
        if paid_in_part(found):
            raise RejectedError(
                f"invoice {found.get('DocNumber') or ident} has payments or credits; it is not voided",
                field="Balance",
            )
        done = await self.connection.change("Invoice", version(found), "void")
        receipt = receipt_of(self.connection, done)
        if receipt.total_with_tax:
            raise AmbiguousError(f"QuickBooks: invoice {ident} was to be voided and comes to {receipt.total_with_tax}")
        return receipt
