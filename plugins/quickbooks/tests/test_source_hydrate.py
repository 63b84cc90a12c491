"""What happened is judged by the record, when it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from crossdock_quickbooks import records
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import (
    Event,
    EventVoid,
    IssuedInvoice,
    NotFoundError,
    Payment,
    RejectedError,
    ThrottledError,
    TransientError,
)
from crossdock_sdk.testing import Fault


def told(kind: str, ident: str, **known: str) -> Event:
    name = "payment" if kind.startswith("payment") else "invoice"
    return Event(kind, f"{kind}:1:{ident}:2026-11-23T09:30:00Z", ident, {name: {"id": ident} | known})


async def invoice_of(source: QuickBooksSource, kind: str, ident: str, **known: str) -> IssuedInvoice:
    found = (await source.hydrate(told(kind, ident, **known)))["invoice"]
    assert isinstance(found, IssuedInvoice)
    return found


async def payment_of(source: QuickBooksSource, ident: str) -> Payment:
    found = (await source.hydrate(told("payment.created", ident)))["payment"]
    assert isinstance(found, Payment)
    return found


async def test_an_invoice_as_it_stands(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice(Decimal("120.00"))
    await books.trigger("payment.create", {"invoice": ident, "amount": "100.00"})
    await books.trigger("invoice.edit", {"invoice": ident, "BillEmail": {"Address": "mae@harbour-bakery.example"}})
    found = await invoice_of(source, "invoice.updated", ident)
    assert (found.id, found.number, found.status) == (ident, "1001", "partly_paid")
    assert (found.total, found.balance, found.currency) == (Decimal("120.00"), Decimal("20.00"), "USD")
    assert (found.customer_id, found.customer_name) == ("1", "Mae's Harbour Bakery")
    assert (found.email, found.issue_date) == ("mae@harbour-bakery.example", date(2026, 11, 23))
    assert (found.due_date, found.updated_at) == (date(2026, 12, 23), datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    assert (found.custom, found.native["DocNumber"]) == ({"crew": None}, "1001")
    assert found.url == f"https://app.sandbox.qbo.intuit.com/app/invoice?txnId={ident}"


async def test_an_invoice_that_is_paid_in_full_is_paid_and_no_sooner(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice(Decimal("120.00"))
    await books.trigger("payment.create", {"invoice": ident, "amount": "100.00"})
    with pytest.raises(EventVoid, match=r"^invoice 1001 is not paid: 20\.00 of 120\.00 is owed$"):
        await source.hydrate(told("invoice.paid", ident))
    paid = await books.trigger("payment.create", {"invoice": ident})
    assert (await invoice_of(source, "invoice.paid", ident)).status == "paid"
    await books.trigger("payment.void", {"payment": paid["payment"]["Id"]})
    with pytest.raises(EventVoid, match=r"20\.00 of 120\.00 is owed"):
        await source.hydrate(told("invoice.paid", ident))


async def test_a_void_invoice_owes_nothing_and_is_not_paid(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice()
    with pytest.raises(EventVoid, match=r"^invoice 1001 is not voided: it comes to 120\.00, and 120\.00 is owed$"):
        await source.hydrate(told("invoice.voided", ident, status="voided"))
    await books.trigger("invoice.void", {"invoice": ident})
    assert (await invoice_of(source, "invoice.voided", ident)).status == "voided"
    assert (await invoice_of(source, "invoice.updated", ident)).status == "voided"
    with pytest.raises(EventVoid, match=r"^invoice 1001 is not paid but voided$"):
        await source.hydrate(told("invoice.paid", ident))


async def test_an_invoice_over_nothing_is_neither_paid_nor_voided_unless_the_delivery_calls_it_a_void(
    source: QuickBooksSource, invoice: Callable[..., str]
) -> None:
    ident = invoice(0)
    with pytest.raises(EventVoid, match=r"^invoice 1001 is not paid: it comes to 0"):
        await source.hydrate(told("invoice.paid", ident))
    with pytest.raises(EventVoid, match="is not voided"):
        await source.hydrate(told("invoice.voided", ident))
    assert (await invoice_of(source, "invoice.voided", ident, status="voided")).status == "voided"
    assert (await invoice_of(source, "invoice.updated", ident)).status == "open"


async def test_a_payment_says_what_of_it_goes_to_which_invoice(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    one, two = invoice(100), invoice(60)
    parts = {"invoices": {one: "40.00", two: None}, "amount": "130.00"}
    made = (await books.trigger("payment.create", parts))["payment"]
    found = await payment_of(source, made["Id"])
    assert [(line.invoice_id, line.amount) for line in found.invoices] == [(one, 40), (two, 60)]
    assert (found.amount, found.unapplied, found.currency) == (Decimal("130.00"), Decimal("30.00"), "USD")
    assert (found.customer_id, found.customer_name) == ("1", "Mae's Harbour Bakery")
    assert (found.paid_on, found.url) == (
        date(2026, 11, 23),
        f"https://app.sandbox.qbo.intuit.com/app/recvpayment?txnId={made['Id']}",
    )


async def test_a_void_payment_brings_no_money(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    made = (await books.trigger("payment.create", {"invoice": invoice()}))["payment"]
    await books.trigger("payment.void", {"payment": made["Id"]})
    with pytest.raises(EventVoid, match=f"^payment {made['Id']} brings no money"):
        await source.hydrate(told("payment.created", made["Id"]))


async def test_what_was_deleted_is_not_read(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice()
    made = (await books.trigger("payment.create", {"invoice": ident}))["payment"]
    await books.trigger("payment.delete", {"payment": made["Id"]})
    await books.trigger("invoice.delete", {"invoice": ident})
    for kind in ("invoice.paid", "invoice.updated", "invoice.voided"):
        with pytest.raises(EventVoid, match=f"^invoice {ident} is deleted$"):
            await source.hydrate(told(kind, ident))
    with pytest.raises(EventVoid, match=f"^payment {made['Id']} is deleted$"):
        await source.hydrate(told("payment.created", made["Id"]))


async def test_only_quickbooks_own_word_says_that_something_is_deleted(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice()
    books.faults.append(Fault(kind="status", path="/v3/*", status=404, body={"message": "no such route"}))
    with pytest.raises(RejectedError) as caught:
        await source.hydrate(told("invoice.updated", ident))
    assert isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("kind", ["invoice.paid", "payment.created"])
async def test_a_reading_that_may_be_older_than_the_change_is_no_proof(
    kind: str, source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str], clock: Any
) -> None:
    ident = invoice()
    clock.pass_by(seconds=100)
    # QuickBooks tells of a change that its API does not show: the invoice is as it was, the payment not there.
    subject = ident if kind == "invoice.paid" else "99"
    late = replace(told(kind, subject), occurred_at=clock() + timedelta(seconds=0.5))
    clock.pass_by(seconds=30.5)
    with pytest.raises(TransientError, match="may not show the change of 2026-11-23T09:31:40Z yet") as caught:
        await source.hydrate(late)
    assert caught.value.retry_after == 90
    clock.pass_by(seconds=90)
    with pytest.raises(EventVoid):
        await source.hydrate(late)


async def test_an_invoice_is_read_once_the_second_of_its_change_is_over(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str], clock: Any
) -> None:
    ident = invoice()
    before = replace(told("invoice.paid", ident), occurred_at=clock() + timedelta(seconds=0.2))
    clock.pass_by(seconds=0.5)
    with pytest.raises(ThrottledError, match=f"invoice {ident} may change again within the same second") as caught:
        await source.hydrate(before)
    assert caught.value.retry_after == 3.5
    assert not [r for r in books.requests if "/invoice/" in r["path"]]
    # Paid in the same second: both changes have one id.
    await books.trigger("payment.create", {"invoice": ident})
    clock.pass_by(seconds=3.5)
    assert "invoice" in await source.hydrate(before)


async def test_a_clock_that_is_far_off_holds_nothing_up(
    source: QuickBooksSource, invoice: Callable[..., str], clock: Any
) -> None:
    future = replace(told("invoice.updated", invoice()), occurred_at=clock() + timedelta(hours=1))
    assert "invoice" in await source.hydrate(future)


async def test_a_record_that_shows_the_change_is_proof_at_once(
    source: QuickBooksSource, invoice: Callable[..., str], clock: Any
) -> None:
    shown = replace(told("invoice.paid", invoice()), occurred_at=clock() + timedelta(seconds=0.9))
    clock.pass_by(seconds=5)
    with pytest.raises(EventVoid):
        await source.hydrate(shown)


async def test_what_nobody_told_claims_nothing_that_could_no_longer_hold(
    source: QuickBooksSource, invoice: Callable[..., str]
) -> None:
    ident = invoice()
    found = await source.hydrate(Event("invoice.paid", f"plan:{ident}", ident, {"invoice": {"id": ident}}))
    assert isinstance(found["invoice"], IssuedInvoice)
    with pytest.raises(NotFoundError):
        await source.hydrate(Event("invoice.paid", "plan:99", "99", {"invoice": {"id": "99"}}))


async def test_an_invoice_without_its_balance_is_not_guessed_at(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str]
) -> None:
    ident = invoice()
    del books.sales.rows["Invoice"][ident]["Balance"]
    with pytest.raises(TransientError, match=f"QuickBooks' JSON of invoice {ident} is not as documented: 'Balance'"):
        await source.hydrate(told("invoice.paid", ident))


def linked(amount: Any, *links: tuple[str, str]) -> dict[str, Any]:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": ident, "TxnType": kind} for ident, kind in links]}


def test_credits_and_plain_lines_of_a_payment_are_no_parts_of_invoices() -> None:
    row = {
        "Id": "8",
        "TotalAmt": 40,
        "Line": [
            linked(50, ("12", "Invoice")),
            linked(10, ("9", "CreditMemo")),
            linked(Decimal("5.5"), ("12", "Invoice")),
            {"Amount": 3},
        ],
    }
    found = records.payment(row, "")
    assert [(line.invoice_id, line.amount) for line in found.invoices] == [("12", Decimal("55.5"))]
    with pytest.raises(ValueError, match="one line goes to the invoices 1, 2"):
        records.payment(row | {"Line": [linked(50, ("1", "Invoice"), ("2", "Invoice"))]}, "")


@pytest.mark.parametrize("wrong", [None, "12", True, {}])
def test_an_amount_that_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="TotalAmt is no number"):
        records.status_of({"TotalAmt": wrong, "Balance": 0})
