"""The simulated app's deliveries, change data capture, and what payments do to invoices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.simulator.webhooks import RETRIES
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import RejectedError, jsonio
from crossdock_sdk.testing import serve

SECOND = "9130000000000002"


def bodies(listener: Any) -> list[Any]:
    return [jsonio.loads(request.body) for request in listener.requests]


async def test_a_payment_is_told_with_each_invoice_that_it_changes_in_one_delivery(
    books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any
) -> None:
    one, two = invoice(100), invoice(60)
    books.webhooks.pending.clear()
    version = books.sales.rows["Invoice"][one]["SyncToken"]
    await books.trigger("payment.create", {"invoices": {one: 40, two: None}})
    await books.settle()
    (body,) = bodies(listener)
    assert [(e["type"], e["intuitentityid"]) for e in body] == [
        ("qbo.payment.created.v1", "3"),
        ("qbo.invoice.updated.v1", one),
        ("qbo.invoice.updated.v1", two),
    ]
    assert body[0]["time"].startswith("2026-11-23T09:30:00.")
    assert len(body[0]["time"].partition(".")[2]) == len("123456789Z")
    assert books.sales.rows["Invoice"][one]["SyncToken"] != version
    assert len({e["id"] for e in body}) == 3


async def test_the_old_format_groups_by_company(
    books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any
) -> None:
    await books.trigger("webhooks.set", {"format": "notifications"})
    ident = invoice()
    await books.trigger("invoice.void", {"invoice": ident})
    await books.settle()
    told = {"name": "Invoice", "id": ident, "lastUpdated": "2026-11-23T01:30:00-0800"}
    entities = [told | {"operation": "Create"}, told | {"operation": "Void"}]
    company = {"realmId": books.realm, "dataChangeEvent": {"entities": entities}}
    assert bodies(listener) == [{"eventNotifications": [company]}]


async def test_both_formats_alternate(books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any) -> None:
    books.webhooks.format = "alternating"
    for _ in range(4):
        invoice()
        books.webhooks.flush()
        await books.settle()
    assert [type(body) for body in bodies(listener)] == [list, dict, list, dict]


async def test_a_delivery_is_repeated_until_it_is_answered_with_exactly_200(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any
) -> None:
    listener.statuses = [204, 500]
    ident = invoice()
    books.webhooks.flush()
    await books.settle()
    assert len(listener.requests) == 3
    assert len({request.body for request in listener.requests}) == 1
    assert {e.subject for e in listener.events(source)} == {ident}
    assert RETRIES[:4] == (10, 20, 30, 300)


async def test_nothing_is_sent_while_it_is_held_or_silent(
    books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any
) -> None:
    await books.trigger("webhooks.set", {"held": True})
    await books.trigger("invoice.void", {"invoice": invoice()})
    assert listener.requests == []
    await books.trigger("webhooks.set", {"held": False, "silent": True})
    await books.settle()
    assert (listener.requests, books.webhooks.pending) == ([], [])
    with pytest.raises(ValueError, match="webhooks have no setting format: xml"):
        await books.trigger("webhooks.set", {"format": "xml"})
    with pytest.raises(ValueError, match="verifier_token"):
        books.subscribe("http://127.0.0.1:9/", {})


async def test_companies_of_one_app_are_told_of_in_one_delivery(
    books: QuickBooksSimulator,
    invoice: Callable[..., str],
    listener: Any,
    source: QuickBooksSource,
    connect: Callable[..., QuickBooksConnection],
    clock: Any,
) -> None:
    other = QuickBooksSimulator(clock=clock, realm=SECOND, webhooks=books.webhooks)
    other.seed()
    books.webhooks.held = True
    await books.trigger("invoice.void", {"invoice": invoice()})
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 5, "SalesItemLineDetail": {"ItemRef": {"value": "3"}}}
    other.sales.create_invoice({"CustomerRef": {"value": "1"}, "Line": [sold]})
    books.webhooks.held = False
    books.webhooks.flush()
    await books.settle()
    (body,) = bodies(listener)
    assert {e["intuitaccountid"] for e in body} == {books.realm, SECOND}
    async with serve(other) as address:
        theirs = connect(other.settings(address))
        accounts = {e.account for e in listener.events(source)}
        assert accounts == {source.connection.account, theirs.account}
        assert (await theirs.read("Invoice", "1"))["TotalAmt"] == 5


async def test_a_payment_that_is_voided_or_deleted_is_owed_again(
    books: QuickBooksSimulator, invoice: Callable[..., str], connection: QuickBooksConnection
) -> None:
    ident = invoice(100)
    paid = [(await books.trigger("payment.create", {"invoice": ident, "amount": n}))["payment"]["Id"] for n in (30, 20)]
    assert books.sales.rows["Invoice"][ident]["Balance"] == 50
    void = (await books.trigger("payment.void", {"payment": paid[0]}))["payment"]
    assert (void["TotalAmt"], void["Line"], void["PrivateNote"]) == (0, [], "Voided")
    assert books.sales.rows["Invoice"][ident]["Balance"] == 80
    await books.trigger("payment.delete", {"payment": paid[1]})
    assert books.sales.rows["Invoice"][ident]["Balance"] == 100
    assert books.sales.rows["Invoice"][ident]["LinkedTxn"] == []
    assert books.sales.rows["Invoice"][ident]["SyncToken"] == "4"
    assert books.names.rows["Customer"]["1"]["Balance"] == 100
    assert list(books.sales.rows["Payment"]) == [paid[0]]


async def test_payments_are_voided_and_deleted_over_the_api_too(
    books: QuickBooksSimulator, invoice: Callable[..., str], connection: QuickBooksConnection
) -> None:
    made = (await books.trigger("payment.create", {"invoice": invoice()}))["payment"]
    with pytest.raises(RejectedError, match="update of Payment"):
        await connection.change("Payment", {"Id": made["Id"], "SyncToken": "0"})
    with pytest.raises(RejectedError, match="5010"):
        await connection.change("Payment", {"Id": made["Id"], "SyncToken": "7"}, "delete")
    gone = await connection.change("Payment", {"Id": made["Id"], "SyncToken": "0"}, "delete")
    assert gone["status"] == "Deleted"


async def test_a_refused_payment_changes_no_invoice(books: QuickBooksSimulator, invoice: Callable[..., str]) -> None:
    ident = invoice(100)
    for wrong in (
        {"invoices": {ident: 10, "99": 10}},
        {"invoices": {}},
        {"invoices": [ident]},
        {"invoices": {ident: "x"}},
    ):
        with pytest.raises(ValueError):
            await books.trigger("payment.create", wrong)
    assert books.sales.rows["Invoice"][ident]["Balance"] == Decimal(100)


async def test_change_data_capture_looks_back_thirty_days_and_tells_a_thousand_objects_at_most(
    books: QuickBooksSimulator, invoice: Callable[..., str], connection: QuickBooksConnection, clock: Any
) -> None:
    gone, old = invoice(), invoice()
    clock.pass_by(days=29)
    await books.trigger("invoice.delete", {"invoice": gone})
    made = await books.trigger("payment.create", {"invoice": invoice()})
    clock.pass_by(days=2)
    found = await connection.changed(("Invoice", "Payment"), clock() - timedelta(days=300))
    assert old not in {row["Id"] for row in found.rows["Invoice"]}
    assert [row["Id"] for row in found.rows["Payment"]] == [made["payment"]["Id"]]
    assert (len(found.rows["Invoice"]), found.full) == (1, False)
    assert found.at == clock()
    for _ in range(1000):
        invoice(1)
    found = await connection.changed(("Payment", "Invoice"), clock() - timedelta(days=3))
    assert (len(found.rows["Payment"]), len(found.rows["Invoice"]), found.full) == (1, 999, True)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"changedSince": "2026-11-20T00:00:00Z"}, "2020"),
        ({"entities": "Invoice"}, "4001"),
        ({"entities": "Invoice", "changedSince": "2026-11-20"}, "4001"),
        ({"entities": "Invoice,Bill", "changedSince": "2026-11-20T00:00:00Z"}, "4001"),
    ],
)
async def test_change_data_capture_refuses_what_it_does_not_understand(
    params: dict[str, str], code: str, books: QuickBooksSimulator, url: str
) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        settings = books.settings(url)
        form = {"grant_type": "refresh_token", "refresh_token": settings["refresh_token"]}
        client = (settings["client_id"], settings["client_secret"])
        granted = await http.post("/oauth2/v1/tokens/bearer", data=form, auth=client)
        headers = {"authorization": f"Bearer {granted.json()['access_token']}", "accept": "application/json"}
        reply = await http.get(f"/v3/company/{books.realm}/cdc", params=params, headers=headers)
    assert (reply.status_code, reply.json()["Fault"]["Error"][0]["code"]) == (400, code)
