"""From an alert at 9:02 to a mended run: what whoever is on call does, in a real browser over a real server."""

from __future__ import annotations

import os
import re

from firm import Firm
from playwright.async_api import expect
from visitor import Visitor

BAD = ({"code": "NO-SUCH-SKU", "name": "Consulting", "quantity": 2, "unit_price": "49.00"},)


async def test_from_the_alert_to_an_edited_replay_that_succeeds(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    await firm.win("Rollout Blue Harbour", customer="Blue Harbour", lines=BAD)
    [message] = await firm.told()
    link = re.search(rf"{firm.server.url}/runs/\w+", str(message["blocks"]))
    assert link, message
    page = visitor.page
    await visitor.go(link[0])
    await visitor.sees("rolled back")
    cause = page.get_by_role("region", name="invoice stopped it")
    await expect(cause).to_contain_text("SKU 'NO-SUCH-SKU': no item in QuickBooks has it")
    await expect(cause).to_contain_text("invoice.lines.*.sku = {{ product.code }}")
    await expect(cause).to_contain_text(re.compile(r"crossdock\.yaml:\d+"))
    await expect(page.locator("#payload-text")).to_contain_text('"sku": "NO-SUCH-SKU"')
    await visitor.press("Edit and replay", "link")
    await page.get_by_label("deal.products.0.code").fill("CONSULT-DAY")
    await page.get_by_label("Why").fill("mistyped in the CRM")
    await visitor.press("Show what it would write")
    await expect(page.get_by_role("status")).to_contain_text("Nothing stands in its way")
    assert len(firm.invoices) == 0
    await visitor.press("Replay with these changes")
    await visitor.sees("succeeded")
    [invoice] = firm.invoices
    assert [line["SalesItemLineDetail"]["ItemRef"]["name"] for line in invoice["Line"] if "SalesItemLineDetail" in line]
    await visitor.go("/audit")
    await expect(page.locator("main")).to_contain_text("mistyped in the CRM")
    await visitor.go("/")
    await expect(page.locator("main")).to_contain_text("Nothing waits for a person.")


async def test_an_invoice_that_was_right_for_the_deal_and_wrong_for_the_customer_is_made_again(
    firm: Firm, visitor: Visitor
) -> None:
    await firm.server.start()
    lines = ({"code": "CONSULT-DAY", "name": "Consulting", "quantity": 2, "unit_price": "100.00"},)
    deal = await firm.win("Two days", customer="Blue Harbour", lines=lines)
    (run,) = await firm.ended()
    first = firm.invoices[0]
    await visitor.go(f"/runs/{run['id']}")
    await visitor.press("Replay from a leg", "link")
    page = visitor.page
    await page.get_by_label("Make again from").select_option("invoice")
    await page.get_by_label("deal.products.0.quantity").fill("5")
    await page.get_by_label("deal.value", exact=True).fill("425.00")
    await page.get_by_label("deal.products.0.total").fill("500.00")
    await visitor.press("Show what it would write")
    await expect(page.get_by_role("status")).to_contain_text("Nothing stands in its way")
    await expect(page.get_by_role("region", name="What it would write")).to_contain_text("taken back and written anew")
    assert [one["Id"] for one in firm.invoices] == [first["Id"]]
    await visitor.press("Replay with these changes from invoice")
    await visitor.sees("succeeded")
    [again] = firm.invoices
    assert (again["Id"] != first["Id"], again["TotalAmt"]) == (True, 425)
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == again["DocNumber"]


async def test_a_supervised_run_is_approved_and_another_turned_down(firm: Firm, visitor: Visitor) -> None:
    firm.flow["approve"] = "always"
    firm.write()
    await firm.server.start()
    page = visitor.page
    await firm.win("Yes", customer="Yes Ltd")
    await firm.until(lambda runs: [run["status"] for run in runs] == ["awaiting_approval"])
    await visitor.go("/")
    await page.get_by_role("link", name="Yes", exact=True).click()
    asked = page.get_by_role("region", name="Waits for your yes")
    await expect(asked).to_contain_text("books.invoice.create")
    await expect(asked).to_contain_text("known after customer")
    assert firm.customers() == []
    await visitor.press("Approve")
    await visitor.sees("succeeded")
    await firm.win("No", customer="No Ltd")
    await firm.until(lambda runs: runs[0]["status"] == "awaiting_approval")
    await visitor.go("/runs?status=awaiting_approval")
    await page.get_by_role("link", name="No", exact=True).click()
    await page.get_by_label("Why").fill("wrong customer")
    await visitor.press("Reject")
    await visitor.sees("cancelled")
    assert firm.customers("No Ltd") == []


async def test_a_page_that_is_open_tells_what_happens_next(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    await visitor.go("/runs")
    await expect(visitor.page.locator("main")).to_contain_text("No run matches.")
    await expect(visitor.page.locator(".live")).to_have_text("live")
    await visitor.page.get_by_label("Search").fill("half typed")
    for number in range(6):
        await firm.win(f"Deal {number}", customer=f"Customer {number}")
    await firm.ended(6)
    await expect(visitor.page.locator("tbody .badge.good")).to_have_count(6)
    await expect(visitor.page.get_by_label("Search")).to_have_value("half typed")


async def test_what_nobody_will_replay_is_dismissed(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    await firm.win("Value differs", customer="Penny", value="999.00")
    await firm.until(lambda runs: [run["status"] for run in runs] == ["dead"])
    await visitor.go("/runs?needs_person=1")
    await visitor.press("Value differs", "link")
    await expect(visitor.page.locator("main")).to_contain_text("invoice total and deal value differ")
    await visitor.press("Dismiss")
    await expect(visitor.page.get_by_role("status")).to_contain_text("needs nobody any more")
    await visitor.go("/")
    await expect(visitor.page.locator("main")).to_contain_text("Nothing waits for a person.")


async def test_two_hundred_dead_runs_are_replayed_with_a_progress_bar(firm: Firm, visitor: Visitor) -> None:
    number = int(os.environ.get("CROSSDOCK_TEST_BULK", "40"))
    await firm.server.start()
    for one in range(number):
        await firm.win(f"Deal {one}", customer=f"Customer {one % 7}", value="999.00")
    await firm.until(lambda runs: len(runs) == number and {run["status"] for run in runs} == {"dead"})
    firm.flow["checks"] = []
    firm.write()
    await firm.until(lambda _: "the routing file is reloaded" in firm.server.log)
    page = visitor.page
    await visitor.go("/runs?status=dead")
    await visitor.press("Act on all that match…", "link")
    await expect(page.get_by_role("heading", name=f"{number} runs")).to_be_visible()
    await page.get_by_label("Runs a second").fill("20")
    await page.get_by_label("Why").fill("the check was wrong")
    await visitor.press(f"Replay {number} runs")
    bar = page.get_by_role("progressbar")
    await expect(bar).to_have_attribute("max", str(number))
    await expect(page.locator("#well")).to_have_text(str(number), timeout=120_000)
    await expect(page.locator("h1 + .badge")).to_have_text("done")
    assert len(firm.invoices) == number
    await visitor.go("/")
    await expect(page.locator("main")).to_contain_text("Nothing waits for a person.")


async def test_those_that_are_picked_are_acted_on(firm: Firm, visitor: Visitor) -> None:
    await firm.server.start()
    for one in range(3):
        await firm.win(f"Deal {one}", customer="Penny", value="999.00")
    await firm.until(lambda runs: len(runs) == 3 and {run["status"] for run in runs} == {"dead"})
    page = visitor.page
    await visitor.go("/runs")
    await expect(page.get_by_role("button", name="Act on the selected…")).to_be_disabled()
    for box in (await page.locator("tbody input[type=checkbox]").all())[:2]:
        await box.check()
    await expect(page.locator("[data-picked]")).to_have_text("2 selected")
    await visitor.press("Act on the selected…")
    await page.locator("select[name=action]").select_option("dismiss")
    await visitor.press("Look again")
    await visitor.press("Dismiss 2 runs")
    await expect(page.locator("#well")).to_have_text("2", timeout=20_000)
    await visitor.go("/")
    await expect(page.locator("#attention")).to_contain_text("1")


async def test_a_connection_is_asked_whether_it_works_and_says_when_its_tokens_end(
    firm: Firm, visitor: Visitor
) -> None:
    await firm.server.start()
    await firm.win("First", customer="Acme")
    await firm.ended()
    await visitor.go("/connections")
    books = visitor.page.get_by_role("region", name="books")
    await expect(books).to_contain_text("Access token")
    await expect(books).to_contain_text(re.compile(r"expires in (59|60) minutes, renewed by itself"))
    await expect(books).to_contain_text("closed: calls go through")
    await expect(books).to_contain_text("not told by the vendor")
    await books.get_by_role("button", name="Check now").click()
    await expect(visitor.page.get_by_role("status")).to_contain_text("books works: ")
    crm = visitor.page.get_by_role("region", name="crm")
    await expect(crm).to_contain_text(re.compile(r"daily: [\d,]+ of [\d,]+ left, seen "))
    await expect(crm).to_contain_text(re.compile(r"last seen \d+ seconds? ago"))
    body = {"success": False, "error": "<img src=//elsewhere.example/x onerror=alert(1)>"}
    firm.fault(kind="status", status=401, body=body, connector="pipedrive", method="GET", path="*", times=None)
    await crm.get_by_role("button", name="Check now").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("crm: ")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("<img src=//elsewhere.example/x")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("put new credentials into connections.crm")
