"""A run that ends its process each time, among others that are in hand when it does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ledger import win_each

POISON = "Customer of Poison"
INNOCENTS = [f"Innocent {n}" for n in range(4)]


def asked_for_poison(firm: Any) -> int:
    return sum("Poison" in str(r["query"]) for r in firm.sandbox.requests)


async def die_until_told(firm: Any) -> int:
    """Kill the server whenever the books are asked for the poisonous run's customer; how often that was."""
    deaths = asked = 0
    async with asyncio.timeout(300):
        while not firm.messages:
            await asyncio.sleep(0.005)
            if asked_for_poison(firm) > asked:
                await firm.server.kill()
                asked, deaths = asked_for_poison(firm), deaths + 1
                await firm.server.start()
    return deaths


@pytest.mark.timeout(400)
async def test_only_the_run_that_ends_its_performers_is_put_off_and_told(firm: Any) -> None:
    # So slow that none of the others gets a step done in time.
    firm.fault(kind="latency", connector="quickbooks", path="*/query*", seconds=0.4, times=None)
    await firm.server.start()
    firm.subscribe()
    await win_each(firm, ["Poison", *INNOCENTS])
    deaths = await die_until_told(firm)
    runs = await firm.until(lambda runs: sum(r["status"] == "succeeded" for r in runs) == len(INNOCENTS))
    [poison] = [r for r in runs if r["status"] != "succeeded"]
    assert (poison["status"], poison["error"]["kind"]) == ("waiting", "defect")
    [message] = firm.messages
    assert "may be what ends them" in str(message)
    assert 15 <= deaths <= 18
    assert POISON not in {c["DisplayName"] for c in firm.customers()}
