"""Finding items; mailing and voiding invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.delivery import InvoiceMail, InvoiceVoid
from crossdock_quickbooks.invoices import InvoiceReceipt
from crossdock_quickbooks.items import ItemFind
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import (
    AmbiguousError,
    InvoiceSend,
    ItemQuery,
    NotFoundError,
    ObjectRef,
    RejectedError,
    TransientError,
)
from crossdock_sdk.testing import Fault, perform

KEY = "3b1d2c77-5e6f-5a10-9c3d-2f4e6a8b0c02"


@pytest.fixture
def invoice(books: QuickBooksSimulator) -> str:
    """The id of an invoice over 5.00 that somebody made by hand."""
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 5, "SalesItemLineDetail": {"ItemRef": {"value": "2"}}}
    email = {"Address": "mae@harbour-bakery.example"}
    made = books.sales.create_invoice({"CustomerRef": {"value": "1"}, "Line": [sold], "BillEmail": email})
    return str(made["Id"])


async def test_an_item_is_found_by_sku(connection: QuickBooksConnection) -> None:
    found = await ItemFind(connection).apply(ItemQuery(sku="SETUP"), KEY)
    assert (found.id, found.name, found.unit_price, found.created) == ("3", "Setup", Decimal("450.00"), False)
    await ItemFind(connection).undo(found)


@pytest.mark.parametrize("sku", ["setup", "SETUP'", "NONE"])
async def test_an_unknown_sku_is_named(connection: QuickBooksConnection, sku: str) -> None:
    with pytest.raises(RejectedError) as refused:
        await ItemFind(connection).apply(ItemQuery(sku=sku), KEY)
    assert repr(sku) in refused.value.message
    assert refused.value.field == "sku"


async def test_an_inactive_items_sku_is_called_inactive_unless_another_item_has_it(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    await books.trigger("item.deactivate", {"Sku": "SETUP"})
    with pytest.raises(RejectedError, match=r"\(id 3\) is inactive"):
        await ItemFind(connection).apply(ItemQuery(sku="SETUP"), KEY)
    await books.trigger("item.create", {"Sku": "SETUP", "Name": "New set-up"})
    assert (await ItemFind(connection).apply(ItemQuery(sku="SETUP"), KEY)).id == "6"


async def test_an_invoice_is_mailed_to_its_own_address(connection: QuickBooksConnection, invoice: str) -> None:
    receipt = await InvoiceMail(connection).apply(InvoiceSend(id=invoice), KEY)
    assert (receipt.id, receipt.number, receipt.email) == (invoice, "1001", "mae@harbour-bakery.example")
    assert receipt.sent_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


async def test_a_mail_whose_reply_was_lost_is_recovered_and_not_sent_again(
    connection: QuickBooksConnection, books: QuickBooksSimulator, invoice: str
) -> None:
    mail, to = InvoiceMail(connection), InvoiceSend(id=invoice, email="ap+1@acme.example")
    assert await mail.recover(to, KEY) is None
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/send"))
    with pytest.raises(AmbiguousError):
        await mail.apply(to, KEY)
    recovered = await mail.recover(to, KEY)
    assert recovered is not None
    assert recovered.email == "ap+1@acme.example"
    assert await mail.recover(InvoiceSend(id=invoice, email="other@acme.example"), KEY) is None


async def test_a_mail_that_never_left_is_not_recovered(
    connection: QuickBooksConnection, books: QuickBooksSimulator, invoice: str
) -> None:
    books.faults.append(Fault(kind="drop_before", method="POST", path="*/send"))
    with pytest.raises(AmbiguousError):
        await InvoiceMail(connection).apply(InvoiceSend(id=invoice), KEY)
    assert await InvoiceMail(connection).recover(InvoiceSend(id=invoice), KEY) is None


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_mail_or_void_that_cannot_be_looked_up_stays_in_doubt(
    connection: QuickBooksConnection, books: QuickBooksSimulator, invoice: str, status: int
) -> None:
    await InvoiceVoid(connection).apply(ObjectRef(id=invoice), KEY)
    books.faults.append(Fault(kind="status", method="GET", path="*/invoice/*", status=status, times=None))
    with pytest.raises(TransientError, match="was mailed cannot be told"):
        await InvoiceMail(connection).recover(InvoiceSend(id=invoice), KEY)
    if status == 404:
        assert await InvoiceVoid(connection).recover(ObjectRef(id=invoice), KEY) is None
    else:
        with pytest.raises(TransientError, match="is void cannot be told"):
            await InvoiceVoid(connection).recover(ObjectRef(id=invoice), KEY)


async def test_an_email_cannot_be_taken_back(connection: QuickBooksConnection, invoice: str) -> None:
    mail = InvoiceMail(connection)
    receipt = await mail.apply(InvoiceSend(id=invoice), KEY)
    with pytest.raises(RejectedError, match="cannot be taken back"):
        await mail.undo(receipt)


async def test_a_void_leaves_nought_and_a_second_void_changes_nothing(
    connection: QuickBooksConnection, books: QuickBooksSimulator, invoice: str
) -> None:
    action = InvoiceVoid(connection)
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/invoice"))
    receipt = await perform(action, ObjectRef(id=invoice), KEY, tries=2)
    assert isinstance(receipt, InvoiceReceipt)
    assert (receipt.total, receipt.balance) == (Decimal(0), Decimal(0))
    [stands] = books.state()["invoices"]
    assert (stands["SyncToken"], stands["PrivateNote"]) == ("1", "Voided")
    with pytest.raises(RejectedError, match="cannot be taken back"):
        await action.undo(receipt)


async def test_a_void_of_somebody_else_is_left_alone(connection: QuickBooksConnection, invoice: str) -> None:
    await InvoiceVoid(connection).apply(ObjectRef(id=invoice), KEY)
    receipt = await perform(InvoiceVoid(connection), ObjectRef(id=invoice), KEY)
    await InvoiceVoid(connection).undo(receipt)


async def test_a_paid_invoice_is_not_voided(
    connection: QuickBooksConnection, books: QuickBooksSimulator, invoice: str
) -> None:
    await books.trigger("payment.create", {"invoice": invoice})
    with pytest.raises(RejectedError, match="payments or credits"):
        await InvoiceVoid(connection).apply(ObjectRef(id=invoice), KEY)
    assert books.state()["invoices"][0]["TotalAmt"] == 5


@pytest.mark.parametrize("ident", ["404", "4/../1", "x?y=1"])
async def test_an_invoice_that_is_not_there_is_not_found(connection: QuickBooksConnection, ident: str) -> None:
    with pytest.raises(RejectedError) as refused:
        await InvoiceVoid(connection).apply(ObjectRef(id=ident), KEY)
    assert isinstance(refused.value, NotFoundError) == (ident == "404")
