"""A rollback gives the deal back what it held before, also where the reply to our write was lost."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "garbage"])
async def test_a_write_back_is_put_back_although_its_reply_was_lost(firm: Any, kind: str) -> None:
    firm.flow["legs"]["task"] |= {"enabled": True, "on_failure": "rollback"}
    firm.flow["legs"]["task"]["with"]["project"] = "404404"
    firm.flow["retry"] = {"attempts": 3, "first": "100ms", "factor": 1, "max": "100ms"}
    firm.write()
    await firm.server.start()
    firm.fault(kind=kind, connector="pipedrive", method="PATCH", path="*/deals/*")
    deal = await firm.win("Put back", custom={"Invoice number": "OLD-7", "Invoice status": "draft"})
    (run,) = await firm.ended()
    assert firm.sandbox.faults[0].struck == 1
    assert run["status"] == "rolled_back", run
    assert firm.deal(deal["id"])["custom"] == deal["custom"]
    patches = [r for r in firm.sandbox.requests if r["connector"] == "pipedrive" and r["method"] == "PATCH"]
    assert len(patches) == 3
    assert (firm.customers(), firm.invoices, firm.tasks) == ([], [], [])


async def test_what_a_person_changed_since_is_left_and_named(firm: Any) -> None:
    firm.flow["legs"]["task"] |= {"enabled": True, "on_failure": "rollback"}
    firm.flow["retry"] = {"attempts": 1, "first": "3s", "factor": 1, "max": "3s"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="status", connector="asana", method="POST", path="*/tasks", times=None)
    deal = await firm.win("Touched")
    await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    crm = firm.sandbox.simulators["pipedrive"]
    await crm.trigger("deal.updated", {"id": deal["id"], "custom": {"Invoice number": "BY-HAND"}})
    (run,) = await firm.ended()
    assert run["status"] == "dead", run
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == "BY-HAND"
    said = str(await firm.told())
    assert "custom.invoice_number now holds 'BY-HAND'" in said
    assert (firm.customers(), firm.invoices) == ([], [])
