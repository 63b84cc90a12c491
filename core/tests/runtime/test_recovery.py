"""That all is well after all: told once, to those who were told that it was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossdock.testing import assert_nothing_lost
from crossdock.testing.tables import read_tables
from crossdock_sdk import AuthError, RejectedError
from scripted import Stall, leg

REFUSED = RejectedError("no such thing")


async def checked(h: Any) -> None:
    await h.delivered()
    await assert_nothing_lost(h.app.journal, {"v": Stall(h.vendor)})


def abouts(h: Any) -> list[str]:
    return [alert.about for alert in read_tables(h.app.journal.path).alerts]


async def test_a_replay_that_succeeds_is_told_where_its_first_run_was(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}) as h:
        first = await h.win()
        await h.rests(first, "rolled_back")
        again = await h.replay(first)
        await h.rests(again, "succeeded")
        failed, note = await h.told(2)
        assert (note.severity, note.status, note.run, note.thread) == ("info", "succeeded", again, first)
        assert note.title == f"f for 1 has succeeded, as replay of {first}"
        assert failed.thread == first
        await checked(h)


async def test_a_run_that_was_held_and_goes_on_is_told_once(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}, on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "held")
        await h.operations.replay(run)
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        assert [alert.title for alert in await h.told(2)] == [
            "f for 1 is held and waits for a person",
            "f for 1 has succeeded, after it had stopped",
        ]
        await checked(h)


async def test_of_a_run_that_went_well_from_the_start_nobody_is_told(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        await h.rests(await h.win(), "succeeded")
        await checked(h)
        assert abouts(h) == []


async def test_that_somebody_said_yes_is_no_recovery(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        plan = (await h.state(run)).approval["plan"]
        await h.operations.approve(run, plan)
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        await checked(h)
        assert [about.split(":")[1] for about in abouts(h)] == ["awaiting_approval"]


async def test_a_connection_that_is_back_is_told_once_with_what_goes_on(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [AuthError("the token was revoked")]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.told(1)
        await h.rests(run, "waiting")
        await h.reload()
        await h.rests(run, "succeeded")
        paused, back = await h.told(2)
        assert paused.title == "connection v is paused: its credentials are refused"
        assert back.title.startswith("connection v is back after ")
        assert back.title.endswith("; 1 run goes on")
        assert (back.severity, back.thread) == ("info", paused.thread)
        await checked(h)
