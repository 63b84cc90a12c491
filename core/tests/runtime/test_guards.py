"""Guards whose loss would be seen by nobody until it is too late: one plain test for each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from crossdock.testing import assert_nothing_lost
from crossdock_sdk import RejectedError, TransientError
from scripted import Stall, leg


async def test_a_replay_after_a_rollback_makes_it_anew(house: Callable[..., Any], vendor: Any) -> None:
    """A vendor that keeps keys answers an old one with the old reply, and what that names has been undone."""
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house({"a": leg("key.create"), "b": leg("put.update")}) as h:
        first = await h.win()
        await h.rests(first, "rolled_back")
        await h.rests(await h.replay(first), "succeeded")
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})
        assert sorted(vendor.standing) == ["key.create-2", "put.update-3"]


async def test_two_runs_that_need_one_lock_never_write_at_once(house: Callable[..., Any], vendor: Any) -> None:
    met: list[str] = []

    async def under_way() -> None:
        for run in [await h.win(str(n)) for n in range(1, 6)]:
            row = await h.rests(run, "waiting", "succeeded")
            met.append(row.status)

    async with house({"a": leg("locked.create", "one for all")}) as h:
        vendor.script["locked.create.before"] = [under_way]
        await h.rests(await h.win("0"), "succeeded")
    assert met == ["waiting"] * 5


async def test_a_secret_that_a_vendor_repeats_is_not_written(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        h.app.redactor.add("canary-7f31c2")
        vendor.script["key.create.before"] = [TransientError("who is canary-7f31c2?")] * 3
        run = await h.win()
        await h.rests(run, "rolled_back")
        await h.told(1)
        stored = "\n".join(sqlite3.connect(h.app.settings.config.parent / "c.db").iterdump())
        assert "who is [redacted]?" in stored
        assert "canary-7f31c2" not in stored + str(vendor.alerts)
