"""`kill -9` at random moments under load: everything once, nothing lost, nothing left over."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import Any

import pytest

DEALS = int(os.environ.get("CROSSDOCK_TEST_DEALS", "60"))
KILLS = int(os.environ.get("CROSSDOCK_TEST_KILLS", "8"))
SEED = int(os.environ.get("CROSSDOCK_TEST_SEED", "20261123"))


@pytest.mark.timeout(120 + DEALS + 5 * KILLS)
async def test_kills_at_random_moments_lose_nothing_and_make_nothing_twice(firm: Any) -> None:
    rng = random.Random(SEED)
    firm.flow["legs"]["task"]["enabled"] = True
    firm.flow["retry"] = {"attempts": 10, "first": "200ms", "factor": 2, "max": "2s"}
    firm.write()
    crm = firm.sandbox.simulators["pipedrive"]
    crm.delays = [0.2] * 200
    # A vendor that takes its time, so that kills fall inside calls as well as between them.
    firm.fault(kind="latency", path="*", seconds=0.01, times=None)
    await firm.server.start()

    async def closing() -> None:
        for n in range(DEALS):
            await firm.win(f"Deal {n}", customer=f"Customer {n:03}")
            await asyncio.sleep(rng.uniform(0, 0.05))

    async def killing() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.05, 0.9))
            await firm.server.kill()
            await firm.server.start()

    await asyncio.gather(closing(), killing())
    await crm.settle()
    runs = await firm.ended(DEALS, patience=60 + DEALS)
    assert Counter(r["status"] for r in runs) == {"succeeded": DEALS}
    assert len({r["key"] for r in runs}) == len(runs) == DEALS

    customers = Counter(c["DisplayName"] for c in firm.customers())
    assert customers == {f"Customer {n:03}": 1 for n in range(DEALS)}
    by_customer = Counter(i["CustomerRef"]["value"] for i in firm.invoices)
    assert by_customer == {c["Id"]: 1 for c in firm.customers()}
    state = firm.sandbox.state()
    written = {d["custom"]["invoice_number"] for d in state["pipedrive"]["deals"] if d["status"] == "won"}
    assert written == {i["DocNumber"] for i in firm.invoices}
    assert Counter(t["name"] for t in firm.tasks) == {f"Kick off Deal {n}": 1 for n in range(DEALS)}
    assert firm.messages == []
