"""Salesforce with the real runtime: a message makes the poll due, and only a new win is a new run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from crossdock.cli import demo
from crossdock.cli.stage import Stage, stage
from crossdock.plugins import load_plugins
from firm import FINAL

SETTLED = FINAL | {"held"}


def polls(on: Stage) -> int:
    """Answered polls: the queries that ask for what was won."""
    asked = on.sandbox.simulators["salesforce"].requests
    return sum(
        "IsWon" in entry["query"] and "WHERE+IsWon" in entry["query"] and entry["status"] == 200 for entry in asked
    )


@pytest.fixture
async def on() -> AsyncIterator[Stage]:
    async with stage(load_plugins(), "salesforce", with_task=False) as playing:
        yield playing


async def polled(on: Stage, before: int) -> None:
    """Wait for more polls than there were `before`."""
    async with asyncio.timeout(30):
        while polls(on) == before:
            await asyncio.sleep(0.05)


async def ended(on: Stage, deal: str, runs: int) -> list[dict[str, Any]]:
    """The runs of a deal, newest first, once there are so many and none of them is on its way."""
    async with asyncio.timeout(30):
        while True:
            found = await on.runs(deal)
            if len(found) >= runs and all(run["status"] in SETTLED for run in found):
                return found
            await asyncio.sleep(0.05)


async def heard(on: Stage, event: str, body: dict[str, Any]) -> None:
    """Let something happen, and wait until its message was acknowledged and the poll that it calls for was made."""
    before = polls(on)
    await on.happen("crm", event, body)
    await on.settle()
    await polled(on, before)


async def test_a_win_is_one_run_an_edit_none_and_a_second_win_another(on: Stage) -> None:
    simulator: Any = on.sandbox.simulators["salesforce"]
    deal = (await on.happen("crm", "deal.won", demo.DEAL))["deal"]["id"]
    [run] = await ended(on, deal, 1)
    assert run["status"] == "succeeded"
    await on.settle()
    # The win and our own write-back were told, and both acknowledged by SOAP.
    assert len(simulator.accepted) == 2
    await heard(on, "deal.edit", {"id": deal, "title": "Renamed"})
    assert len(await ended(on, deal, 1)) == 1
    await on.happen("crm", "deal.reopened", {"id": deal})
    begun = simulator.clock
    simulator.clock = lambda: begun() + timedelta(seconds=5)
    await heard(on, "deal.won", {"id": deal})
    # What the first run made still stands, so a person decides whether the second win is billed as well.
    assert [run["status"] for run in await ended(on, deal, 2)] == ["held", "succeeded"]
