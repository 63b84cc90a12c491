"""Deals that are not as a mapping hopes: each is stopped before it writes, and says why in one line."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("deal", "said"),
    [
        ({"lines": []}, "input lines: is empty, and at least one item is needed"),
        ({"discount": 150}, "input discount_percent: Input should be less than or equal to 100, got 150"),
        ({"discounts": [{"percent": 5}]}, "deal.discounts"),
    ],
)
async def test_an_odd_deal_is_stopped_and_says_why(firm: Any, deal: dict[str, Any], said: str) -> None:
    await firm.server.start()
    await firm.win("Odd", **deal)
    (run,) = await firm.ended()
    assert run["status"] == "dead"
    assert said in run["error"]["message"]
    (message,) = await firm.told()
    assert "stopped before its first write" in str(message)
    assert (firm.customers(), firm.invoices) == ([], [])


async def test_a_record_that_contains_a_secret_of_ours_is_never_written_masked(firm: Any) -> None:
    secret = firm.routing["connections"]["books"]["client_secret"]
    await firm.server.start()
    await firm.win(f"For {secret}")
    (run,) = await firm.ended()
    assert run["status"] == "dead"
    assert "contains one of this installation's secrets" in run["error"]["message"]
    assert secret not in str(await firm.told())
    assert firm.invoices == []


async def test_an_absurd_retry_after_neither_breaks_the_run_nor_closes_the_connection_for_good(firm: Any) -> None:
    await firm.server.start()
    absurd = {"Retry-After": "99999999999999999999"}
    firm.fault(kind="status", status=503, headers=absurd, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Absurd")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    assert run["due_at"] is not None
    assert "Traceback" not in firm.server.log


async def test_a_connection_that_is_put_back_lets_its_runs_go_on(firm: Any) -> None:
    firm.flow["retry"] = {"attempts": 3, "first": "1s", "factor": 1, "max": "2s"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Put back", value=Decimal("306.15"))
    await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    whole = {name: dict(body) for name, body in firm.routing["connections"].items()}
    del firm.routing["connections"]["books"]
    firm.routing["flows"] = {}
    flows = firm.server.folder / "crossdock.yaml"
    assert flows.exists()
    firm.write()
    (run,) = await firm.until(lambda runs: bool(runs) and "not in the configuration" in str(runs[0]["error"]))
    assert (await firm.get(f"/runs/{run['id']}"))["legs"][0]["id"] is not None
    firm.routing["connections"] = whole
    firm.write()
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    assert (len(firm.customers()), len(firm.invoices)) == (1, 1)
