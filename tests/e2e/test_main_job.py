"""A won deal becomes a customer, an invoice, a write-back and a task; or nothing of it remains."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest


async def test_every_system_holds_what_it_should(firm: Any) -> None:
    firm.flow["legs"]["task"]["enabled"] = True
    firm.write()
    await firm.server.start()
    deal = await firm.win("Acme renewal")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    assert [c["DisplayName"] for c in firm.customers()] == ["Acme"]
    (invoice,) = firm.invoices
    # 3 × 10.10 + 90.00 + 12 × 19.99 = 360.18, less 15 % (54.027, so 54.03)
    assert invoice["TotalAmt"] == Decimal("306.15") == Decimal(str(deal["value"]))
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == invoice["DocNumber"]
    (task,) = firm.tasks
    assert invoice["DocNumber"] in task["notes"]
    assert firm.messages == []


async def test_our_own_write_back_starts_nothing(firm: Any) -> None:
    await firm.server.start()
    await firm.win("Echo")
    await firm.ended()
    await firm.sandbox.simulators["pipedrive"].settle()
    assert len(await firm.runs()) == 1


async def test_a_bad_sku_leaves_nothing_and_tells_a_person_once_and_a_replay_makes_one_invoice(firm: Any) -> None:
    await firm.server.start()
    lines = [{"code": "NOPE-1", "name": "Unknown", "quantity": 2, "unit_price": "50.00"}]
    await firm.win("Bad", customer="Newco", lines=lines)
    (run,) = await firm.ended()
    assert run["status"] == "rolled_back"
    assert (firm.customers(), firm.invoices) == ([], [])
    (message,) = await firm.told()
    said = str(message)
    assert "NOPE-1" in said
    assert "rolled back" in said
    assert run["id"] in said
    assert '"sku": "NOPE-1"' in said.replace('\\"', '"')
    story = await firm.get(f"/runs/{run['id']}")
    assert [(r["leg"], r["state"]) for r in story["legs"]] == [
        ("customer", "undone"),
        ("invoice", "failed"),
        ("writeback", "not reached"),
    ]

    await firm.sandbox.simulators["quickbooks"].trigger("item.create", {"Sku": "NOPE-1", "Name": "Now known"})
    reply = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run['id']}/replay")
    assert reply.status_code == 201
    new = reply.json()
    assert new["replay_of"] == run["id"]
    await firm.ended(2)
    assert (await firm.get(f"/runs/{new['id']}"))["status"] == "succeeded"
    assert len(firm.invoices) == 1
    assert len(firm.customers("Newco")) == 1
    await firm.told_in(0, f"has succeeded, as replay of {run['id']}")
    assert len(firm.messages) == 2
    assert (await firm.get(f"/runs/{run['id']}"))["status"] == "rolled_back"

    again = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run['id']}/replay")
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    done = await firm.client.post(f"{firm.server.url}/api/v1/runs/{new['id']}/replay")
    assert done.status_code == 409


async def test_a_rollback_leaves_a_customer_alone_that_was_there_before(firm: Any) -> None:
    made = await firm.sandbox.simulators["quickbooks"].trigger("customer.create", {"DisplayName": "Oldco"})
    firm.by_hand()
    before = made["customer"]
    await firm.server.start()
    lines = [{"code": "NOPE-1", "name": "Unknown", "quantity": 1, "unit_price": "5.00"}]
    await firm.win("Bad", customer="Oldco", lines=lines)
    (run,) = await firm.ended()
    assert run["status"] == "rolled_back"
    (after,) = firm.customers("Oldco")
    assert after["SyncToken"] == before["SyncToken"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"custom": {"Invoice status": "overdue", "Payment terms": "60 days net"}}, "deal.custom.payment_terms"),
        ({"value": Decimal("999.99")}, "invoice total and deal value differ"),
    ],
)
async def test_what_would_be_lost_or_differ_stops_the_run_before_its_first_write(
    firm: Any, more: dict[str, Any], named: str
) -> None:
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("field.create", {"name": "Payment terms", "type": "varchar"})
    await firm.server.start()
    await firm.win("Loud", **more)
    (run,) = await firm.ended()
    assert run["status"] == "dead"
    assert named in run["error"]["message"]
    (message,) = await firm.told()
    assert named in str(message)
    writes = [r for r in firm.sandbox.requests if r["connector"] == "quickbooks" and r["method"] == "POST"]
    assert [r for r in writes if "oauth2" not in r["path"]] == []


async def test_flipping_the_task_leg_in_a_running_server_changes_the_next_deal_only(firm: Any) -> None:
    await firm.server.start()
    firm.fault(kind="latency", connector="quickbooks", path="*/invoice", seconds=1.5)
    await firm.win("Without")
    await firm.until(lambda runs: any(r["status"] == "running" for r in runs))
    before = (await firm.get("/flows"))["items"][0]["plan"]
    firm.flow["legs"]["task"]["enabled"] = True
    firm.write()
    async with asyncio.timeout(20):
        while (await firm.get("/flows"))["items"][0]["plan"] == before:
            await asyncio.sleep(0.02)
    await firm.win("With", customer="Beta")
    runs = await firm.ended(2)
    assert {r["status"] for r in runs} == {"succeeded"}
    assert [t["name"] for t in firm.tasks] == ["Kick off With"]


async def test_a_bad_new_config_is_refused_and_the_old_one_goes_on(firm: Any) -> None:
    await firm.server.start()
    firm.flow["legs"]["invoice"]["do"] = "books.invoice.crete"
    firm.write()
    async with asyncio.timeout(20):
        while not (problems := (await firm.get("/flows"))["problems"]):
            await asyncio.sleep(0.02)
    assert "books.invoice.create" in problems[0]
    await firm.win("Still works")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    assert "the old one goes on" in firm.server.log


async def test_a_second_win_of_the_same_deal_makes_no_second_invoice(firm: Any) -> None:
    await firm.server.start()
    deal = await firm.win("Twice")
    await firm.ended()
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("deal.reopened", {"id": deal["id"]})
    crm.clock = lambda clock=crm.clock: clock().replace(year=2027)
    await crm.trigger("deal.won", {"id": deal["id"]})
    runs = await firm.until(lambda runs: len(runs) == 2 and runs[0]["status"] in {"held", "ignored"})
    assert len(firm.invoices) == 1
    assert runs[0]["status"] in {"held", "ignored"}
