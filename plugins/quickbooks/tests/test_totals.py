"""For any lines and discounts, what QuickBooks computes is what the invoice says."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from crossdock_quickbooks.invoices import invoice_body
from crossdock_quickbooks.lines import factors, invoice_lines
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import Invoice, InvoiceLine, jsonio
from hypothesis import given
from hypothesis import strategies as st

KEY = "5a0b6f9e-1a55-5d0f-8f6b-0a6f1a2b3c03"
_ITEMS: dict[str, dict[str, Any]] = {"SETUP": {"Id": "3"}}


def decimals(most: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=0, max_value=most, places=places)


lines = st.builds(
    InvoiceLine,
    sku=st.just("SETUP"),
    quantity=st.one_of(st.integers(0, 5000).map(Decimal), decimals(500, 3), decimals(9, 7)),
    unit_price=st.one_of(decimals(20_000, 2), decimals(100, 4), decimals(10, 7)),
    discount_percent=st.one_of(st.none(), decimals(100, 0), decimals(100, 2), decimals(100, 5)),
    description=st.one_of(st.none(), st.just("Set-up")),
)
invoices = st.builds(
    Invoice,
    customer_id=st.just("1"),
    lines=st.lists(lines, min_size=1, max_size=6).map(tuple),
    discount_percent=st.one_of(st.none(), decimals(100, 0), decimals(100, 2), decimals(100, 5)),
)


def booked(invoice: Invoice) -> dict[str, Any]:
    """The invoice as the simulated QuickBooks computes it from the JSON that would go over the wire."""
    simulator = QuickBooksSimulator()
    simulator.seed()
    body = invoice_body(invoice, KEY, invoice_lines(invoice, _ITEMS))
    return simulator.sales.create_invoice(jsonio.plain(body))


@given(invoices)
def test_the_total_in_quickbooks_is_the_invoices_total(invoice: Invoice) -> None:
    assert booked(invoice)["TotalAmt"] == invoice.total


@given(st.lists(lines, min_size=1, max_size=4), st.decimals(min_value=0, max_value=1, places=4))
def test_a_fixed_discount_of_any_part_is_taken_off_to_the_cent(sold: list[InvoiceLine], part: Decimal) -> None:
    gross = Invoice(customer_id="1", lines=tuple(sold))
    off = (gross.subtotal * part).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    invoice = Invoice(customer_id="1", lines=tuple(sold), discount_amount=off)
    assert booked(invoice)["TotalAmt"] == invoice.total


@given(lines)
def test_the_factors_give_the_amount_and_keep_a_usable_quantity(line: InvoiceLine) -> None:
    amount = line.amount_in(None)
    quantity, price = factors(line, amount)
    assert (quantity * price).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP) == amount
    assert quantity == line.quantity or line.quantity == 0 or quantity == 1


def test_a_quantity_that_no_price_of_seven_decimals_fits_becomes_one_with_the_sum_in_words() -> None:
    line = InvoiceLine(
        sku="SETUP",
        quantity=Decimal("1234567.89"),
        unit_price=Decimal("3.33"),
        discount_amount=Decimal("1000.01"),
    )
    invoice = Invoice(customer_id="1", lines=(line,))
    [sold, _] = booked(invoice)["Line"]
    assert sold["SalesItemLineDetail"]["Qty"] == 1
    assert sold["Amount"] == invoice.total == Decimal("4110111.06")
    assert sold["Description"] == "(1234567.89 × 3.33, less 1000.01)"


def test_powers_of_ten_go_out_as_plain_numbers() -> None:
    line = InvoiceLine(sku="SETUP", quantity=Decimal("1E+2"), unit_price=Decimal("1.2E+3"))
    [body] = invoice_lines(Invoice(customer_id="1", lines=(line,)), _ITEMS)
    assert b'"Qty":100,"UnitPrice":1200' in jsonio.dumps(body)


def test_a_currency_without_cents_sends_the_discount_as_an_amount() -> None:
    line = InvoiceLine(sku="SETUP", quantity=Decimal(1), unit_price=Decimal(333))
    invoice = Invoice(customer_id="1", lines=(line,), currency="JPY", discount_percent=Decimal(10))
    [_, discount] = invoice_lines(invoice, _ITEMS)
    assert (discount["Amount"], discount["DiscountLineDetail"]) == (33, {"PercentBased": False})
