"""QuickBooks tells; the board hears: invoices that are paid or voided, and money that comes in."""

from __future__ import annotations

from typing import Any

import pytest


def task(name: str) -> dict[str, Any]:
    return {"task": {"do": "board.task.create", "with": {"name": name, "project": "1201"}}}


def invoice(books: Any, total: int) -> str:
    """A new invoice that nobody was told of."""
    sold = {"DetailType": "SalesItemLineDetail", "Amount": total, "SalesItemLineDetail": {"ItemRef": {"value": "3"}}}
    ident: str = books.sales.create_invoice({"CustomerRef": {"value": "1"}, "Line": [sold]})["Id"]
    books.webhooks.pending.clear()
    return ident


@pytest.mark.parametrize("written", ["cloudevents", "notifications"])
async def test_each_delivery_becomes_what_the_record_says(firm: Any, written: str) -> None:
    firm.routing["flows"] = {
        "paid": {"when": "books.invoice.paid", "legs": task("{{ invoice.number }} is paid: {{ invoice.total }}")},
        "voided": {"when": "books.invoice.voided", "legs": task("{{ invoice.number }} is voided")},
        "money": {"when": "books.payment.created", "legs": task("{{ payment.amount }} came in")},
    }
    firm.write()
    books = firm.sandbox.simulators["quickbooks"]
    full, part = invoice(books, 100), invoice(books, 60)
    firm.by_hand()
    await firm.server.start()
    firm.sandbox.subscribe("quickbooks", f"{firm.server.url}/webhooks/books")
    await books.trigger("webhooks.set", {"format": written, "duplicated": True, "shuffled": True})
    await books.trigger("payment.create", {"invoices": {full: None, part: 20}})
    await firm.ended(5)
    await books.trigger("invoice.void", {"invoice": part})
    await firm.until(lambda runs: {"voided"} <= {r["flow"] for r in runs if r["status"] == "succeeded"})
    firm.by_hand()
    told = {(r["flow"], r["key"], r["status"]) for r in await firm.runs()}
    assert told >= {("paid", full, "succeeded"), ("money", "3", "succeeded"), ("voided", part, "succeeded")}
    assert ("paid", part, "ignored") in told
    named = sorted(each["name"] for each in firm.tasks)
    assert named == ["1001 is paid: 100.00", "1002 is voided", "120.00 came in"]
    ignored = {r["error"]["message"] for r in await firm.runs(flow="paid") if r["status"] == "ignored"}
    assert "invoice 1002 is not paid: 40.00 of 60.00 is owed" in ignored
