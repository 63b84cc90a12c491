"""A firm for each test; its server is not started yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from firm import Firm, open_firm


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    async with open_firm(tmp_path) as opened:
        yield opened
