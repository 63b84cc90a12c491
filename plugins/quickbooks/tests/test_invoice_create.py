"""Invoices: to the cent, once, and back again."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.invoices import InvoiceCreate, InvoiceReceipt
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import (
    AmbiguousError,
    DiscrepancyError,
    Invoice,
    InvoiceLine,
    NotFoundError,
    RejectedError,
    TransientError,
)
from crossdock_sdk.testing import Fault, perform

KEY = "0c5f8a46-3a2e-5d59-9c44-5a6d9b6f1e01"


def line(sku: str = "CONSULT-DAY", quantity: str = "1", price: str = "1200", **more: object) -> InvoiceLine:
    return InvoiceLine.model_validate({"sku": sku, "quantity": quantity, "unit_price": price, **more})


def invoice(*lines: InvoiceLine, **more: object) -> Invoice:
    return Invoice.model_validate({"customer_id": "1", "lines": lines or (line(),), **more})


@pytest.fixture
def create(connection: QuickBooksConnection) -> InvoiceCreate:
    return InvoiceCreate(connection)


async def test_ten_ten_times_three_less_fifteen_per_cent_is_exact(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(line(quantity="3", price="10.10"), discount_percent="15"), KEY)
    assert (receipt.total, receipt.tax, receipt.balance) == (Decimal("25.75"), Decimal(0), Decimal("25.75"))
    assert receipt.number == "1001"
    assert [one.key for one in books.standing()["invoice.create"]] == [KEY]
    assert [one.key for one in books.standing()["customer.find_or_create"]] == [None]
    [stands] = books.state()["invoices"]
    sold, subtotal, discount = stands["Line"]
    assert (sold["Amount"], sold["SalesItemLineDetail"]["Qty"]) == (Decimal("30.30"), 3)
    assert sold["SalesItemLineDetail"]["UnitPrice"] == Decimal("10.10")
    assert (subtotal["Amount"], discount["Amount"]) == (Decimal("30.30"), Decimal("4.55"))
    assert discount["DiscountLineDetail"]["DiscountPercent"] == 15


async def test_a_fixed_discount_leaves_the_percentage_out(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    receipt = await create.apply(invoice(discount_amount="100.50"), KEY)
    assert receipt.total == Decimal("1099.50")
    [stands] = books.state()["invoices"]
    assert "DiscountPercent" not in stands["Line"][-1]["DiscountLineDetail"]


async def test_a_line_discount_keeps_the_quantity_and_says_what_it_is_net_of(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    sold = line(quantity="4", price="1200", discount_percent="12.5", description="Audit")
    assert (await create.apply(invoice(sold), KEY)).total == Decimal("4200.00")
    [stands] = books.state()["invoices"]
    detail = stands["Line"][0]["SalesItemLineDetail"]
    assert (detail["Qty"], detail["UnitPrice"]) == (4, 1050)
    assert stands["Line"][0]["Description"] == "Audit (4 × 1200, less 12.5 %)"


async def test_a_net_price_of_many_decimals_still_gives_the_amount(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    sold = line(quantity="3", price="10.10", discount_percent="15")
    assert (await create.apply(invoice(sold), KEY)).total == Decimal("25.76")
    [stands] = books.state()["invoices"]
    assert stands["Line"][0]["SalesItemLineDetail"]["UnitPrice"] == Decimal("8.5866667")


async def test_half_a_cent_in_a_product_is_rounded_up_and_the_line_kept_as_it_is(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(line(quantity="128.350", price="14.50")), KEY)
    assert receipt.total == Decimal("1861.08")
    [stands] = books.state()["invoices"]
    detail = stands["Line"][0]["SalesItemLineDetail"]
    assert (detail["Qty"], detail["UnitPrice"]) == (Decimal("128.35"), Decimal("14.5"))
    assert "Description" not in stands["Line"][0]


async def test_tax_is_told_apart_from_the_total(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    books.company.tax_rates["TAX"] = Decimal("8.25")
    sold = invoice(line(price="100"), line("SETUP", price="50"), tax_code="TAX", discount_percent="10")
    receipt = await create.apply(sold, KEY)
    assert (receipt.total, receipt.tax) == (Decimal("135.00"), Decimal("11.14"))
    assert (receipt.total_with_tax, receipt.balance) == (Decimal("146.14"), Decimal("146.14"))


async def test_outside_the_us_a_line_without_a_tax_code_is_refused(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    books.company.country = "GB"
    books.company.tax_rates["5"] = Decimal(20)
    with pytest.raises(RejectedError, match="VAT rate") as refused:
        await create.apply(invoice(), KEY)
    assert refused.value.code == "6000"
    receipt = await create.apply(invoice(line(tax_code="5")), KEY)
    assert receipt.tax == 240


async def test_everything_that_was_asked_is_on_the_invoice(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    wanted = invoice(
        line(service_date="2026-11-20", native={"SalesItemLineDetail": {"ItemRef": {"value": "2"}, "Qty": 1}}),
        number="CD-1",
        issue_date=date(2026, 11, 23),
        due_date=date(2026, 12, 7),
        memo="Thank you & à bientôt",
        note="Deal 812",
        email="mae@harbour-bakery.example",
        billing_address={"line1": "1 Quay", "city": "Deal", "region": "Kent", "postal_code": "CT14"},
        custom={"crew": "A + B"},
        native={"ShipDate": "2026-11-30"},
    )
    receipt = await create.apply(wanted, KEY)
    assert (receipt.number, receipt.customer_id, receipt.currency) == ("CD-1", "1", "USD")
    assert receipt.url == "https://app.sandbox.qbo.intuit.com/app/invoice?txnId=1"
    [stands] = books.state()["invoices"]
    assert (stands["TxnDate"], stands["DueDate"], stands["ShipDate"]) == ("2026-11-23", "2026-12-07", "2026-11-30")
    assert stands["CustomerMemo"] == {"value": "Thank you & à bientôt"}
    assert stands["PrivateNote"] == f"Deal 812\n[crossdock {KEY}]"
    assert stands["BillEmail"] == {"Address": "mae@harbour-bakery.example"}
    assert stands["BillAddr"]["CountrySubDivisionCode"] == "Kent"
    assert stands["CustomField"][0]["StringValue"] == "A + B"


async def test_an_unknown_custom_field_names_the_nearest(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    books.company.custom_fields |= {"2": "Purchase order"}
    with pytest.raises(RejectedError, match="did you mean 'purchase_order'") as refused:
        await create.apply(invoice(custom={"purchase_oder": "7"}), KEY)
    assert refused.value.field == "custom.purchase_oder"
    assert books.state()["invoices"] == []


async def test_each_bad_sku_is_named_with_its_line_before_anything_is_written(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    with pytest.raises(RejectedError, match="'WIDGET'") as refused:
        await create.apply(invoice(line(), line("WIDGET")), KEY)
    assert refused.value.field == "lines[1].sku"
    await books.trigger("item.deactivate", {"Sku": "SETUP"})
    with pytest.raises(RejectedError, match="inactive"):
        await create.apply(invoice(line("SETUP")), KEY)
    await books.trigger("item.create", {"Sku": "CONSULT-DAY", "Name": "Consulting, old"})
    with pytest.raises(RejectedError, match=r"ids 2, 6"):
        await create.apply(invoice(), KEY)
    with pytest.raises(RejectedError, match="'LICENSE-YR'"):
        await create.apply(invoice(line("license-yr")), KEY)
    assert books.state()["invoices"] == []


async def test_one_query_finds_the_items_of_all_lines(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    await create.apply(invoice(line(), line("SETUP"), line("SETUP"), line("SUPPORT-MO")), KEY)
    assert [r["method"] for r in books.requests if "/query" in r["path"]] == ["GET"]


async def test_sixty_awkward_skus_are_found_in_parts_by_post_where_the_url_is_long(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    skus = [f"ITEM-{n}'s & {'x' * 30}+50%" for n in range(60)]
    for sku in skus:
        await books.trigger("item.create", {"Sku": sku, "Name": sku})
    receipt = await create.apply(invoice(*(line(sku, price="1") for sku in skus)), KEY)
    assert receipt.total == 60
    assert [r["method"] for r in books.requests if "/query" in r["path"]] == ["POST", "GET"]


async def test_a_lost_reply_and_a_second_try_make_one_invoice(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/invoice"))
    with pytest.raises(AmbiguousError):
        await create.apply(invoice(), KEY)
    receipt = await create.apply(invoice(), KEY)
    assert [row["Id"] for row in books.state()["invoices"]] == [receipt.id]
    assert await create.exists(receipt)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "garbage"])
async def test_a_lost_reply_makes_one_invoice_also_where_the_request_id_is_not_honoured(
    create: InvoiceCreate, books: QuickBooksSimulator, clock: Any, kind: str
) -> None:
    books.keeps_request_ids = False
    other = await create.apply(invoice(), str(uuid.uuid4()))
    clock.pass_by(days=20)
    books.faults.append(Fault.model_validate({"kind": kind, "method": "POST", "path": "*/invoice"}))
    receipt = await perform(create, invoice(), KEY, tries=3)
    assert isinstance(receipt, InvoiceReceipt)
    assert (receipt.total, receipt.created) == (Decimal(1200), True)
    assert [row["Id"] for row in books.state()["invoices"]] == [other.id, receipt.id]


async def test_only_a_standing_invoice_with_our_key_of_that_customer_is_recovered(
    create: InvoiceCreate, books: QuickBooksSimulator, clock: Any
) -> None:
    assert await create.recover(invoice(), KEY) is None
    made = await create.apply(invoice(note="Deal 812"), KEY)
    clock.pass_by(days=29)
    assert await create.recover(invoice(), KEY) == made
    assert await create.recover(invoice(), str(uuid.uuid4())) is None
    assert await create.recover(invoice(customer_id="2"), KEY) is None
    row = books.sales.rows["Invoice"][made.id]
    note = row["PrivateNote"]
    await books.trigger("invoice.void", {"invoice": made.id})
    row["PrivateNote"] = f"Voided\n{note}"
    assert await create.recover(invoice(), KEY) is None
    await books.trigger("invoice.delete", {"invoice": made.id})
    assert await create.recover(invoice(), KEY) is None


async def test_a_recovered_invoice_must_come_to_our_total_too(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    made = await create.apply(invoice(), KEY)
    with pytest.raises(DiscrepancyError, match=r"1200\.00 in QuickBooks, to 450") as found:
        await create.recover(invoice(line("SETUP", price="450")), KEY)
    assert found.value.receipt == made


async def test_a_query_that_is_refused_is_asked_again_before_anything_is_sent_again(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    refused = {
        "Fault": {"Error": [{"Message": "Invalid query", "Detail": "", "code": "4001"}], "type": "ValidationFault"}
    }
    books.keeps_request_ids = False
    books.faults.append(Fault(kind="status", path="*/query", status=400, body=refused, after=1))
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/invoice"))
    with pytest.raises(TransientError, match="cannot be told"):
        await perform(create, invoice(), KEY, tries=2)
    assert books.faults[0].struck == 1
    found = await create.recover(invoice(), KEY)
    assert found is not None
    assert [row["Id"] for row in books.state()["invoices"]] == [found.id]


async def test_a_native_private_note_stands_beside_our_key(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    made = await create.apply(invoice(note="not this", native={"PrivateNote": "theirs"}), KEY)
    assert books.state()["invoices"][0]["PrivateNote"] == f"theirs\n[crossdock {KEY}]"
    assert await create.recover(invoice(), KEY) == made


async def test_nothing_is_read_beside_the_items_unless_a_reply_was_lost(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    await perform(create, invoice(), KEY, tries=3)
    paths = [r["path"].rsplit("/", 1)[-1] for r in books.requests]
    assert paths == ["bearer", "query", "invoice"]


@pytest.mark.parametrize("kind", ["truncate", "garbage"])
async def test_a_reply_that_is_no_reply_is_not_taken_for_success(
    create: InvoiceCreate, books: QuickBooksSimulator, kind: str
) -> None:
    books.faults.append(Fault.model_validate({"kind": kind, "method": "POST", "path": "*/invoice"}))
    with pytest.raises(AmbiguousError):
        await create.apply(invoice(), KEY)
    await create.apply(invoice(), KEY)
    assert len(books.state()["invoices"]) == 1


async def test_an_old_reply_that_names_a_deleted_invoice_is_seen_through(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    first = await create.apply(invoice(), KEY)
    await create.undo(first)
    replayed = await create.apply(invoice(), KEY)
    assert replayed.id == first.id
    assert not await create.exists(replayed)
    again = await create.apply(invoice(), str(uuid.uuid4()))
    assert again.id != first.id
    assert await create.exists(again)


async def test_undo_deletes_once_and_a_second_undo_is_content(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(), KEY)
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/invoice"))
    with pytest.raises(AmbiguousError):
        await create.undo(receipt)
    await create.undo(receipt)
    state = books.state()
    assert (state["invoices"], [row["Id"] for row in state["deleted_invoices"]]) == ([], [receipt.id])


async def test_undo_leaves_a_paid_invoice_to_a_person(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    receipt = await create.apply(invoice(), KEY)
    await books.trigger("payment.create", {"invoice": receipt.id, "amount": "200.00"})
    with pytest.raises(RejectedError, match="a person decides"):
        await create.undo(receipt)
    assert len(books.state()["invoices"]) == 1


async def test_undo_leaves_an_invoice_that_somebody_changed(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    receipt = await create.apply(invoice(), KEY)
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 5, "SalesItemLineDetail": {"ItemRef": {"value": "2"}}}
    books.sales.update_invoice({"Id": receipt.id, "SyncToken": "0", "sparse": True, "Line": [sold]})
    with pytest.raises(RejectedError, match=r"comes to 5.00 now"):
        await create.undo(receipt)


@pytest.mark.parametrize("note", ["", "Ours, honestly", f"[crossdock {uuid.UUID(int=7)}]"])
async def test_undo_leaves_an_invoice_that_does_not_carry_our_mark(
    create: InvoiceCreate, books: QuickBooksSimulator, note: str
) -> None:
    receipt = await create.apply(invoice(), KEY)
    books.sales.rows["Invoice"][receipt.id]["PrivateNote"] = note
    with pytest.raises(RejectedError, match=r"invoice 1001 does not carry.*PrivateNote.*same company") as refused:
        await create.undo(receipt)
    assert refused.value.field == "PrivateNote"
    assert [row["Id"] for row in books.state()["invoices"]] == [receipt.id]


async def test_undo_of_an_older_receipt_without_its_key_goes_by_any_mark_of_ours(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    older = (await create.apply(invoice(), KEY)).model_copy(update={"undo": {}})
    row = books.sales.rows["Invoice"][older.id]
    row["PrivateNote"] = "theirs"
    with pytest.raises(RejectedError, match="our mark"):
        await create.undo(older)
    row["PrivateNote"] = f"theirs\n[crossdock {KEY}]"
    await create.undo(older)
    assert books.state()["invoices"] == []


async def test_undo_reads_the_version_and_is_not_put_off_by_an_older_one(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(email="mae@harbour-bakery.example"), KEY)
    books.sales.send_invoice(receipt.id, None)
    assert receipt.sync_token == "0"
    await create.undo(receipt)
    assert books.state()["invoices"] == []


async def test_undo_meets_a_change_in_between_and_reads_again(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(), KEY)
    stale = {"Fault": {"Error": [{"Message": "Stale Object Error", "Detail": "", "code": "5010"}], "type": "x"}}
    once = Fault(kind="status", method="POST", path="*/invoice", status=400, body=stale)
    books.faults.append(once)
    await create.undo(receipt)
    assert books.state()["invoices"] == []
    receipt = await create.apply(invoice(), str(uuid.uuid4()))
    books.faults.append(once.model_copy(update={"times": 2, "struck": 0, "seen": 0}))
    with pytest.raises(TransientError, match="keeps changing"):
        await create.undo(receipt)


async def test_a_voided_invoice_does_not_exist_and_is_undone_already(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    receipt = await create.apply(invoice(), KEY)
    await books.trigger("invoice.void", {"invoice": receipt.id})
    assert not await create.exists(receipt)
    await create.undo(receipt)
    assert len(books.state()["invoices"]) == 1


async def test_a_total_that_differs_is_told_with_the_receipt_that_undoes_it(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    extra = {"DetailType": "SalesItemLineDetail", "Amount": 1, "SalesItemLineDetail": {"ItemRef": {"value": "2"}}}
    with pytest.raises(DiscrepancyError, match=r"1\.00 in QuickBooks, to 1200") as found:
        await create.apply(invoice(native={"Line": [extra]}), KEY)
    assert isinstance(found.value.receipt, InvoiceReceipt)
    await create.undo(found.value.receipt)
    assert books.state()["invoices"] == []


async def test_a_used_number_is_refused_also_where_quickbooks_would_take_it(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    await create.apply(invoice(number="A-1"), KEY)
    with pytest.raises(RejectedError, match="'A-1' is already used") as refused:
        await create.apply(invoice(number="A-1"), str(uuid.uuid4()))
    assert refused.value.field == "number"
    assert len(books.state()["invoices"]) == 1


async def test_our_own_number_is_recognised_when_the_request_id_is_forgotten(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    first = await create.apply(invoice(number="A-1"), KEY)
    books._replies.clear()
    again = await create.apply(invoice(number="A-1"), KEY)
    assert again.id == first.id
    assert len(books.state()["invoices"]) == 1


async def test_custom_numbering_without_a_number_gives_none(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    books.company.custom_txn_numbers = True
    assert (await create.apply(invoice(), KEY)).number is None


async def test_a_foreign_invoice_without_a_rate_is_not_left_at_one_to_one(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    books.company.multicurrency = True
    made = await books.trigger("customer.create", {"DisplayName": "Boulangerie", "CurrencyRef": {"value": "EUR"}})
    theirs = {"customer_id": made["customer"]["Id"], "currency": "EUR"}
    with pytest.raises(DiscrepancyError, match="give exchange_rate") as found:
        await create.apply(invoice(**theirs), KEY)
    await create.undo(found.value.receipt)
    receipt = await create.apply(invoice(**theirs, exchange_rate="1.0875"), str(uuid.uuid4()))
    assert receipt.currency == "EUR"
    assert books.state()["invoices"][0]["HomeTotalAmt"] == Decimal("1305.00")


async def test_a_home_currency_invoice_needs_no_rate(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    books.company.multicurrency = True
    assert (await create.apply(invoice(currency="usd"), KEY)).currency == "USD"


async def test_an_inactive_customer_is_not_found(create: InvoiceCreate, books: QuickBooksSimulator) -> None:
    await books.trigger("customer.deactivate", {"Id": "1"})
    with pytest.raises(NotFoundError):
        await create.apply(invoice(), KEY)
    with pytest.raises(RejectedError, match="Names element id 99") as refused:
        await create.apply(invoice(customer_id="99"), KEY)
    assert refused.value.code == "2500"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"number": "N" * 22}, "number"),
        ({"memo": "m" * 1001}, "memo"),
        ({"note": "n" * 3990}, "note"),
        ({"currency": "KWD", "lines": (line(price="1.001"),)}, "lines[0]"),
        ({"lines": (line(quantity="1e17", price="1e17"),)}, "lines[0]"),
        ({"lines": (line(custom={"colour": "red"}),)}, "lines[0].custom"),
    ],
)
async def test_what_quickbooks_cannot_hold_is_refused_before_the_write(
    create: InvoiceCreate, books: QuickBooksSimulator, more: dict[str, object], field: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        await create.apply(invoice(**more), KEY)
    assert refused.value.field == field
    assert books.state()["invoices"] == []
