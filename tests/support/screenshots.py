"""The pictures of the dashboard in docs/images, taken anew: `make screenshots`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from firm import ROOT, Firm, open_firm
from playwright.async_api import async_playwright
from visitor import QUIET, Visitor

IMAGES = ROOT / "docs" / "images"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
NAMES = ("Blue Harbour", "Acme", "Østergaard & Søn", "Nordlicht GmbH", "Café Zoë", "Fjord Energi")
BAD = ({"code": "CONSLT-DAY", "name": "Consulting", "quantity": 2, "unit_price": "49.00"},)


async def _fill(firm: Firm) -> None:
    firm.flow["approve"] = {"when": "{{ invoice.total > 5000 }}", "timeout": "24h"}
    firm.flow["legs"]["task"]["enabled"] = True
    firm.routing["flows"] |= firm.way_back
    firm.write()
    await firm.server.start()
    for name in NAMES:
        await firm.win(f"Rollout {name}", customer=name)
    await firm.ended(len(NAMES))
    await firm.win("Training week", customer="Tidewater", lines=BAD)
    await firm.win("Value differs", customer="Penny", value="999.00")
    large = ({"code": "CONSULT-DAY", "name": "Consulting", "quantity": 80, "unit_price": "950.00"},)
    await firm.win("Migration", customer="Big Rock", lines=large)
    await firm.until(lambda runs: any(run["status"] == "awaiting_approval" for run in runs))
    await firm.ended(len(NAMES) + 2)


async def _pages(firm: Firm) -> dict[str, str]:
    runs = {run["label"]: run["id"] for run in await firm.runs()}
    return {
        "overview": "/?span=hour",
        "runs": "/runs",
        "run": f"/runs/{runs['Training week']}",
        "succeeded": f"/runs/{runs['Rollout Acme']}",
        "edit": f"/runs/{runs['Training week']}/edit",
        "approval": f"/runs/{runs['Migration']}",
        "flows": "/flows",
        "flow": "/flows/deal-to-invoice",
        "connections": "/connections",
        "bulk": "/bulk/new?status=rolled_back&status=dead",
        "reference": "/docs",
        "audit": "/audit",
        "login": "/login",
    }


async def main() -> None:
    """Take all of them, in light and dark and on a phone."""
    chromium = shutil.which("chromium")
    assert chromium, "there is no Chromium; install the package chromium"
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_firm(Path(folder)) as firm, async_playwright() as playwright:
            await _fill(firm)
            browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
            pages = await _pages(firm)
            person = {"name": "ann", "role": "operator", "password": "a long enough sentence"}
            made = await firm.client.post(f"{firm.server.url}/api/v1/people", json=person)
            made.raise_for_status()
            for look, how in {
                "light": {"viewport": WIDE, "color_scheme": "light"},
                "dark": {"viewport": WIDE, "color_scheme": "dark"},
                "phone": {"viewport": PHONE, "color_scheme": "light"},
            }.items():
                async with Visitor.at(browser, firm.server.url, **how) as visitor:
                    await _shoot(visitor, "login", "/login", look)
                    await visitor.page.get_by_label("Name").fill("ann")
                    await visitor.page.get_by_label("Password").fill(person["password"])
                    await visitor.press("Sign in")
                    for name, path in pages.items():
                        if name != "login":
                            await _shoot(visitor, name, path, look)
            await browser.close()
            firm.checked = False


async def _shoot(visitor: Visitor, name: str, path: str, look: str) -> None:
    await visitor.go(path)
    await visitor.page.wait_for_timeout(400)
    if name == "edit":
        await visitor.page.get_by_label("deal.products.0.code", exact=True).fill("CONSULT-DAY")
        await visitor.press("Show what it would write")
    await visitor.page.screenshot(path=str(IMAGES / f"{name}-{look}.png"), full_page=look != "phone", scale="css")


if __name__ == "__main__":
    asyncio.run(main())
