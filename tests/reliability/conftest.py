"""Firms whose processes are stopped, killed and starved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from firm import Firm, open_firm


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    """All legs on, short waits, and a lease of three seconds; its server is not started yet."""
    async with open_firm(tmp_path, CROSSDOCK_LEASE="3", CROSSDOCK_STEP_TIMEOUT="2.5") as opened:
        opened.flow["legs"]["task"]["enabled"] = True
        opened.flow["retry"] = {"attempts": 10, "first": "200ms", "factor": 2, "max": "2s"}
        opened.write()
        yield opened
