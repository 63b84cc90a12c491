"""Refresh tokens that work once: many processes ask for one, and a process dies with a new one in its hands."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from ledger import assert_each_once, win_each

DEALS = int(os.environ.get("CROSSDOCK_TEST_TOKEN_DEALS", "8"))
EXPIRIES = int(os.environ.get("CROSSDOCK_TEST_EXPIRIES", "2"))
PROCESSES = 2
AT_ONCE = 2


def refused_refreshes(firm: Any) -> list[Any]:
    asked = [r for r in firm.sandbox.requests if r["path"].endswith("/tokens/bearer")]
    return [r["status"] for r in asked if r["status"] != 200]


async def until_both_ask(firm: Any) -> None:
    """Wait until the books are asked more at once than one process does."""
    async with asyncio.timeout(60):
        while sum(r["connector"] == "quickbooks" and r["status"] is None for r in firm.sandbox.requests) <= AT_ONCE:
            await asyncio.sleep(0.005)


@pytest.mark.timeout(180 + 2 * DEALS)
async def test_processes_refresh_once_for_each_expiry_and_lose_none(firm: Any) -> None:
    books = firm.sandbox.simulators["quickbooks"]
    books.tokens.rotates_after = timedelta(0)
    # Slow enough for each to get some: who is not woken looks for work every second.
    firm.fault(kind="latency", seconds=0.2, times=None)
    servers = [firm.server.beside(f"server-{n}", CROSSDOCK_CONCURRENCY=str(AT_ONCE)) for n in range(PROCESSES)]
    for server in servers:
        await server.start()
    firm.server = servers[0]
    firm.subscribe()
    titles = [f"Deal {n:03}" for n in range(DEALS)]
    share = -(-DEALS // EXPIRIES)
    for number in range(EXPIRIES):
        await win_each(firm, titles[number * share : (number + 1) * share])
        await until_both_ask(firm)
        # One at a time: a token that ends before its first use is refused credentials.
        await books.trigger("token.expire", {})
        runs = await firm.ended(min(DEALS, (number + 1) * share), patience=60 + 2 * DEALS)
    assert_each_once(firm, runs, titles)
    assert books.tokens.refreshes == EXPIRIES + 1
    assert refused_refreshes(firm) == []
    assert firm.messages == []
    assert all(server.log.count("run succeeded") for server in servers)
    for server in servers:
        assert await server.end() == 0


@contextlib.contextmanager
def nothing_is_stored_after_the_grant(firm: Any, *, rotates: bool) -> Iterator[asyncio.Event]:
    """The vendor grants the next tokens; whoever receives them finds the database locked. The event: it has."""
    tokens = firm.sandbox.simulators["quickbooks"].tokens
    granted, issue = asyncio.Event(), tokens._issue
    db = sqlite3.connect(firm.server.folder / "crossdock.db", timeout=10, isolation_level=None)

    if rotates:
        tokens.rotates_after = timedelta(0)

    def issue_and_lock() -> Any:
        if not granted.is_set():
            db.execute("BEGIN IMMEDIATE")
            granted.set()
        return issue()

    tokens._issue = issue_and_lock
    yield granted
    tokens._issue = issue
    db.close()


async def cut_off_by_a_kill(firm: Any, *, rotates: bool) -> None:
    await firm.server.start()
    with nothing_is_stored_after_the_grant(firm, rotates=rotates) as granted:
        await firm.win("Cut off", customer="Customer of Cut off")
        await asyncio.wait_for(granted.wait(), 60)
        await firm.server.kill()
    await firm.server.start()


async def cut_off_by_the_network(firm: Any) -> None:
    firm.sandbox.simulators["quickbooks"].tokens.rotates_after = timedelta(0)
    await firm.server.start()
    firm.fault(kind="drop_after", connector="quickbooks", method="POST", path="*/tokens/bearer")
    await firm.win("Cut off", customer="Customer of Cut off")


async def test_a_grant_that_is_lost_is_asked_for_again_while_the_vendor_takes_the_old_token(firm: Any) -> None:
    await cut_off_by_a_kill(firm, rotates=False)
    runs = await firm.ended()
    assert_each_once(firm, runs, ["Cut off"])
    assert firm.sandbox.simulators["quickbooks"].tokens.refreshes == 2
    assert (refused_refreshes(firm), firm.messages) == ([], [])


@pytest.mark.parametrize("cut", ["kill", "network"])
async def test_a_grant_that_is_lost_for_good_pauses_the_connection_with_one_alert(firm: Any, cut: str) -> None:
    if cut == "kill":
        await cut_off_by_a_kill(firm, rotates=True)
    else:
        await cut_off_by_the_network(firm)
    [message] = await firm.told()
    assert "connection books is paused: its credentials are refused" in str(message)
    await firm.win("Behind it", customer="Customer of Behind it")
    runs = await firm.until(lambda runs: [r["status"] for r in runs] == ["waiting", "waiting"])
    assert {r["waits_for"] for r in runs} == {"connection:books"}
    assert firm.invoices == []
    # A person connects the account anew.
    anew = await firm.sandbox.simulators["quickbooks"].trigger("token.reconnect", {})
    firm.routing["connections"]["books"]["refresh_token"] = anew["refresh_token"]
    firm.write()
    runs = await firm.ended(2)
    assert_each_once(firm, runs, ["Cut off", "Behind it"])
    await firm.told_in(0, "connection books is back after")
    assert len(firm.messages) == 2
