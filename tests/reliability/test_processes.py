"""Several processes on one journal: they share the work, and one that stood still does nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from typing import Any

import pytest
from ledger import assert_each_once, win_each

EVENTS = int(os.environ.get("CROSSDOCK_TEST_SHARED_EVENTS", "24"))
PROCESSES = int(os.environ.get("CROSSDOCK_TEST_PROCESSES", "2"))
HELD = {
    "Hydrate": {"connector": "pipedrive", "method": "GET", "path": "*/deals/*"},
    "Customer": {"connector": "quickbooks", "method": "POST", "path": "*/customer"},
    "Invoice": {"connector": "quickbooks", "method": "POST", "path": "*/invoice"},
    "Writeback": {"connector": "pipedrive", "method": "PATCH", "path": "*/deals/*"},
    "Task": {"connector": "asana", "method": "POST", "path": "*/tasks"},
}
"""The calls during which the process is stopped, one deal for each."""


async def all_struck(firm: Any) -> None:
    async with asyncio.timeout(60):
        while any(not fault.struck for fault in firm.sandbox.faults):
            await asyncio.sleep(0.01)


def assert_one_performer_since(story: dict[str, Any], pid: str) -> None:
    """Whoever took the run over is the only one who has written into its history since."""
    kinds = [step["kind"] for step in story["steps"]]
    assert kinds.count("takeover") == 1
    takeover = story["steps"][kinds.index("takeover")]
    assert takeover["data"]["owner"].split("/")[2] == pid
    done = Counter((step["kind"], step["leg"]) for step in story["steps"] if step["phase"] == "done")
    assert set(done.values()) == {1}, done
    intended: list[str] = []
    for step in story["steps"][takeover["seq"] :]:
        if step["kind"] == "apply":
            # An outcome without an intent since is the other's, which had begun before.
            assert step["phase"] == "intent" or step["leg"] in intended, story["steps"]
            intended.append(step["leg"])


async def taken_over(firm: Any, count: int) -> None:
    """Wait until so many runs have another performer, none of them ended yet."""
    async with asyncio.timeout(60):
        while True:
            stories = [await firm.get(f"/runs/{run['id']}") for run in await firm.runs()]
            if sum(story["takeovers"] for story in stories) == count:
                assert all(story["ended_at"] is None for story in stories)
                return
            await asyncio.sleep(0.02)


async def test_a_process_that_stood_still_past_its_lease_does_nothing_twice(firm: Any) -> None:
    await firm.server.start()
    for title, call in HELD.items():
        # One after the other, each alone, so that the call that is held is this deal's.
        firm.fault(kind="latency", seconds=2, **call)
        await firm.win(title, customer=f"Customer of {title}")
        await all_struck(firm)
    firm.server.process.send_signal(signal.SIGSTOP)
    # It wakes while the other is at work on what it had in hand.
    firm.fault(kind="latency", seconds=0.5, times=None)
    other = firm.server.beside("other")
    await other.start()
    zombie, firm.server = firm.server, other
    await taken_over(firm, len(HELD))
    zombie.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(60):
        # It is told so by its heartbeat, or by the checkpoint that is refused.
        while zombie.log.count("left alone") < len(HELD):
            await asyncio.sleep(0.02)
    firm.sandbox.faults.clear()
    # What it takes on now, it does as any other.
    await firm.win("Afterwards", customer="Customer of Afterwards")
    runs = await firm.ended(len(HELD) + 1)
    assert_each_once(firm, runs, [*HELD, "Afterwards"])
    for run in runs[1:]:
        story = await firm.get(f"/runs/{run['id']}")
        assert_one_performer_since(story, str(other.process.pid))
    assert "Traceback" not in zombie.log + other.log
    await zombie.end()
    await other.end()


@pytest.mark.timeout(120 + 2 * EVENTS)
async def test_processes_share_the_work_and_each_event_is_done_once(firm: Any) -> None:
    for connector in ("pipedrive", "quickbooks", "asana"):
        firm.fault(kind="latency", connector=connector, seconds=0.02, times=None)
    servers = [firm.server.beside(f"server-{n}", CROSSDOCK_CONCURRENCY="4") for n in range(PROCESSES)]
    for server in servers:
        await server.start()
    firm.server = servers[0]
    firm.subscribe()
    titles = [f"Deal {n:03}" for n in range(EVENTS)]
    await win_each(firm, titles)
    runs = await firm.ended(EVENTS, patience=60 + 2 * EVENTS)
    assert_each_once(firm, runs, titles)
    stories = [await firm.get(f"/runs/{run['id']}") for run in runs]
    assert [story["takeovers"] for story in stories] == [0] * EVENTS
    done = Counter({server.name: server.log.count("run succeeded") for server in servers})
    assert sum(done.values()) == EVENTS
    assert all(done[server.name] for server in servers), done
    for server in servers:
        assert await server.end() == 0
