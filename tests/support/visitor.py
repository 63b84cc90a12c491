"""Somebody who looks at the dashboard with Chromium, and notices what a page does that it should not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Chromium without anything that it would ask of its maker."""
SERIOUS = {"serious", "critical"}


@dataclass
class Visitor:
    """`trouble` is what went wrong: errors of scripts, of the page's policy, and requests to another host."""

    page: Page
    url: str
    trouble: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=lambda: {200, 303, 304})

    @classmethod
    @asynccontextmanager
    async def at(cls, browser: Browser, url: str, **how: Any) -> AsyncIterator[Visitor]:
        """A fresh window, without anything that another one left; `how` is as Playwright's `new_context`."""
        context = await browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | how))
        page = await context.new_page()
        page.set_default_timeout(20_000)
        visitor = cls(page, url)
        page.on("pageerror", lambda error: visitor.trouble.append(f"script: {error}"))
        page.on("console", visitor._heard)
        page.on("dialog", visitor._asked)
        page.on("request", visitor._sent)
        try:
            yield visitor
        finally:
            await context.close()

    def _heard(self, message: Any) -> None:
        refused = "Failed to load resource" in message.text and 200 not in self.expected
        if message.type == "error" and not refused:
            self.trouble.append(f"console: {message.text}")

    async def _asked(self, dialog: Any) -> None:
        if dialog.type == "confirm":
            await dialog.accept()
            return
        self.trouble.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _sent(self, request: Any) -> None:
        if request.url.startswith(("data:", "blob:", "about:")):
            return
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.trouble.append(f"a request left: {request.url}")

    async def go(self, path: str) -> None:
        reply = await self.page.goto(path if path.startswith("http") else self.url + path)
        assert reply is not None
        assert reply.status in self.expected, f"{path}: {reply.status}"

    async def press(self, name: str, role: str = "button") -> None:
        await self.page.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]

    async def sees(self, status: str) -> None:
        """Wait until the run's page says so; it is not loaded anew for that."""
        await expect(self.page.locator("h1 + .badge")).to_have_text(status, timeout=30_000)

    async def barriers(self) -> list[str]:
        """What keeps people out, by axe: serious and critical findings."""
        found = await Axe().run(self.page)
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found.response["violations"]
            if one["impact"] in SERIOUS
        ]
