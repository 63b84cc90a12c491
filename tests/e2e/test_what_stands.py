"""What an earlier run left at the vendors is never forgotten, doubled, or taken for something else."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest
from crossdock.plugins import load_plugins
from crossdock.sandbox import Sandbox
from crossdock_sdk.testing import serve

REFUSED = {"kind": "status", "status": 400, "times": 1}


def prepared(firm: Any, **retry: Any) -> None:
    firm.flow["retry"] = {"attempts": 2, "first": "100ms", "factor": 2, "max": "500ms"} | retry
    firm.write()


def leave_the_invoice(firm: Any) -> None:
    """The write-back is refused for good, and then the invoice's deletion is."""
    firm.fault(connector="pipedrive", method="PATCH", path="*", **REFUSED)
    firm.fault(connector="quickbooks", method="POST", path="*/invoice", after=1, **REFUSED)


async def put_in_force(firm: Any) -> None:
    """Write the routing file and wait until the running server has taken it in."""
    seen = firm.server.log.count("the routing file is reloaded")
    firm.write()
    async with asyncio.timeout(20):
        while firm.server.log.count("the routing file is reloaded") == seen:
            await asyncio.sleep(0.02)


async def act(firm: Any, run: str, what: str) -> dict[str, Any]:
    reply = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run}/{what}")
    assert reply.status_code in {200, 201, 202}, reply.text
    return dict(reply.json())


async def rests(firm: Any, run: str) -> dict[str, Any]:
    """The run once it has ended or waits for a person."""
    at_rest = {"succeeded", "rolled_back", "dead", "ignored", "cancelled", "held", "in_doubt"}
    async with asyncio.timeout(60):
        while (story := await firm.get(f"/runs/{run}"))["status"] not in at_rest:
            await asyncio.sleep(0.05)
    return dict(story)


async def replayed(firm: Any, run: str) -> dict[str, Any]:
    return await rests(firm, (await act(firm, run, "replay"))["id"])


async def won_again(firm: Any, deal: Any) -> None:
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("deal.reopened", {"id": deal["id"]})
    crm.clock = lambda clock=crm.clock: clock() + timedelta(seconds=2)
    await crm.trigger("deal.won", {"id": deal["id"]})


def legs(story: dict[str, Any]) -> dict[str, str]:
    return {leg["leg"]: leg["state"] for leg in story["legs"]}


