"""Every page, with content that means harm, for everybody: readers of screens, phones, the dark; and nothing leaves."""

from __future__ import annotations

import re

import pytest
from crossdock.passwords import SHORTEST
from firm import Firm
from playwright.async_api import Browser, expect
from visitor import Visitor

EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
HOSTILE = (
    EVIL,
    "‮gnp.eciovni‬ שלום עליכם",
    "{{ 7 * 7 }} ${7*7} </title></textarea><svg onload=alert(2)>",
    "Z̷̢̛a̷l̷g̷o̷ \u0001\u0007 \ufffd ☃ 𝕏",
    "x" * 60_000,
)
BAD = ({"code": EVIL, "name": EVIL, "quantity": 1, "unit_price": "1.00"},)
PASSWORD = "p" * SHORTEST


WIDEST = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
  [...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > window.innerWidth + 1)
    .map(one => one.outerHTML.slice(0, 120)).slice(0, 5)"""
"""What is wider than the window, where anything is."""


async def pages_of(firm: Firm) -> list[str]:
    """All of them, with every run that there is."""
    runs = [f"/runs/{run['id']}" for run in await firm.runs()]
    failed = [f"/runs/{run['id']}/edit" for run in await firm.runs(status="rolled_back")]
    flows = [
        "/flows",
        "/flows/deal-to-invoice",
        "/connections",
        "/audit",
        "/bulk",
        "/bulk/new?status=rolled_back",
        "/docs",
    ]
    return ["/", "/?span=month", "/runs", "/runs?text=script", "/runs?since=nonsense", *runs, *failed, *flows]


@pytest.fixture
async def hostile(firm: Firm) -> Firm:
    """A firm in whose CRM somebody means harm."""
    await firm.server.start()
    for number, title in enumerate(HOSTILE):
        await firm.win(title, customer=f"{title[:80]} {number}", lines=BAD)
    await firm.ended(len(HOSTILE))
    await firm.win("Rollout", customer="Acme")
    await firm.ended(len(HOSTILE) + 1)
    return firm


async def test_what_means_harm_is_shown_and_does_none(hostile: Firm, visitor: Visitor) -> None:
    for path in await pages_of(hostile):
        await visitor.go(path)
        await visitor.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert await visitor.page.title() != "owned"
        assert await visitor.page.locator("main img, main svg[onload], main script").count() == 0, path
        assert "49" not in await visitor.page.locator("h1").inner_text()
    await visitor.go("/runs")
    await expect(visitor.page.locator("tbody")).to_contain_text("onerror=alert(1)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_kept_out(hostile: Firm, browser: Browser, scheme: str) -> None:
    async with Visitor.at(browser, hostile.server.url, color_scheme=scheme) as visitor:
        for path in await pages_of(hostile):
            await visitor.go(path)
            assert await visitor.barriers() == [], path
        assert visitor.trouble == []


async def test_on_a_phone_nothing_is_wider_than_the_phone(hostile: Firm, browser: Browser) -> None:
    async with Visitor.at(browser, hostile.server.url, viewport={"width": 375, "height": 700}) as visitor:
        for path in await pages_of(hostile):
            await visitor.go(path)
            wide = await visitor.page.evaluate(WIDEST)
            assert wide == [], (path, wide)


async def test_without_scripts_everything_is_there(hostile: Firm, browser: Browser) -> None:
    async with Visitor.at(browser, hostile.server.url, java_script_enabled=False) as visitor:
        await visitor.go("/runs?status=rolled_back")
        await visitor.page.locator("tbody a").first.click()
        await visitor.press("Edit and replay", "link")
        field = visitor.page.get_by_label("deal.products.0.code", exact=True)
        await field.fill("CONSULT-DAY")
        await visitor.press("Show what it would write")
        await visitor.press("Replay with these changes")
        await expect(visitor.page.get_by_role("status")).to_contain_text("replays it with your changes")


async def test_by_keyboard_alone(hostile: Firm, visitor: Visitor) -> None:
    await visitor.go("/runs")
    await visitor.page.keyboard.press("Tab")
    await expect(visitor.page.locator(":focus")).to_have_text("Skip to the content")
    await visitor.page.keyboard.press("/")
    await visitor.page.keyboard.type("Rollout")
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("tbody tr")).to_have_count(1)


async def test_people_sign_in_and_see_and_do_what_their_role_may(firm: Firm, browser: Browser) -> None:
    await firm.server.start()
    await firm.win("Value differs", customer="Penny", value="999.00")
    await firm.until(lambda runs: [run["status"] for run in runs] == ["dead"])
    [run] = await firm.runs()
    person = {"name": "vera", "role": "viewer", "password": PASSWORD}
    reply = await firm.client.post(f"{firm.server.url}/api/v1/people", json=person)
    assert reply.status_code == 201
    async with Visitor.at(browser, firm.server.url) as vera:
        await vera.go(f"/runs/{run['id']}")
        assert vera.page.url.startswith(f"{firm.server.url}/login?next=")
        await vera.page.get_by_label("Name").fill("vera")
        await vera.page.get_by_label("Password").fill(PASSWORD)
        await vera.press("Sign in")
        await expect(vera.page.locator("h1")).to_have_text("Value differs")
        assert await vera.page.get_by_role("button", name="Replay").count() == 0
        refused = await vera.page.evaluate(
            "path => fetch(path, {method: 'POST'}).then(reply => reply.status)", f"/api/v1/runs/{run['id']}/replay"
        )
        assert refused == 403
        await vera.press("Sign out")
        assert vera.page.url == f"{firm.server.url}/login"
        await vera.go("/runs")
        assert re.search("/login", vera.page.url)
