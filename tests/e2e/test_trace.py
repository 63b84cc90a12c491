"""One deal is one trace, however often the server is killed on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

CLIENT = 3
ERROR = 2
INTERRUPTED = "interrupted: the process ended"
STEPS = ("hydrate", "plan", "apply customer", "apply invoice", "apply writeback")


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def tree(spans: list[Any]) -> dict[bytes, Any]:
    """The spans by id. Fails unless all are one tree, and each was told once."""
    known: dict[bytes, Any] = {}
    for span in spans:
        assert span.span_id not in known, f"{span.name} was told twice"
        known[span.span_id] = span
    assert len({s.trace_id for s in spans}) == 1
    orphans = [s.name for s in known.values() if s.parent_span_id and s.parent_span_id not in known]
    assert orphans == []
    assert [s.name for s in known.values() if not s.parent_span_id] == ["webhook crm"]
    return known


def children(spans: dict[bytes, Any], of: Any) -> list[Any]:
    return [s for s in spans.values() if s.parent_span_id == of.span_id]


def one(spans: dict[bytes, Any], name: str) -> Any:
    (found,) = (s for s in spans.values() if s.name == name)
    return found


@pytest.fixture
def traced(firm: Any, collector: Any) -> Any:
    firm.flow["retry"] = {"attempts": 3, "first": "300ms", "factor": 2, "max": "2s"}
    firm.write()
    firm.server.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    return firm


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def asked(firm: Any, method: str, path: str, count: int = 1) -> None:
    """Return once a vendor was asked; a latency fault keeps it from answering meanwhile."""
    requests = firm.sandbox.requests
    await until(lambda: sum(r["method"] == method and path in r["path"] for r in requests) >= count)


async def whole(firm: Any, collector: Any) -> dict[bytes, Any]:
    """The trace of the one run, once the run has ended and the server has exported all that it had to."""
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    await firm.server.end()
    assert collector.resource["service.name"] == "crossdock"
    mine = [s for s in collector.spans if s.trace_id.hex() == run["trace_id"]]
    spans = tree(mine)
    above = one(spans, "run deal-to-invoice")
    assert above.parent_span_id == one(spans, "webhook crm").span_id
    steps = children(spans, above)
    finished = Counter(s.name for s in steps if s.status.code != ERROR and not s.name.startswith("before "))
    assert finished == dict.fromkeys(STEPS, 1)
    for call in (s for s in spans.values() if s.kind == CLIENT):
        assert call.parent_span_id in {s.span_id for s in steps}
    return spans


async def test_a_deal_is_one_tree_down_to_the_calls(traced: Any, collector: Any) -> None:
    await traced.server.start()
    await traced.win("Traced")
    spans = await whole(traced, collector)
    assert set(Counter(s.span_id for s in collector.spans).values()) == {1}
    (call,) = [s for s in children(spans, one(spans, "apply invoice")) if s.name == "POST"]
    shown = attributes(call)
    assert call.kind == CLIENT
    assert shown["http.request.method"] == "POST"
    assert shown["http.response.status_code"] == 200
    assert shown["server.address"] == "127.0.0.1"
    assert f":{shown['server.port']}/quickbooks/v3/company/" in shown["url.full"]
    assert shown["url.full"].startswith(f"{traced.sandbox.base_url}/quickbooks/")
    assert attributes(one(spans, "apply invoice"))["crossdock.action"] == "books.invoice.create"


async def test_a_kill_inside_the_invoice_call_shows_as_a_cut_off_step_beside_its_repetition(
    traced: Any, collector: Any
) -> None:
    await traced.server.start()
    traced.fault(kind="latency", connector="quickbooks", method="POST", path="*/invoice", seconds=0.7)
    await traced.win("Killed")
    await asked(traced, "POST", "/invoice")
    await traced.server.kill()
    await traced.server.start()
    spans = await whole(traced, collector)
    steps = sorted(children(spans, one(spans, "run deal-to-invoice")), key=lambda s: s.start_time_unix_nano)
    steps = [s for s in steps if not s.name.startswith("before ")]
    assert [(s.name, s.status.message) for s in steps] == [
        ("hydrate", ""),
        ("plan", ""),
        ("apply customer", ""),
        ("apply invoice", INTERRUPTED),
        ("apply invoice", ""),
        ("apply writeback", ""),
    ]
    assert len(traced.invoices) == 1


KILLS = {
    "in the first read": ("pipedrive", "GET", "/deals/"),
    "in a later read": ("pipedrive", "GET", "/products"),
    "in the first leg": ("quickbooks", "POST", "/customer"),
    "in the last leg": ("pipedrive", "PATCH", "/deals/"),
}


@pytest.mark.parametrize("moment", KILLS)
async def test_a_kill_while_a_vendor_is_asked_leaves_one_tree(traced: Any, collector: Any, moment: str) -> None:
    connector, method, path = KILLS[moment]
    await traced.server.start()
    traced.fault(kind="latency", connector=connector, method=method, path=f"*{path}*", seconds=1.5)
    await traced.win("Killed")
    await asked(traced, method, path)
    if moment == "in a later read":
        await until(lambda: any(s.kind == CLIENT for s in collector.spans))
    await traced.server.kill()
    await traced.server.start()
    spans = await whole(traced, collector)
    assert [s.status.message for s in spans.values() if s.status.code == ERROR] == [INTERRUPTED]


async def test_a_kill_in_the_look_before_a_write_leaves_one_tree(traced: Any, collector: Any) -> None:
    await traced.server.start()
    traced.fault(kind="latency", connector="quickbooks", method="POST", path="*/customer", seconds=0.7)
    await traced.win("Looked")
    await asked(traced, "POST", "/customer")
    read = sum(r["method"] == "GET" and "/deals/" in r["path"] for r in traced.sandbox.requests)
    traced.fault(kind="latency", connector="pipedrive", method="GET", path="*/deals/*", seconds=1.5)
    await asked(traced, "GET", "/deals/", count=read + 1)
    await traced.server.kill()
    await traced.server.start()
    spans = await whole(traced, collector)
    looks = sorted((s for s in spans.values() if s.name == "before writeback"), key=lambda s: s.start_time_unix_nano)
    assert [s.status.message for s in looks] == [INTERRUPTED, ""]
    assert "GET" in {s.name for s in children(spans, looks[1])}


async def test_a_kill_right_after_the_webhook_was_taken_leaves_one_tree(traced: Any, collector: Any) -> None:
    await traced.server.start()
    await traced.win("Taken")
    await traced.sandbox.simulators["pipedrive"].settle()
    await traced.server.kill()
    await traced.server.start()
    await whole(traced, collector)


async def test_kills_between_the_legs_and_again_in_the_repetition_leave_one_tree(traced: Any, collector: Any) -> None:
    traced.flow["retry"]["first"] = "1s"
    traced.write()
    await traced.server.start()
    traced.fault(kind="status", status=503, connector="quickbooks", method="POST", path="*/invoice")
    await traced.win("Waiting")
    await traced.until(lambda runs: bool(runs) and runs[0]["status"] == "waiting")
    await traced.server.kill()
    traced.fault(kind="latency", connector="quickbooks", method="POST", path="*/invoice", seconds=0.7)
    await traced.server.start()
    await asked(traced, "POST", "/invoice", count=2)
    await traced.server.kill()
    await traced.server.start()
    spans = await whole(traced, collector)
    tries = [s for s in spans.values() if s.name == "apply invoice"]
    tries.sort(key=lambda s: s.start_time_unix_nano)
    assert [s.status.code == ERROR for s in tries] == [True, True, False]
    assert "503" in tries[0].status.message
    assert tries[1].status.message == INTERRUPTED


async def test_a_kill_while_a_lost_task_is_looked_for_leaves_one_tree(traced: Any, collector: Any) -> None:
    traced.flow["legs"]["task"]["enabled"] = True
    traced.write()
    await traced.server.start()
    traced.fault(kind="drop_after", connector="asana", method="POST", path="*/tasks")
    traced.fault(kind="latency", connector="asana", method="GET", path="*/tasks", seconds=1.5)
    await traced.win("Lost")
    await asked(traced, "GET", "/tasks")
    await traced.server.kill()
    await traced.server.start()
    (run,) = await traced.ended()
    assert run["status"] == "succeeded"
    await traced.server.end()
    spans = tree([s for s in collector.spans if s.trace_id.hex() == run["trace_id"]])
    looked = [s for s in spans.values() if s.name == "recover task"]
    assert sorted(s.status.message for s in looked) == ["", INTERRUPTED]
    assert len(traced.tasks) == 1


async def test_a_replay_is_a_trace_of_its_own_that_points_to_the_run_it_replays(traced: Any, collector: Any) -> None:
    await traced.server.start()
    lines = [{"code": "NOPE-1", "name": "Unknown", "quantity": 1, "unit_price": "5.00"}]
    await traced.win("Bad", lines=lines)
    (failed,) = await traced.ended()
    await traced.sandbox.simulators["quickbooks"].trigger("item.create", {"Sku": "NOPE-1", "Name": "Now known"})
    new = (await traced.client.post(f"{traced.server.url}/api/v1/runs/{failed['id']}/replay")).json()
    await traced.ended(2)
    await traced.server.end()
    spans = {s.span_id: s for s in collector.spans if s.trace_id.hex() == new["trace_id"]}
    assert {s.name for s in spans.values() if s.parent_span_id not in spans} == {"replay"}
    (link,) = one(spans, "replay").links
    assert link.trace_id.hex() == failed["trace_id"]
    assert link.span_id in {s.span_id for s in collector.named("run deal-to-invoice")}
