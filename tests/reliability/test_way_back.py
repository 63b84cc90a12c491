"""Payments in any order, each told twice, in both formats: every task and every deal ends right."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest
from crossdock.testing.story import Place
from ledger import PATIENT, win_each

PAYMENTS = int(os.environ.get("CROSSDOCK_TEST_PAYMENTS", "30"))
SEED = int(os.environ.get("CROSSDOCK_TEST_SEED", "20261126"))


class Clerk:
    """Pays what deals owe: whole, in two parts, two invoices at once, or in part only; voids some that are paid."""

    def __init__(self, firm: Any, rng: random.Random) -> None:
        self.firm = firm
        self.books = firm.sandbox.simulators["quickbooks"]
        self.rng = rng
        self.owed = {invoice["Id"]: invoice["Balance"] for invoice in firm.invoices}
        self.wanted: dict[str, str | None] = dict.fromkeys(self.owed)
        """Invoice → what its deal must say in the end."""
        self.made = 0

    async def pay(self, amounts: dict[str, Any]) -> None:
        self.made += 1
        await self.books.trigger("payment.create", {"invoices": amounts})

    async def work(self) -> None:
        left = list(self.owed)
        self.rng.shuffle(left)
        while left:
            invoice = left.pop()
            way = self.rng.choice(("whole", "parts", "together", "part", "voided"))
            if way == "together" and left:
                other = left.pop()
                await self.pay({invoice: None, other: None})
                self.wanted |= {invoice: "paid", other: "paid"}
            elif way == "parts":
                await self.pay({invoice: self.owed[invoice] // 2})
                await self.pay({invoice: None})
                self.wanted[invoice] = "paid"
            elif way == "part":
                await self.pay({invoice: self.owed[invoice] // 2})
            else:
                await self.pay({invoice: None})
                self.wanted[invoice] = "paid"
                if way == "voided":
                    await self.books.trigger("invoice.void", {"invoice": invoice})
                    self.wanted[invoice] = "voided"
                    self.firm.gone.add(Place("books", "invoice.create", invoice))


@pytest.mark.timeout(240 + 4 * PAYMENTS)
async def test_payments_in_any_order_and_told_twice_end_right(firm: Any) -> None:
    firm.server.env |= PATIENT
    firm.routing["flows"] |= firm.way_back
    firm.flow["legs"]["task"]["enabled"] = True
    firm.routing["connections"]["books"]["poll"] = "10s"
    firm.write()
    await firm.server.start()
    titles = [f"Deal {n:03}" for n in range(PAYMENTS * 2 // 3)]
    await win_each(firm, titles)
    await firm.ended(len(titles), patience=60 + PAYMENTS)
    books = firm.sandbox.simulators["quickbooks"]
    clerk = Clerk(firm, random.Random(SEED))
    stranger = await a_strangers_invoice(firm)
    firm.sandbox.subscribe("quickbooks", f"{firm.server.url}/webhooks/books")
    await books.trigger("webhooks.set", {"format": "alternating", "duplicated": True, "shuffled": True})
    await books.trigger("payment.create", {"invoices": {stranger: None}})
    await clerk.work()
    await books.settle()
    await ends_right(firm, clerk)
    assert firm.messages == []
    paid = await firm.runs(flow="invoice-paid", key=stranger)
    assert {run["status"] for run in paid} == {"ignored"}
    assert "no run of deal-to-invoice" in paid[0]["error"]["message"]


async def a_strangers_invoice(firm: Any) -> str:
    """An invoice that a person made in the books."""
    books = firm.sandbox.simulators["quickbooks"]
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 50, "SalesItemLineDetail": {"ItemRef": {"value": "3"}}}
    ident: str = books.sales.create_invoice({"CustomerRef": {"value": "1"}, "Line": [sold]})["Id"]
    firm.by_hand()
    return ident


async def ends_right(firm: Any, clerk: Clerk) -> None:
    """Wait until no run is under way, then hold every deal and task against what was paid."""
    numbers = {invoice["Id"]: invoice["DocNumber"] for invoice in firm.invoices}
    wanted = {numbers[invoice]: said for invoice, said in clerk.wanted.items()}

    def deals() -> dict[str, Any]:
        rows = firm.sandbox.state()["pipedrive"]["deals"]
        return {d["custom"]["invoice_number"]: d["custom"].get("invoice_status") for d in rows if d["status"] == "won"}

    def settled(runs: list[dict[str, Any]]) -> bool:
        shown = deals()
        told = all(shown[number] == said for number, said in wanted.items())
        return told and all(run["status"] in {"succeeded", "ignored", "held"} for run in runs)

    runs = await firm.until(settled, patience=120 + 2 * PAYMENTS)
    assert Counter(run["status"] for run in runs).keys() <= {"succeeded", "ignored"}
    shown = deals()
    assert {number: shown[number] for number in wanted} == wanted
    done = {task["notes"].split()[1]: task["completed"] for task in firm.tasks}
    assert done == {number: said == "paid" for number, said in wanted.items()}
