"""Every other button that there is: what it does at the vendors, and what the page says of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from firm import Firm
from playwright.async_api import expect
from visitor import Visitor

BAD = ({"code": "NO-SUCH-SKU", "name": "Consulting", "quantity": 2, "unit_price": "49.00"},)


async def held(firm: Firm, visitor: Visitor) -> dict[str, Any]:
    """A run that has made its customer and was refused its invoice, on its page."""
    firm.flow["on_failure"] = "hold"
    firm.write()
    await firm.server.start()
    await firm.win("Half", customer="Half Ltd", lines=BAD)
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "held")
    assert len(firm.customers("Half Ltd")) == 1
    await visitor.go(f"/runs/{run['id']}")
    return run


async def test_a_cancel_takes_back_what_was_made(firm: Firm, visitor: Visitor) -> None:
    await held(firm, visitor)
    await visitor.press("Cancel")
    await visitor.sees("cancelled")
    assert firm.customers("Half Ltd") == []


async def test_a_cancel_may_leave_what_was_made(firm: Firm, visitor: Visitor) -> None:
    await held(firm, visitor)
    await visitor.press("Cancel, keep what stands")
    await visitor.sees("cancelled")
    assert len(firm.customers("Half Ltd")) == 1
    await expect(visitor.page.get_by_role("region", name="What stands")).to_contain_text("stands")


async def test_a_held_run_goes_on_once_the_vendor_is_mended(firm: Firm, visitor: Visitor) -> None:
    firm.flow["on_failure"] = "hold"
    firm.write()
    await firm.server.start()
    refused = {"Fault": {"Error": [{"Message": "closed", "code": "6000"}]}}
    firm.fault(kind="status", status=400, body=refused, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Closed books", customer="Acme")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "held")
    await visitor.go(f"/runs/{run['id']}")
    await visitor.press("Let it go on")
    await visitor.sees("succeeded")
    assert len(firm.invoices) == 1


async def test_a_failed_run_is_replayed_as_it_is(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    refused = {"Fault": {"Error": [{"Message": "closed", "code": "6000"}]}}
    firm.fault(kind="status", status=400, body=refused, connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Closed books", customer="Acme")
    (run,) = await firm.ended()
    await visitor.go(f"/runs/{run['id']}")
    await visitor.press("Replay")
    await visitor.sees("succeeded")
    await expect(visitor.page.get_by_role("status")).to_contain_text("queued as a replay")


async def test_a_doubt_is_settled_by_what_a_person_saw(firm: Firm, visitor: Visitor) -> None:
    firm.flow["retry"] = {"attempts": 0, "first": "100ms", "factor": 1, "max": "10m"}
    firm.write()
    await firm.server.start()
    firm.fault(kind="drop_after", connector="quickbooks", method="POST", path="*/invoice")
    await firm.win("Seen", customer="Acme")
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "in_doubt")
    await visitor.go(f"/runs/{run['id']}")
    asked = visitor.page.get_by_role("region", name="Is it there?")
    await asked.get_by_role("button", name="It exists").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("Give the vendor's id")
    await asked.get_by_label("The vendor's id of what invoice made").fill(firm.invoices[0]["Id"])
    await asked.get_by_role("button", name="It exists").click()
    await visitor.sees("succeeded")
    assert len(firm.invoices) == 1


async def test_a_flow_and_a_connection_are_stopped_for_a_while(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    page = visitor.page
    for number, (place, waits) in enumerate((("/flows/deal-to-invoice", "queued"), ("/connections", "waiting"))):
        await visitor.go(place)
        there = page.get_by_role("region", name="books") if place == "/connections" else page.locator("main")
        await there.get_by_text("Pause…").click()
        await there.get_by_label("Why").fill("the books are being closed")
        await there.get_by_role("button", name="Pause", exact=True).click()
        await expect(there).to_contain_text("the books are being closed")
        await firm.win(f"While {place} rests", customer=f"Customer of {place}")
        await firm.until(lambda runs, n=number, waits=waits: len(runs) > n and runs[0]["status"] == waits)
        assert len(firm.invoices) == number
        await there.get_by_role("button", name="Let it go on").click()
        await firm.ended(number + 1)
        assert len(firm.invoices) == number + 1
    await visitor.go("/audit?kind=flow")
    await expect(page.locator("main")).to_contain_text("the books are being closed")


async def test_a_pasted_deal_says_what_would_be_written_and_nothing_is(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    await firm.win("Recorded", customer="Acme")
    await firm.ended()
    await visitor.go("/flows/deal-to-invoice")
    pasted = visitor.page.get_by_label("Records as JSON")
    records = json.loads(await pasted.input_value(), parse_float=Decimal)
    assert records["deal"]["title"] == "Recorded"
    records["deal"]["products"][0]["code"] = "PASTED-SKU"
    await pasted.fill(json.dumps(records, default=str))
    await visitor.press("Show what it would write")
    await expect(visitor.page.locator("main")).to_contain_text("Every leg could be written; nothing was")
    await expect(visitor.page.locator("main")).to_contain_text("PASTED-SKU")
    await visitor.page.get_by_label("Records as JSON").fill('{"deal": ')
    await visitor.press("Show what it would write")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("this is not JSON")
    assert len(firm.invoices) == 1


async def test_where_no_stream_comes_through_a_page_asks_again_by_itself(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    await visitor.page.route("**/live*", lambda route: route.abort())
    await visitor.go("/runs")
    await expect(visitor.page.locator(".live")).to_contain_text("every 5 s", timeout=60_000)
    await firm.win("By polling", customer="Acme")
    await expect(visitor.page.get_by_role("link", name="By polling")).to_be_visible(timeout=30_000)
    visitor.trouble = [one for one in visitor.trouble if "ERR_FAILED" not in one]
