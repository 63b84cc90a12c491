"""A real browser over a real server. Without Chromium these tests are left out, unless they are required."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from firm import Firm, open_firm
from playwright.async_api import Browser, async_playwright
from visitor import QUIET, Visitor


def _chromium() -> str | None:
    return next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    found = _chromium()
    if found is None:
        if os.environ.get("CROSSDOCK_TEST_BROWSER") == "required":
            pytest.fail("there is no Chromium; install the package chromium")
        pytest.skip("there is no Chromium")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found, args=QUIET)
        yield launched
        await launched.close()


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    async with open_firm(tmp_path) as opened:
        opened.server.env["CROSSDOCK_PUBLIC_URL"] = opened.server.url
        yield opened


@pytest.fixture
async def visitor(browser: Browser, firm: Firm) -> AsyncIterator[Visitor]:
    """Somebody at a desk; nothing that their pages do may go wrong unseen."""
    async with Visitor.at(browser, firm.server.url) as one:
        yield one
        assert one.trouble == []
