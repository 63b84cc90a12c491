"""Vendors that are down, slow, or answer into the void; and a server that is killed while it waits."""

from __future__ import annotations

import asyncio
import signal
from datetime import datetime
from typing import Any

import pytest


def fast(firm: Any, **retry: str) -> None:
    """Waits of a test's length; the example's own are minutes."""
    firm.flow["retry"] = {"attempts": 3, "first": "200ms", "factor": 2, "max": "2s"} | retry
    firm.write()


def failures(story: dict[str, Any], leg: str) -> list[datetime]:
    return [datetime.fromisoformat(s["at"]) for s in story["steps"] if s["leg"] == leg and s["phase"] == "failed"]


def tries(story: dict[str, Any], leg: str) -> list[datetime]:
    return [datetime.fromisoformat(s["at"]) for s in story["steps"] if s["leg"] == leg and s["phase"] == "intent"]


async def test_503_is_retried_with_growing_waits_and_then_succeeds(firm: Any) -> None:
    fast(firm)
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=3)
    await firm.win("Busy")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    story = await firm.get(f"/runs/{run['id']}")
    began, failed = tries(story, "invoice"), failures(story, "invoice")
    assert (len(began), len(failed)) == (4, 3)
    waits = [(after - before).total_seconds() for before, after in zip(failed, began[1:], strict=True)]
    assert waits[0] >= 0.2
    assert waits[1] >= 0.4
    assert waits[2] >= 0.8
    assert len(firm.invoices) == 1
    assert firm.messages == []


async def test_retry_after_is_honoured(firm: Any) -> None:
    fast(firm)
    await firm.server.start()
    wait = {"Retry-After": "2"}
    firm.fault(kind="status", status=429, headers=wait, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Throttled")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    story = await firm.get(f"/runs/{run['id']}")
    waited = (tries(story, "invoice")[1] - failures(story, "invoice")[0]).total_seconds()
    assert waited >= 2


async def test_a_kill_in_the_middle_of_a_wait_loses_nothing_and_nobody_sleeps_in_memory(firm: Any) -> None:
    fast(firm, first="3s", max="10s")
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=1)
    await firm.win("Waits")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    due = datetime.fromisoformat(run["due_at"])
    await firm.server.kill()
    await firm.server.start()
    (again,) = await firm.runs()
    if again["status"] == "waiting":
        assert datetime.fromisoformat(again["due_at"]) == due
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    story = await firm.get(f"/runs/{run['id']}")
    assert tries(story, "invoice")[1] >= due
    assert len(firm.invoices) == 1


async def test_down_for_good_is_rolled_back_and_told(firm: Any) -> None:
    fast(firm)
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=None)
    await firm.win("Down")
    (run,) = await firm.ended()
    assert run["status"] == "rolled_back"
    story = await firm.get(f"/runs/{run['id']}")
    assert len(tries(story, "invoice")) == 4
    assert (firm.invoices, firm.customers()) == ([], [])
    assert len(await firm.told()) == 1


async def test_down_for_good_is_held_where_the_flow_says_so_and_a_replay_goes_on(firm: Any) -> None:
    firm.flow["on_failure"] = "hold"
    fast(firm, attempts=1)
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=None)
    await firm.win("Held")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "held")
    assert len(firm.customers()) == 1
    assert "held" in str(await firm.told())
    firm.sandbox.faults.clear()
    reply = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run['id']}/replay")
    assert (reply.status_code, reply.json()["id"]) == (200, run["id"])
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    assert (len(firm.customers()), len(firm.invoices)) == (1, 1)


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage"])
@pytest.mark.parametrize(
    ("connector", "path"),
    [("quickbooks", "*/customer"), ("quickbooks", "*/invoice"), ("pipedrive", "*/deals/*"), ("asana", "*/tasks")],
)
async def test_a_reply_lost_after_the_vendor_applied_the_write_makes_nothing_twice(
    firm: Any, kind: str, connector: str, path: str
) -> None:
    firm.flow["legs"]["task"]["enabled"] = True
    fast(firm)
    await firm.server.start()
    method = "PATCH" if connector == "pipedrive" else "POST"
    firm.fault(kind=kind, connector=connector, method=method, path=path)
    await firm.win("Lost reply")
    (run,) = await firm.ended()
    assert firm.sandbox.faults[0].struck == 1
    assert run["status"] == "succeeded", run
    assert (len(firm.customers()), len(firm.invoices), len(firm.tasks)) == (1, 1, 1)
    assert firm.messages == []


async def test_refused_connections_are_retried_and_a_paused_connection_waits_for_new_credentials(firm: Any) -> None:
    fast(firm)
    secret = firm.routing["connections"]["crm"]["api_token"]
    firm.routing["connections"]["crm"]["api_token"] = "a-token-that-was-revoked"
    firm.write()
    await firm.server.start()
    await firm.win("One")
    await firm.win("Two", customer="Beta")
    await firm.until(lambda runs: [r["status"] for r in runs] == ["waiting", "waiting"])
    assert "paused" in str(await firm.told())
    states = {c["name"]: c["status"] for c in (await firm.get("/connections"))["items"]}
    assert states["crm"] == "paused"
    for n in range(2):
        firm.flow["ignore"].append(f"deal.custom.nothing_{n}")
        refusals = firm.server.log.count("again at")
        firm.write()
        async with asyncio.timeout(20):
            while firm.server.log.count("again at") == refusals:
                await asyncio.sleep(0.02)
    firm.routing["connections"]["crm"]["api_token"] = secret
    firm.write()
    runs = await firm.ended(2)
    assert {r["status"] for r in runs} == {"succeeded"}
    await firm.told_in(0, "connection crm is back after")
    assert len(firm.messages) == 2


async def test_cancelling_a_waiting_run_takes_back_what_it_made(firm: Any) -> None:
    fast(firm, first="60s", max="10m")
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=None)
    await firm.win("Cancelled")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    assert len(firm.customers()) == 1
    reply = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run['id']}/cancel")
    assert reply.status_code == 202
    (run,) = await firm.ended()
    assert run["status"] == "cancelled"
    assert (firm.customers(), firm.invoices) == ([], [])


async def test_a_cancel_while_the_last_leg_is_in_hand_takes_everything_back(firm: Any) -> None:
    await firm.server.start()
    firm.fault(kind="latency", connector="pipedrive", method="PATCH", path="*/deals/*", seconds=1.5)
    deal = await firm.win("Too late")
    async with asyncio.timeout(20):
        while not any(r["method"] == "PATCH" for r in firm.sandbox.requests):
            await asyncio.sleep(0.01)
    (run,) = await firm.runs()
    reply = await firm.client.post(f"{firm.server.url}/api/v1/runs/{run['id']}/cancel")
    assert reply.status_code == 202
    (run,) = await firm.ended()
    assert run["status"] == "cancelled"
    assert (firm.customers(), firm.invoices) == ([], [])
    assert firm.deal(deal["id"])["custom"]["invoice_number"] is None


async def test_a_graceful_stop_finishes_the_step_in_hand(firm: Any) -> None:
    await firm.server.start()
    firm.fault(kind="latency", connector="quickbooks", method="POST", path="*/invoice", seconds=1.0)
    await firm.win("Slow")
    async with asyncio.timeout(20):
        while not any(r["path"].endswith("/invoice") for r in firm.sandbox.requests):
            await asyncio.sleep(0.01)
    assert await firm.server.end(signal.SIGTERM) == 0
    assert len(firm.invoices) == 1
    await firm.server.start()
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    story = await firm.get(f"/runs/{run['id']}")
    assert len(tries(story, "invoice")) == 1
    assert story["takeovers"] == 0
