"""What is read for a write is read before it: afterwards nothing can fail but the write itself."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.customers import CustomerFindOrCreate
from crossdock_quickbooks.invoices import InvoiceCreate
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import (
    AuthError,
    ConnectorError,
    Customer,
    DiscrepancyError,
    Invoice,
    RejectedError,
    TransientError,
)
from crossdock_sdk.testing import Fault, perform

KEY = "3f1c8d52-1f0e-5a77-8d3b-0b9a6f2e7c03"
NO_ACCESS = {"fault": {"error": [{"message": "m", "detail": "d", "code": "3100"}], "type": "AUTHORIZATION"}}
REFUSED = {"Fault": {"Error": [{"Message": "Invalid query", "Detail": "", "code": "4001"}], "type": "ValidationFault"}}
UNREADABLE = [{"kind": "status", "status": 503}, {"kind": "drop_before"}, {"kind": "garbage"}]


def invoice(**more: object) -> Invoice:
    line = {"sku": "CONSULT-DAY", "quantity": "1", "unit_price": "1200"}
    return Invoice.model_validate({"customer_id": "1", "lines": [line], "currency": "USD", **more})


def asked(books: QuickBooksSimulator) -> list[str]:
    return [r["path"].rsplit("/", 1)[-1] for r in books.requests if "oauth2" not in r["path"]]


def fault(**what: Any) -> Fault:
    return Fault.model_validate({"path": "*/preferences", "times": None, **what})


@pytest.fixture
def create(connection: QuickBooksConnection) -> InvoiceCreate:
    return InvoiceCreate(connection)


@pytest.fixture
async def eur(books: QuickBooksSimulator) -> dict[str, str]:
    """What an invoice names whose customer is kept in euros, by books that are kept in dollars."""
    books.company.multicurrency = True
    made = await books.trigger("customer.create", {"DisplayName": "Boulangerie", "CurrencyRef": {"value": "EUR"}})
    return {"customer_id": made["customer"]["Id"], "currency": "EUR"}


async def test_the_books_own_currency_is_read_before_the_invoice_is_written_and_nothing_after_it(
    create: InvoiceCreate, books: QuickBooksSimulator, eur: dict[str, str]
) -> None:
    with pytest.raises(DiscrepancyError, match="give exchange_rate"):
        await create.apply(invoice(**eur), KEY)
    assert asked(books) == ["query", "preferences", "invoice"]


@pytest.mark.parametrize("what", UNREADABLE)
async def test_books_that_cannot_be_asked_for_now_leave_the_invoice_unwritten(
    create: InvoiceCreate, books: QuickBooksSimulator, what: dict[str, Any]
) -> None:
    books.company.multicurrency = True
    books.faults.append(fault(**what))
    with pytest.raises(TransientError):
        await create.apply(invoice(), KEY)
    assert books.state()["invoices"] == []


@pytest.mark.parametrize(("status", "body"), [(400, REFUSED), (403, None), (403, NO_ACCESS), (404, None)])
async def test_settings_that_are_refused_do_not_keep_an_invoice_from_being_written(
    create: InvoiceCreate, books: QuickBooksSimulator, status: int, body: Any
) -> None:
    books.company.multicurrency = True
    books.faults.append(fault(kind="status", status=status, body=body))
    receipt = await create.apply(invoice(), KEY)
    assert [row["Id"] for row in books.state()["invoices"]] == [receipt.id]


async def test_credentials_that_are_refused_are_no_missing_settings(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    books.tokens.revoked = True
    with pytest.raises(AuthError):
        await create.apply(invoice(), KEY)


async def test_the_books_own_currency_is_read_once_for_many_invoices_and_anew_after_a_while(
    create: InvoiceCreate, books: QuickBooksSimulator, clock: Any
) -> None:
    for minutes in (0, 4, 2):
        clock.pass_by(minutes=minutes)
        await create.apply(invoice(), str(uuid.uuid4()))
    assert asked(books).count("preferences") == 2


async def test_a_currency_that_the_books_do_not_keep_is_refused_before_the_write(
    create: InvoiceCreate, connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    with pytest.raises(RejectedError, match=r"EUR.*USD only.*multicurrency") as refused:
        await create.apply(invoice(currency="eur"), KEY)
    assert refused.value.field == "currency"
    with pytest.raises(RejectedError, match="multicurrency"):
        await CustomerFindOrCreate(connection).apply(Customer(name="Acme", currency="EUR"), KEY)
    assert set(asked(books)) == {"query", "preferences"}


async def test_multicurrency_switched_on_a_moment_ago_is_heeded(
    create: InvoiceCreate, books: QuickBooksSimulator
) -> None:
    await create.apply(invoice(), str(uuid.uuid4()))
    books.company.multicurrency = True
    made = await books.trigger("customer.create", {"DisplayName": "Boulangerie", "CurrencyRef": {"value": "EUR"}})
    euros = invoice(customer_id=made["customer"]["Id"], currency="EUR", exchange_rate="1.08")
    assert (await create.apply(euros, KEY)).currency == "EUR"


async def test_a_customer_made_in_another_currency_than_asked_for_comes_with_the_receipt_that_undoes_it(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    action = CustomerFindOrCreate(connection)
    books.company.multicurrency = True
    wanted = Customer(name="Acme", currency="EUR", native={"CurrencyRef": {"value": "GBP"}})
    with pytest.raises(DiscrepancyError, match="kept in GBP, not EUR") as found:
        await action.apply(wanted, KEY)
    await action.undo(found.value.receipt)
    assert books.state()["customers"][-1]["Active"] is False


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage"])
async def test_a_customer_whose_reply_was_lost_is_looked_for_by_our_mark(
    connection: QuickBooksConnection, books: QuickBooksSimulator, kind: str
) -> None:
    action, wanted = CustomerFindOrCreate(connection), Customer(name="O'Hara: Sons", email="ap@ohara.example")
    assert await action.recover(wanted, KEY) is None
    books.faults.append(Fault.model_validate({"kind": kind, "method": "POST", "path": "*/customer"}))
    receipt = await perform(action, wanted, KEY, tries=2)
    assert (receipt.created, [r["Id"] for r in books.state()["customers"]][-1]) == (True, receipt.id)
    assert await action.recover(wanted, str(uuid.uuid4())) is None
    await books.trigger("customer.deactivate", {"Id": receipt.id})
    assert await action.recover(wanted, KEY) is None


async def test_a_customer_under_a_suffixed_name_is_recovered_too(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    action = CustomerFindOrCreate(connection)
    await books.trigger("vendor.create", {"DisplayName": "Acme"})
    made = await action.apply(Customer(name="Acme"), KEY)
    found = await action.recover(Customer(name="Acme"), KEY)
    assert found is not None
    assert (found.id, found.name, found.created) == (made.id, "Acme (customer)", True)


@pytest.mark.parametrize("answer", [{"status": 400, "body": REFUSED}, {"status": 403}, {"status": 503}])
async def test_a_look_that_is_refused_settles_no_doubt(
    connection: QuickBooksConnection, books: QuickBooksSimulator, answer: dict[str, Any]
) -> None:
    made = await InvoiceCreate(connection).apply(invoice(), KEY)
    books.faults.append(Fault.model_validate({"kind": "status", "path": "*/query", "times": None, **answer}))
    with pytest.raises(TransientError):
        await InvoiceCreate(connection).recover(invoice(), KEY)
    with pytest.raises(TransientError):
        await CustomerFindOrCreate(connection).recover(Customer(name="Acme"), KEY)
    books.faults.clear()
    assert await InvoiceCreate(connection).recover(invoice(), KEY) == made


@pytest.mark.parametrize("answer", [{"status": 400, "body": REFUSED}, {"status": 403}])
async def test_a_number_that_is_taken_is_not_called_anothers_where_nobody_may_look(
    create: InvoiceCreate, books: QuickBooksSimulator, answer: dict[str, Any]
) -> None:
    books.company.custom_txn_numbers = True
    await create.apply(invoice(number="A-1"), KEY)
    books._replies.clear()
    # The items and the number are asked for before, as if the index lagged behind; the third query is the look.
    empty = {"QueryResponse": {}}
    books.faults.append(Fault(kind="status", status=200, body=empty, path="*/query", after=1))
    books.faults.append(Fault.model_validate({"kind": "status", "path": "*/query", "after": 1, **answer}))
    with pytest.raises(ConnectorError) as told:
        await create.apply(invoice(number="A-1"), KEY)
    assert type(told.value) is TransientError
