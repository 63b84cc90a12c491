"""Writes whose fate only a person can tell, and the runs that wait behind them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any


async def doubtful(firm: Any, title: str, kind: str = "drop_after", **deal: Any) -> dict[str, Any]:
    """A run whose invoice is in doubt, and which asks again only after ten minutes."""
    firm.flow["retry"] = {"attempts": 0, "first": "100ms", "factor": 1, "max": "10m"}
    firm.write()
    await firm.server.start()
    firm.fault(kind=kind, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win(title, **deal)
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "in_doubt")
    return run


async def test_a_person_says_that_the_invoice_is_there_and_the_run_goes_on_from_it(firm: Any) -> None:
    run = await doubtful(firm, "Seen")
    (invoice,) = firm.invoices
    code, said = await firm.command("runs", "resolve", run["id"], "customer", "--exists", "1")
    assert (code, "in doubt is invoice" in said) == (1, True), said
    code, said = await firm.command("runs", "resolve", run["id"], "invoice")
    assert (code, "say either --exists OBJECT or --absent" in said) == (2, True), said
    code, said = await firm.command("runs", "resolve", run["id"], "invoice", "--exists", "404404", "--json")
    assert (code, json.loads(said)["id"]) == (0, run["id"]), said
    (run,) = await firm.until(lambda runs: runs[0]["status"] == "in_doubt" and runs[0]["error"]["kind"] == "not_found")
    code, said = await firm.command("runs", "resolve", run["id"], "invoice", "--exists", invoice["Id"])
    assert code == 0, said
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    assert len(firm.invoices) == 1
    code, said = await firm.command("runs", "show", run["id"])
    assert "has looked: it is there" in said, said


async def test_a_person_says_that_the_invoice_is_not_there_and_it_is_written(firm: Any) -> None:
    run = await doubtful(firm, "Not seen", "drop_before")
    assert firm.invoices == []
    url = f"{firm.server.url}/api/v1/runs/{run['id']}/resolve"
    reply = await firm.client.post(url, json={"leg": "invoice", "exists": None})
    assert reply.status_code == 202, reply.text
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    assert len(firm.invoices) == 1


async def test_a_run_that_waits_behind_a_doubtful_one_is_told_too(firm: Any) -> None:
    run = await doubtful(firm, "First", customer="Shared")
    deal = firm.deal(run["key"])
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("deal.reopened", {"id": deal["id"]})
    crm.clock = lambda clock=crm.clock: clock().replace(year=2027)
    await crm.trigger("deal.won", {"id": deal["id"]})
    await firm.until(lambda runs: len(runs) == 2)
    messages = str(await firm.told(2))
    assert f"waits behind run {run['id']}, which is in_doubt" in messages


async def test_a_refused_repeat_of_the_write_back_does_not_leave_the_first_one_standing(firm: Any) -> None:
    firm.flow["retry"] = {"attempts": 2, "first": "100ms", "factor": 1, "max": "100ms"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="drop_after", connector="pipedrive", method="PATCH", path="*/deals/*")
    refusal = {"success": False, "error": "Deal is locked", "error_info": ""}
    firm.fault(kind="status", connector="pipedrive", method="PATCH", path="*/deals/*", status=400, body=refusal)
    deal = await firm.win("Locked meanwhile")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == firm.invoices[0]["DocNumber"]
    story = await firm.get(f"/runs/{run['id']}")
    wrote = [(s["kind"], s["phase"]) for s in story["steps"] if s["leg"] == "writeback"]
    assert wrote[-3:] == [("apply", "intent"), ("apply", "failed"), ("recover", "done")]


async def test_a_row_that_nobody_can_read_is_told_and_keeps_no_other_run_waiting(firm: Any) -> None:
    firm.checked = False
    firm.flow["retry"] = {"attempts": 3, "first": "3s", "factor": 1, "max": "3s"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="status", connector="quickbooks", method="POST", path="*/customer")
    await firm.win("Damaged", customer="One")
    (damaged,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    with sqlite3.connect(firm.server.folder / "crossdock.db") as db:
        db.execute("UPDATE steps SET data = '{\"records' WHERE seq = 1")
    db.close()
    await firm.win("Whole", customer="Two")
    runs = await firm.ended()
    assert {r["status"] for r in runs if r["id"] != damaged["id"]} == {"succeeded"}
    messages = str(await firm.told())
    assert "a defect of Crossdock or its database" in messages
    assert damaged["id"] in messages