async def test_a_wrong_setting_settles_no_doubt_and_the_run_goes_on_once_it_is_mended(firm: Any) -> None:
    prepared(firm, first="2s", max="4s")
    await firm.server.start()
    firm.fault(kind="drop_after", connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Cut off")
    await firm.until(lambda runs: bool(runs) and runs[0]["leg"] == "invoice" and runs[0]["error"] is not None)
    await firm.server.kill()
    assert len(firm.invoices) == 1
    good = firm.routing["connections"]["books"]["base_url"]
    firm.routing["connections"]["books"]["base_url"] = good + "?x=1"
    firm.write()
    await firm.server.start()
    (run,) = await firm.until(lambda runs: (runs[0]["error"] or {}).get("kind") == "config")
    assert run["status"] == "in_doubt"
    assert "cannot go on" in str(await firm.told())
    firm.routing["connections"]["books"]["base_url"] = good
    await put_in_force(firm)
    (run,) = await firm.ended()
    assert (run["status"], len(firm.invoices)) == ("succeeded", 1)


async def test_a_leg_that_the_flow_has_no_longer_stops_every_replay_and_no_cancel_hides_it(firm: Any) -> None:
    prepared(firm)
    await firm.server.start()
    leave_the_invoice(firm)
    deal = await firm.win("Strayed")
    (run,) = await firm.ended()
    text = json.dumps(firm.flow).replace("invoice.number", "bill.number").replace("invoice.total", "bill.total")
    flow = json.loads(text.replace('"invoice": {"do"', '"bill": {"do"'))
    firm.routing["flows"]["deal-to-invoice"] = flow
    await put_in_force(firm)
    first = await replayed(firm, run["id"])
    assert (first["status"], legs(first)["invoice"]) == ("dead", "stands")
    second = await replayed(firm, first["id"])
    assert (second["status"], len(firm.invoices)) == ("dead", 1)
    assert "left invoice (books.invoice.create, id" in second["error"]["message"]
    await won_again(firm, deal)
    runs = await firm.until(lambda runs: runs[0]["status"] == "held")
    assert f"invoice {firm.invoices[0]['Id']} (number {firm.invoices[0]['DocNumber']}" in runs[0]["error"]["message"]


async def test_an_undo_that_took_effect_unseen_is_no_standing_invoice_for_a_replay(firm: Any) -> None:
    prepared(firm)
    await firm.server.start()
    firm.fault(connector="pipedrive", method="PATCH", path="*", **REFUSED)
    firm.fault(kind="drop_after", connector="quickbooks", method="POST", path="*/invoice", after=1)
    firm.fault(kind="status", status=502, connector="quickbooks", method="GET", path="*/invoice/*", after=1, times=None)
    await firm.win("Outage during undo")
    (run,) = await firm.ended()
    assert run["status"] == "dead"
    assert legs(await firm.get(f"/runs/{run['id']}"))["invoice"] == "in doubt"
    firm.sandbox.faults.clear()
    assert (await replayed(firm, run["id"]))["status"] == "succeeded"
    assert len(firm.invoices) == 1


async def test_a_deal_that_changed_over_a_standing_invoice_is_for_a_person(firm: Any) -> None:
    prepared(firm)
    firm.flow["checks"] = []
    firm.write()
    await firm.server.start()
    leave_the_invoice(firm)
    deal = await firm.win("Changed", discount=15)
    (run,) = await firm.ended()
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("deal.updated", {"id": deal["id"], "custom": {"Discount": 50}})
    again = await replayed(firm, run["id"])
    assert (again["status"], again["error"]["kind"]) == ("held", "changed"), again["error"]
    assert "invoice stands as it was written before" in str(await firm.told(2))
    await act(firm, again["id"], "cancel")
    await firm.until(lambda runs: runs[0]["status"] == "cancelled")
    assert (firm.invoices, firm.customers()) == ([], [])


@contextlib.asynccontextmanager
async def another_company(firm: Any) -> Any:
    other = Sandbox({"quickbooks": load_plugins().simulators["quickbooks"]})
    async with serve(other) as url:
        other.base_url = url
        yield other


async def test_what_was_made_in_one_account_is_not_undone_in_another(firm: Any) -> None:
    prepared(firm, attempts=9, first="1s", factor=1, max="1s")
    async with another_company(firm) as other:
        await firm.server.start()
        firm.fault(kind="status", connector="quickbooks", method="POST", path="*/invoice", times=None)
        await firm.win("Moved", customer="Acme A")
        (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
        first = firm.routing["connections"]["books"]
        firm.routing["connections"]["books"] = other.settings("quickbooks") | {"realm_id": "9130000000000002"}
        await put_in_force(firm)
        await act(firm, run["id"], "cancel")
        (run,) = await firm.until(lambda runs: (runs[0]["error"] or {}).get("kind") == "config")
        assert "was written into" in run["error"]["message"]
        assert not [r for r in other.requests if r["method"] == "POST" and "customer" in r["path"]]
        firm.routing["connections"]["books"] = first
        await put_in_force(firm)
        await firm.until(lambda runs: runs[0]["status"] == "cancelled")
        assert firm.customers() == []


async def test_a_paid_invoice_keeps_the_customer_that_it_rests_on(firm: Any) -> None:
    prepared(firm, first="1s", max="1s")
    await firm.server.start()
    firm.fault(kind="status", status=429, connector="pipedrive", method="PATCH", path="*")
    firm.fault(connector="pipedrive", method="PATCH", path="*", **REFUSED)
    await firm.win("Paid")
    await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting" and runs[0]["leg"] == "writeback")
    await firm.sandbox.simulators["quickbooks"].trigger("payment.create", {"invoice": firm.invoices[0]["Id"]})
    (run,) = await firm.ended()
    story = await firm.get(f"/runs/{run['id']}")
    assert (story["status"], legs(story)["customer"], legs(story)["invoice"]) == ("dead", "stands", "stands")
    assert (await replayed(firm, run["id"]))["status"] == "succeeded"
    assert [c["Id"] for c in firm.customers()] == [firm.invoices[0]["CustomerRef"]["value"]]


async def test_a_replay_over_a_standing_invoice_is_never_ignored_in_silence(firm: Any) -> None:
    prepared(firm)
    await firm.server.start()
    leave_the_invoice(firm)
    deal = await firm.win("Twice")
    (dead,) = await firm.ended()
    await won_again(firm, deal)
    runs = await firm.until(lambda runs: runs[0]["status"] == "held")
    await act(firm, runs[0]["id"], "replay")
    await firm.ended(2)
    assert (await replayed(firm, dead["id"]))["status"] == "held"
    await firm.told_in(0, "is held and waits for a person")
    await firm.told_in(1, "has succeeded")
    assert len(firm.threads) == 2


async def test_an_unchanged_second_win_after_a_replay_is_ignored(firm: Any) -> None:
    prepared(firm)
    await firm.server.start()
    leave_the_invoice(firm)
    deal = await firm.win("Same")
    (dead,) = await firm.ended()
    assert (await replayed(firm, dead["id"]))["status"] == "succeeded"
    await won_again(firm, deal)
    runs = await firm.ended(3)
    assert runs[0]["status"] == "ignored"


@pytest.mark.parametrize(
    ("method", "path", "connector"), [("POST", "*/invoice", "quickbooks"), ("PATCH", "*", "pipedrive")]
)
async def test_a_503_over_an_applied_write_is_looked_into_before_it_is_believed(
    firm: Any, method: str, path: str, connector: str
) -> None:
    prepared(firm)
    await firm.server.start()
    firm.fault(kind="applied_503", connector=connector, method=method, path=path, times=None)
    deal = await firm.win("Proxy")
    (run,) = await firm.ended()
    assert (run["status"], len(firm.invoices)) == ("succeeded", 1), run
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == firm.invoices[0]["DocNumber"]
