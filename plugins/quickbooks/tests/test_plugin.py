"""What the plugin registers, and that receipts survive the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import crossdock_quickbooks
import pluggy
import pytest
from crossdock_quickbooks.customers import CustomerReceipt
from crossdock_quickbooks.delivery import SendReceipt
from crossdock_quickbooks.invoices import InvoiceReceipt, sales_fields
from crossdock_quickbooks.items import ItemReceipt
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.sink import QuickBooksSink
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import IssuedInvoice, Payment, Receipt, jsonio


def test_the_plugin_registers_its_source_sink_and_simulator() -> None:
    assert crossdock_quickbooks.crossdock_sources() == [QuickBooksSource]
    assert crossdock_quickbooks.crossdock_sinks() == [QuickBooksSink]
    assert crossdock_quickbooks.crossdock_simulators() == [QuickBooksSimulator]
    found = pluggy.PluginManager("crossdock").parse_hookimpl_opts(crossdock_quickbooks, "crossdock_sinks")
    assert found is not None


def test_actions_take_canonical_records() -> None:
    takes = {action.name: action.input_model().__name__ for action in QuickBooksSink.actions}
    assert takes == {
        "customer.find_or_create": "Customer",
        "item.find": "ItemQuery",
        "invoice.create": "Invoice",
        "invoice.send": "InvoiceSend",
        "invoice.void": "ObjectRef",
    }


def test_each_event_brings_one_record_and_its_id_is_known() -> None:
    specs = {spec.type: (spec.records, spec.known) for spec in QuickBooksSource.events}
    invoice, payment = ({"invoice": IssuedInvoice}, ("invoice.id",)), ({"payment": Payment}, ("payment.id",))
    invoices = dict.fromkeys(("invoice.paid", "invoice.updated", "invoice.voided"), invoice)
    assert specs == {**invoices, "payment.created": payment}
    assert QuickBooksSource.polling is not None
    assert "verifier_token" in QuickBooksSource.setup


@pytest.mark.parametrize(
    "receipt",
    [
        CustomerReceipt(id="1", name="Mae's", created=False, note="n"),
        ItemReceipt(id="2", sku="SETUP", unit_price=Decimal("450.00")),
        InvoiceReceipt(id="3", total=Decimal("25.75"), tax=Decimal(0), total_with_tax=25, balance=Decimal("1E+1")),
        SendReceipt(id="4", sent_at=datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_a_receipt_comes_back_from_json_as_it_was(receipt: Receipt) -> None:
    assert type(receipt).model_validate(jsonio.plain(receipt)) == receipt
    assert type(receipt).model_validate_json(receipt.model_dump_json()) == receipt


@pytest.mark.parametrize("odd", [{}, {"SalesFormsPrefs": []}, {"SalesFormsPrefs": {"CustomField": [1, {}, None]}}])
def test_settings_of_another_shape_have_no_custom_fields(odd: dict[str, object]) -> None:
    assert sales_fields(odd) == {}


def test_a_field_that_is_switched_off_is_not_offered() -> None:
    off = {"Name": "SalesFormsPrefs.UseSalesCustom1", "BooleanValue": False}
    rows = [off, *({"Name": f"SalesFormsPrefs.SalesCustomName{n}", "StringValue": f"Field {n}"} for n in (1, 2))]
    nested = {"SalesFormsPrefs": {"CustomField": [{"CustomField": rows}]}}
    assert sales_fields(nested) == sales_fields({"SalesFormsPrefs": {"CustomField": rows}}) == {"2": "Field 2"}
