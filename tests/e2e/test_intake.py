"""Deliveries: once, whoever sends them how often; and what is refused leaves no trace."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from base64 import b64encode
from itertools import pairwise
from typing import Any

import pytest

HOOK = {"meta": {"action": "change", "entity": "deal", "entity_id": "1", "id": "m-1", "version": "2.0"}}


def authorization(firm: Any, password: str | None = None) -> dict[str, str]:
    hook = firm.routing["connections"]["crm"]["webhook"]
    pair = f"{hook['user']}:{password or hook['password']}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}", "Content-Type": "application/json"}


def hook_of(deal: dict[str, Any], **meta: Any) -> dict[str, Any]:
    data = {"id": deal["id"], "status": "won", "title": deal["title"], "won_time": deal["won_time"]}
    return {"meta": HOOK["meta"] | {"entity_id": str(deal["id"])} | meta, "data": data, "previous": {"status": "open"}}


async def post(firm: Any, body: bytes, connection: str = "crm", **headers: str) -> Any:
    return await firm.client.post(f"{firm.server.url}/webhooks/{connection}", content=body, headers=headers)


async def test_the_same_webhook_five_times_at_once_and_later_is_one_run(firm: Any) -> None:
    await firm.server.start()
    deal = await firm.win("Once")
    await firm.ended()
    body = json.dumps(hook_of(deal)).encode()
    replies = await asyncio.gather(*(post(firm, body, **authorization(firm)) for _ in range(5)))
    again = json.dumps(hook_of(deal, id="m-2", attempt=4)).encode()
    replies.append(await post(firm, again, **authorization(firm)))
    assert {r.status_code for r in replies} == {200}
    assert [r.json() for r in replies] == [{"accepted": 0, "duplicates": 1, "ignored": 0}] * 6
    assert len(await firm.runs()) == 1
    assert len(firm.invoices) == 1


async def test_five_first_deliveries_at_once_are_one_run(firm: Any) -> None:
    deal = await firm.win("At once")
    await firm.sandbox.simulators["pipedrive"].close()
    await firm.server.start()
    body = json.dumps(hook_of(deal)).encode()
    replies = await asyncio.gather(*(post(firm, body, **authorization(firm)) for _ in range(5)))
    assert sorted(r.json()["accepted"] for r in replies) == [0, 0, 0, 0, 1]
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    assert len(firm.invoices) == 1


async def test_two_deals_of_one_new_customer_at_once_make_one_customer(firm: Any) -> None:
    await firm.server.start()
    firm.fault(kind="latency", connector="quickbooks", path="*/query", seconds=0.3, times=4)
    await asyncio.gather(*(firm.win(f"Deal {n}", customer="Shared Ltd") for n in range(4)))
    runs = await firm.ended(4)
    assert {r["status"] for r in runs} == {"succeeded"}
    (customer,) = firm.customers()
    assert customer["DisplayName"] == "Shared Ltd"
    assert [i["CustomerRef"]["value"] for i in firm.invoices] == [customer["Id"]] * 4


async def test_a_rollback_keeps_a_customer_that_another_run_uses_by_now(firm: Any) -> None:
    firm.flow["retry"] = {"attempts": 1, "first": "3s", "factor": 1, "max": "3s"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice", times=1)
    lines = [{"code": "NOPE-1", "name": "Unknown", "quantity": 1, "unit_price": "5.00"}]
    await firm.sandbox.simulators["quickbooks"].trigger("item.create", {"Sku": "NOPE-1", "Name": "For now"})
    await firm.win("First", customer="Shared Ltd", lines=lines)
    await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    await firm.win("Second", customer="Shared Ltd")
    await firm.ended(1)
    await firm.sandbox.simulators["quickbooks"].trigger("item.deactivate", {"Sku": "NOPE-1"})
    runs = await firm.ended(2)
    assert [r["status"] for r in runs] == ["succeeded", "rolled_back"]
    assert len(firm.customers("Shared Ltd")) == 1
    story = await firm.get(f"/runs/{runs[1]['id']}")
    assert (story["legs"][0]["state"], story["legs"][0]["note"]) == ("kept", "another run uses it")


async def test_a_deal_won_again_after_a_run_that_left_an_invoice_is_held_for_a_person(firm: Any) -> None:
    firm.flow["retry"] = {"attempts": 0, "first": "100ms", "factor": 1, "max": "1s"}
    firm.write()
    await firm.server.start()
    down = {"kind": "status", "status": 400, "body": {"Fault": {"Error": [{"Message": "closed", "code": "6000"}]}}}
    firm.fault(connector="quickbooks", method="POST", path="*/invoice", after=1, times=None, **down)
    firm.fault(kind="status", status=403, body={"success": False}, connector="pipedrive", method="PATCH", path="*")
    deal = await firm.win("Left over")
    (run,) = await firm.ended()
    assert run["status"] == "dead"
    assert len(firm.invoices) == 1
    again = deal | {"won_time": "2027-01-01T10:00:00Z"}
    await post(firm, json.dumps(hook_of(again, id="m-9")).encode(), **authorization(firm))
    runs = await firm.until(lambda runs: len(runs) == 2 and runs[0]["status"] == "held")
    assert len(firm.invoices) == 1
    assert len(await firm.told(2)) == 2
    assert runs[1]["id"] in str(firm.messages)


async def test_runs_of_one_deal_go_one_after_the_other(firm: Any) -> None:
    firm.flow["again"] = "allow"
    firm.write()
    await firm.server.start()
    firm.fault(kind="latency", connector="quickbooks", path="*/invoice", seconds=0.5, times=None)
    deal = await firm.win("Ordered")
    for n in range(1, 4):
        won = deal | {"won_time": f"2027-01-0{n}T10:00:00Z"}
        reply = await post(firm, json.dumps(hook_of(won, id=f"m-{n}")).encode(), **authorization(firm))
        assert reply.json()["accepted"] == 1
    runs = await firm.ended(4)
    spans = sorted((r["created_at"], r["ended_at"], r["id"]) for r in runs)
    stories = [await firm.get(f"/runs/{run}") for _, _, run in spans]
    for earlier, later in pairwise(stories):
        assert later["steps"][0]["at"] >= earlier["ended_at"]


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("wrong password", 401),
        ("no password", 401),
        ("ten megabytes", 413),
        ("ten megabytes, chunked", 413),
        ("broken JSON", 422),
        ("JSON of another shape", 422),
        ("deeply nested JSON", 422),
        ("unknown connection", 404),
        ("connection without events", 404),
    ],
)
async def test_what_is_refused_writes_nothing_and_shows_no_stack_trace(firm: Any, what: str, status: int) -> None:
    await firm.server.start()
    good = authorization(firm)

    async def chunks() -> Any:
        for _ in range(160):
            yield b"x" * 65536

    body: Any = {
        "broken JSON": b'{"meta": {',
        "JSON of another shape": b'["meta"]',
        "deeply nested JSON": b"[" * 200_000 + b"]" * 200_000,
        "ten megabytes": b"x" * 10_000_000,
        "ten megabytes, chunked": chunks(),
    }.get(what, json.dumps(HOOK).encode())
    headers = {"wrong password": authorization(firm, "guess"), "no password": {}}.get(what, good)
    connection = {"unknown connection": "nobody", "connection without events": "alerts"}.get(what, "crm")
    reply = await post(firm, body, connection, **headers)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in reply.text + firm.server.log
    assert await firm.runs() == []
    with sqlite3.connect(firm.server.folder / "crossdock.db") as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (0,)
    database.close()


async def test_the_api_wants_the_token_once_there_is_one(firm: Any) -> None:
    firm.server.env["CROSSDOCK_ADMIN_TOKEN"] = "only-for-the-admin"
    await firm.server.start()
    for given, status in (
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer only-for-the-admin"}, 200),
    ):
        for path in ("/api/v1/runs", "/api/v1/flows", "/api/v1/connections", "/metrics"):
            reply = await firm.client.get(firm.server.url + path, headers=given)
            assert reply.status_code == status, path
    for path in ("/healthz", "/readyz"):
        assert (await firm.client.get(firm.server.url + path)).status_code == 200


async def test_without_a_token_the_api_is_for_this_machine_only(firm: Any) -> None:
    await firm.server.start()
    for headers in ({"X-Forwarded-For": "203.0.113.9"}, {"Host": "crossdock.attacker.test"}):
        reply = await firm.client.get(f"{firm.server.url}/api/v1/runs", headers=headers)
        assert reply.status_code == 403
        assert reply.headers["content-type"] == "application/problem+json"
