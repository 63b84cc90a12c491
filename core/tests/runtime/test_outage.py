"""A vendor is down for long: nothing is lost, nothing fails, one person is told once, and then all of it is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock import circuits
from crossdock.journal import sqlite
from crossdock.runners import local
from crossdock.testing import assert_nothing_lost
from crossdock_sdk import Event, UnavailableError
from scripted import Stall, leg

EVENTS = 1000


class Outage(list[Any]):
    """A script that never ends while the vendor is down."""

    def __init__(self) -> None:
        super().__init__([None])
        self.calls = 0
        self.over = False

    def pop(self, _: Any = -1) -> Any:
        self.calls += 1
        return None if self.over else UnavailableError("503", status=503)


def elsewhere(connection: str, do: str) -> dict[str, Any]:
    return leg(do) | {"do": f"{connection}.{do}"}


async def test_a_thousand_events_outlive_an_outage(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuits, "FIRST_PROBE", timedelta(milliseconds=50))
    monkeypatch.setattr(local, "POLL", timedelta(milliseconds=50))
    monkeypatch.setattr(sqlite, "_GAP", timedelta(milliseconds=1))
    outage = vendor.script["key.create.before"] = Outage()
    async with house({"a": elsewhere("books", "key.create")}, names=("v", "books", "board")) as h:
        h.routing["flows"]["g"] = h.routing["flows"]["f"] | {
            "when": "board.deal.won",
            "legs": {"a": elsewhere("board", "looked.create")},
        }
        await h.reload()
        events = [Event("deal.won", f"e{n}", f"{n}", {"deal": {"id": f"{n}"}}) for n in range(EVENTS)]
        runs = (await h.app.intake.accept("v", events, h.app.telemetry.new_trace())).runs
        h.app.runner.wake()
        await h.come_to(runs, "waiting")
        await probed(h, 3)
        asked = outage.calls
        assert asked < h.app.settings.concurrency + 50, "a vendor that is down is asked by one run at a time"
        other = await h.app.intake.accept("board", events[:1], h.app.telemetry.new_trace())
        h.app.runner.wake()
        await h.rests(other.runs[0], "succeeded")
        outage.over = True
        await h.come_to(runs, "succeeded")
        assert Counter(name.split("-")[0] for name in vendor.standing) == {"key.create": EVENTS, "looked.create": 1}
        down, back = [alert.title for alert in await h.told(2)]
        assert down == "connection books is down: its vendor does not answer"
        assert back.startswith("connection books is back after ")
        assert back.endswith(" runs go on")
        assert (await h.app.journal.connection_state("books")).status == "active"
        await h.delivered()
        stalls = {"books": Stall(vendor, "key.create"), "board": Stall(vendor, "looked.create")}
        await assert_nothing_lost(h.app.journal, stalls, accepted=[("v", event.subject) for event in events])


async def probed(house: Any, times: int) -> None:
    async with asyncio.timeout(20):
        while True:
            state = await house.app.journal.connection_state("books")
            if state.probes >= times:
                return
            await asyncio.sleep(0.01)
