"""QuickBooks is down while deals are won: nothing is lost, nothing fails, one person is told once, nobody crowds it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from crossdock.circuits import FIRST_PROBE
from crossdock_sdk.testing.faults import answer
from firm import LINES, Firm, open_firm

DEALS = int(os.environ.get("CROSSDOCK_TEST_OUTAGE", "60"))
PATIENCE = 60 + DEALS
CONCURRENCY = 32
"""The server's own, which is what meets a vendor before it is known to be down."""
KICK_OFF = {
    "when": "crm.deal.won",
    "key": "{{ deal.id }}",
    "ignore": ["deal.custom.discount", "deal.custom.lead_score", "deal.custom.industry", "deal.custom.invoice_status"],
    "legs": {"task": {"do": "board.task.create", "with": {"name": "Kick off {{ deal.title }}", "project": "1201"}}},
}


class Outage:
    """Stands before the vendors: what comes for QuickBooks is answered with 503 after a moment, unless it is over."""

    def __init__(self, firm: Firm) -> None:
        self._app, firm.sandbox._app = firm.sandbox._app, self
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self.over = True
        self.asked: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self._since = self._now()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.over or not scope["path"].startswith("/quickbooks/"):
            await self._app(scope, receive, send)
            return
        self.asked.append(self._now())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.1)
        self.at_once -= 1
        await answer(send, 503, {}, None)

    def forget(self) -> None:
        self.asked.clear()
        self.most_at_once = 0
        self._since = self._now()

    @property
    def lasted(self) -> float:
        """Seconds since then."""
        return self._now() - self._since


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    """The example as it is; its server is not started yet."""
    async with open_firm(tmp_path) as opened:
        yield opened


def select(firm: Firm, query: str) -> list[Any]:
    """Straight from the file: to list a thousand runs again and again is work that the server would not have."""
    path = firm.server.folder / "crossdock.db"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


async def come_to(firm: Firm, condition: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        shown = select(firm, "SELECT flow, status, waits_for, count(*) FROM runs GROUP BY 1, 2, 3")
        raise AssertionError(f"not so after {PATIENCE} s: {shown}\n{firm.server.log[-3000:]}") from None


WAITING = "SELECT count(*) FROM runs WHERE status = 'waiting' AND waits_for = 'connection:books' AND owner IS NULL"
RUNS = "SELECT flow, count(*) FROM runs GROUP BY flow ORDER BY flow"
SCOUTS = "SELECT probes FROM connections WHERE name = 'books'"


@pytest.mark.timeout(60 + 4 * PATIENCE)
async def test_deals_that_are_won_while_a_vendor_is_down_are_all_done_once_it_is_back(firm: Firm) -> None:
    outage = Outage(firm)
    await firm.server.start()
    await firm.win("Before", customer="Customer before")
    await firm.ended()
    outage.over = False
    await win_deals(firm)
    await come_to(firm, lambda: select(firm, WAITING) == [(DEALS,)])
    # Each run that was in hand when it went down has met it, and those before the eighth failure perhaps again.
    assert len(outage.asked) <= CONCURRENCY + 24
    (message,) = await firm.told()
    assert "connection books is down" in str(message)

    outage.forget()
    await a_scout_is_back(firm)
    await firm.server.kill()
    await firm.server.start()
    await another_flow_goes_on(firm)
    await come_to(firm, lambda: len(outage.asked) >= 2)
    assert outage.most_at_once == 1, "a vendor that is down is asked by one run at a time"
    # A new configuration is tried at once, and each of the two servers may have begun a pause.
    assert len(outage.asked) <= 3 + outage.lasted / FIRST_PROBE.total_seconds(), "and it is left alone between"
    assert (len(firm.customers()), len(firm.invoices)) == (1, 1)

    outage.over = True
    await come_to(firm, lambda: select(firm, "SELECT 1 FROM runs WHERE status <> 'succeeded' LIMIT 1") == [])
    assert select(firm, RUNS) == [("deal-to-invoice", DEALS + 2), ("kick-off", 1)]
    assert_each_once(firm)
    await firm.told_in(0, "connection books is back after")
    assert firm.threads == [message]
    await come_to(firm, lambda: select(firm, "SELECT 1 FROM alerts WHERE due_at IS NOT NULL LIMIT 1") == [])
    await firm.check(at_rest=True)


async def win_deals(firm: Firm) -> None:
    """Each of a customer of its own; the CRM has not thousands of deliveries on their way at once."""
    for number in range(DEALS):
        await firm.win(f"Deal {number}", customer=f"Customer {number:04}")
        if number % 20 == 19:
            await firm.sandbox.simulators["pipedrive"].settle()
    await firm.sandbox.simulators["pipedrive"].settle()


async def a_scout_is_back(firm: Firm) -> None:
    before = select(firm, SCOUTS)
    await come_to(firm, lambda: select(firm, SCOUTS) > before and select(firm, WAITING) == [(DEALS,)])


async def another_flow_goes_on(firm: Firm) -> None:
    """One that needs other vendors only is switched on, and its first deal is done at once."""
    firm.routing["flows"]["kick-off"] = KICK_OFF
    firm.write()
    await come_to(firm, lambda: "reloaded: 2 flows" in firm.server.log)
    await firm.win("One more", customer="Customer of one more", lines=LINES[:1])
    await come_to(firm, lambda: [task["name"] for task in firm.tasks] == ["Kick off One more"])
    await come_to(firm, lambda: select(firm, "SELECT status FROM runs WHERE flow = 'kick-off'") == [("succeeded",)])
    assert select(firm, "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL") == [(2,)]


def assert_each_once(firm: Firm) -> None:
    names = Counter(customer["DisplayName"] for customer in firm.customers())
    expected = ["Customer before", *(f"Customer {n:04}" for n in range(DEALS)), "Customer of one more"]
    assert names == dict.fromkeys(expected, 1)
    assert Counter(i["CustomerRef"]["value"] for i in firm.invoices) == {c["Id"]: 1 for c in firm.customers()}
    won = [deal for deal in firm.sandbox.state()["pipedrive"]["deals"] if deal["status"] == "won"]
    assert {deal["custom"]["invoice_number"] for deal in won} == {i["DocNumber"] for i in firm.invoices}
