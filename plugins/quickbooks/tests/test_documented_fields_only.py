"""A server that answers with the documented minimum: the connector leans on nothing that only our simulator has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.customers import CustomerFindOrCreate
from crossdock_quickbooks.delivery import InvoiceMail, InvoiceVoid
from crossdock_quickbooks.invoices import InvoiceCreate
from crossdock_sdk import (
    AmbiguousError,
    Customer,
    DiscrepancyError,
    Invoice,
    InvoiceSend,
    ObjectRef,
    RejectedError,
    jsonio,
)
from crossdock_sdk.testing import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KEY = "1c9d2e3f-4a5b-5c6d-8e7f-9a0b1c2d3e05"
GONE = {
    "Fault": {
        "Error": [{"Message": "Object Not Found", "Detail": "Object Not Found", "code": "610"}],
        "type": "ValidationFault",
    }
}


@dataclass
class Minimal:
    """Replies by (method, path below the company, operation); what came in is kept."""

    replies: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    found: dict[str, list[Any]] = field(default_factory=dict)
    came: list[tuple[str, str, Any]] = field(default_factory=list)

    async def token(self, request: Request) -> Response:
        body = {"token_type": "bearer", "access_token": "an-access-token", "expires_in": 3600}
        return Response(jsonio.dumps(body | {"refresh_token": "a-refresh-token"}), media_type="application/json")

    async def query(self, request: Request) -> Response:
        statement = request.query_params["query"]
        self.came.append(("query", statement, None))
        rows = self.found.get(statement.split(" FROM ")[1].split()[0], [])
        entity = statement.split(" FROM ")[1].split()[0]
        return self._reply({"QueryResponse": {entity: rows} if rows else {}})

    async def other(self, request: Request) -> Response:
        path = request.path_params["path"]
        raw = await request.body()
        self.came.append((request.method, path, jsonio.loads(raw) if raw else None))
        return self._reply(self.replies[request.method, path, request.query_params.get("operation", "")])

    def _reply(self, body: Any) -> Response:
        status = 400 if "Fault" in body else 200
        return Response(jsonio.dumps(body), status, media_type="application/json")

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/oauth2/v1/tokens/bearer", self.token, methods=["POST"]),
                Route("/v3/company/9130/query", self.query),
                Route("/v3/company/9130/{path:path}", self.other, methods=["GET", "POST"]),
            ]
        )


@pytest.fixture
def server() -> Minimal:
    return Minimal()


@pytest.fixture
async def connection(
    server: Minimal, connect: Callable[..., QuickBooksConnection]
) -> AsyncIterator[QuickBooksConnection]:
    async with serve(server.app()) as url:
        made = connect(
            {
                "base_url": url,
                "token_url": f"{url}/oauth2/v1/tokens/bearer",
                "realm_id": "9130",
                "client_id": "id",
                "client_secret": "a-client-secret",
                "refresh_token": "the-first-refresh-token",
            }
        )
        yield made
        await made.close()


def invoice(**more: Any) -> Invoice:
    line = {"sku": "SETUP", "quantity": 2, "unit_price": "50.00"}
    return Invoice.model_validate({"customer_id": "70", "lines": [line], **more})


async def test_a_customer_is_created_from_a_bare_reply(connection: QuickBooksConnection, server: Minimal) -> None:
    server.replies["POST", "customer", ""] = {"Customer": {"Id": "70", "SyncToken": "0"}}
    receipt = await CustomerFindOrCreate(connection).apply(Customer(name="Acme", email="a@acme.example"), KEY)
    assert (receipt.id, receipt.created, receipt.name) == ("70", True, "Acme")
    assert receipt.url == "https://app.qbo.intuit.com/app/customerdetail?nameId=70"
    assert [said for kind, said, _ in server.came if kind == "query"] == [
        "SELECT * FROM Customer WHERE DisplayName = 'Acme' STARTPOSITION 1 MAXRESULTS 1000",
        "SELECT * FROM Customer WHERE PrimaryEmailAddr = 'a@acme.example' STARTPOSITION 1 MAXRESULTS 1000",
    ]


async def test_an_invoice_is_created_read_and_deleted_with_bare_replies(
    connection: QuickBooksConnection, server: Minimal
) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    bare = {"Id": "266", "SyncToken": "0", "TotalAmt": Decimal("100.00")}
    server.replies |= {
        ("POST", "invoice", ""): {"Invoice": bare},
        ("GET", "invoice/266", ""): {"Invoice": bare | {"SyncToken": "3", "PrivateNote": f"[crossdock {KEY}]"}},
        ("POST", "invoice", "delete"): {"Invoice": {"domain": "QBO", "status": "Deleted", "Id": "266"}},
    }
    action = InvoiceCreate(connection)
    receipt = await action.apply(invoice(), KEY)
    assert (receipt.id, receipt.number, receipt.total, receipt.tax) == ("266", None, Decimal(100), Decimal(0))
    assert receipt.balance == 100
    _, _, sent = server.came[-1]
    detail = {"ItemRef": {"value": "3"}, "Qty": 2, "UnitPrice": Decimal("50.00")}
    line = {"DetailType": "SalesItemLineDetail", "Amount": Decimal("100.00"), "SalesItemLineDetail": detail}
    assert sent == {"CustomerRef": {"value": "70"}, "Line": [line], "PrivateNote": f"[crossdock {KEY}]"}
    assert await action.exists(receipt)
    await action.undo(receipt)
    assert server.came[-1] == ("POST", "invoice", {"Id": "266", "SyncToken": "3"})


@pytest.mark.parametrize("gone", [GONE, {"Invoice": {"domain": "QBO", "status": "Deleted", "Id": "266"}}])
async def test_a_deleted_invoice_does_not_exist_and_is_undone_already(
    connection: QuickBooksConnection, server: Minimal, gone: Any
) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    server.replies["POST", "invoice", ""] = {"Invoice": {"Id": "266", "SyncToken": "0", "TotalAmt": 100}}
    server.replies["GET", "invoice/266", ""] = gone
    action = InvoiceCreate(connection)
    receipt = await action.apply(invoice(), KEY)
    assert not await action.exists(receipt)
    await action.undo(receipt)


@pytest.mark.parametrize("total", [{}, {"TotalAmt": None}, {"TotalAmt": "100.00"}])
async def test_a_reply_without_a_usable_total_is_no_success(
    connection: QuickBooksConnection, server: Minimal, total: Any
) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    server.replies["POST", "invoice", ""] = {"Invoice": {"Id": "266", "SyncToken": "0", **total}}
    with pytest.raises(AmbiguousError, match="invoice 266"):
        await InvoiceCreate(connection).apply(invoice(), KEY)


async def test_a_cent_too_much_is_a_discrepancy(connection: QuickBooksConnection, server: Minimal) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    made = {"Id": "266", "SyncToken": "0", "TotalAmt": Decimal("100.01")}
    server.replies["POST", "invoice", ""] = {"Invoice": made}
    with pytest.raises(DiscrepancyError):
        await InvoiceCreate(connection).apply(invoice(), KEY)


async def test_tax_inclusive_invoices_are_compared_with_their_tax(
    connection: QuickBooksConnection, server: Minimal
) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    made = {"Id": "266", "SyncToken": "0", "TotalAmt": 100, "TxnTaxDetail": {"TotalTax": Decimal("16.67")}}
    server.replies["POST", "invoice", ""] = {"Invoice": made}
    receipt = await InvoiceCreate(connection).apply(invoice(native={"GlobalTaxCalculation": "TaxInclusive"}), KEY)
    assert receipt.total == Decimal("83.33")


async def test_another_currency_than_asked_is_a_discrepancy(connection: QuickBooksConnection, server: Minimal) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    made = {"Id": "266", "SyncToken": "0", "TotalAmt": 100, "CurrencyRef": {"value": "USD"}}
    server.replies["POST", "invoice", ""] = {"Invoice": made}
    server.replies["GET", "preferences", ""] = {"Preferences": {}}
    with pytest.raises(DiscrepancyError, match="is in USD, not EUR"):
        await InvoiceCreate(connection).apply(invoice(currency="EUR", exchange_rate="1.1"), KEY)


@pytest.mark.parametrize("ours", [True, False])
async def test_a_number_found_taken_only_by_the_write_is_ours_or_refused(
    connection: QuickBooksConnection, server: Minimal, ours: bool
) -> None:
    server.found["Item"] = [{"Id": "3", "Sku": "SETUP"}]
    detail = "DocNumber=A-1 is assigned to TxnType=Facture with TxnId=266"
    taken = {"Fault": {"Error": [{"Message": "Numéro en double", "Detail": detail, "code": "6140"}], "type": "V"}}
    standing = {"Id": "266", "SyncToken": "1", "TotalAmt": 100, "PrivateNote": f"[crossdock {KEY}]", "DocNumber": "A-1"}

    class Taken(dict[tuple[str, str, str], Any]):
        def __getitem__(self, asked: tuple[str, str, str]) -> Any:
            server.found["Invoice"] = [standing] if ours else []
            return taken

    server.replies = Taken()
    action = InvoiceCreate(connection)
    if ours:
        assert (await action.apply(invoice(number="A-1"), KEY)).id == "266"
    else:
        with pytest.raises(RejectedError) as refused:
            await action.apply(invoice(number="A-1"), KEY)
        assert refused.value.code == "6140"


async def test_mail_and_void_work_with_bare_replies(connection: QuickBooksConnection, server: Minimal) -> None:
    bare = {"Id": "266", "SyncToken": "0", "TotalAmt": 100, "EmailStatus": "EmailSent"}
    server.replies |= {
        ("POST", "invoice/266/send", ""): {"Invoice": bare},
        ("GET", "invoice/266", ""): {"Invoice": bare},
        ("POST", "invoice", "void"): {"Invoice": {"Id": "266", "TotalAmt": 0, "PrivateNote": "Voided"}},
    }
    sent = await InvoiceMail(connection).apply(InvoiceSend(id="266"), KEY)
    assert (sent.id, sent.email, sent.sent_at) == ("266", None, None)
    assert (await InvoiceVoid(connection).apply(ObjectRef(id="266"), KEY)).total_with_tax == 0


async def test_a_mail_or_void_that_the_reply_does_not_confirm_is_in_doubt(
    connection: QuickBooksConnection, server: Minimal
) -> None:
    bare = {"Id": "266", "SyncToken": "0", "TotalAmt": 100, "EmailStatus": "NeedToSend"}
    server.replies |= {
        ("POST", "invoice/266/send", ""): {"Invoice": bare},
        ("GET", "invoice/266", ""): {"Invoice": bare},
        ("POST", "invoice", "void"): {"Invoice": bare},
    }
    with pytest.raises(AmbiguousError, match="NeedToSend"):
        await InvoiceMail(connection).apply(InvoiceSend(id="266"), KEY)
    with pytest.raises(AmbiguousError, match="comes to 100"):
        await InvoiceVoid(connection).apply(ObjectRef(id="266"), KEY)
