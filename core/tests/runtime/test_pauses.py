"""What a person stops for a while waits, loses nothing, and goes on when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crossdock.actors import at_terminal
from crossdock.pauses import PauseError, Pausing
from crossdock.testing import assert_nothing_lost
from crossdock.web.pausing import changed
from scripted import Stall, leg


def pausing(h: Any) -> Pausing:
    def known(kind: str) -> list[str]:
        return list(h.app.loaded.flows) if kind == "flow" else list(h.app.connections.names())

    return Pausing(h.app.journal, at_terminal("ann"), h.app.now, known)


async def test_runs_of_a_paused_flow_wait_and_are_no_reason_to_call_the_server_stuck(
    house: Callable[..., Any], vendor: Any
) -> None:
    other = {"g": {"when": "v.thing.done", "legs": {"a": leg("key2.create", "other")}}}
    async with house({"a": leg("key.create")}, more=other) as h:
        await pausing(h).pause("flow", "f", "the books are being closed")
        runs = [await h.win(str(number)) for number in range(5)]
        await h.rests(await h.happens("thing.done", "1"), "succeeded")
        await asyncio.sleep(0.2)
        assert [(await h.app.journal.run(run)).status for run in runs] == ["queued"] * 5
        assert await h.app.journal.oldest_due(h.app.now()) is None
        [pause] = await h.app.journal.pauses.all()
        assert (pause.kind, pause.name, pause.actor, pause.why) == ("flow", "f", "ann", "the books are being closed")
        await pausing(h).resume("flow", "f")
        h.app.runner.wake()
        await h.come_to(runs, "succeeded")
        acts = (await h.app.journal.audit.page(kind="flow")).items
        assert [act.action for act in acts] == ["resume", "pause"]
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_runs_that_need_a_paused_connection_wait_for_it_alone(house: Callable[..., Any], vendor: Any) -> None:
    legs = {"a": leg("key.create"), "b": leg("key2.create", "second") | {"do": "w.key2.create"}}
    async with house(legs, names=("v", "w")) as h:
        await changed(h.app, at_terminal("ann"), "pause", "connection", "w", None)
        assert await h.app.stepper.circuits.must_wait("w", "any run")
        runs = [await h.win(str(number)) for number in range(3)]
        for run in runs:
            row = await h.rests(run, "waiting")
            assert row.waits_for == "connection:w"
        assert {key.split("-")[0] for key in vendor.standing} == {"key.create"}
        await pausing(h).resume("connection", "w")
        h.app.runner.wake()
        await h.come_to(runs, "succeeded")
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor, "key.create"), "w": Stall(vendor, "key2.create")})


async def test_what_is_not_there_or_not_so_is_said(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        with pytest.raises(PauseError, match="no flow is called deal"):
            await pausing(h).pause("flow", "deal")
        with pytest.raises(PauseError, match="is not paused by a person"):
            await pausing(h).resume("flow", "f")
        await pausing(h).pause("flow", "f")
        with pytest.raises(PauseError, match="paused already"):
            await pausing(h).pause("flow", "f")
