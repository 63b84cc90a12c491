"""A run is found at the connection at which it stopped, and by its words, with nothing but the runtime at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from crossdock.journal.base import RunFilter
from crossdock_sdk import RejectedError
from scripted import leg


async def test_a_run_is_at_the_connection_of_the_leg_at_which_it_stopped(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key.create.before"] = [RejectedError("no such tax code")]
    vendor.script["hydrate"] = [None, RejectedError("no such deal")]
    at_books = leg("key.create") | {"do": "books.key.create"}
    async with house({"a": at_books}, names=("v", "books")) as h:
        refused, unread, fine = [await h.rests(await h.win(key)) for key in ("1", "2", "3")]
        assert [run.stopped_connection for run in (refused, unread, fine)] == ["books", "v", None]
        found = await h.app.journal.runs(RunFilter(connection="books", leg="a", error_kind="rejected"))
        assert [run.id for run in found.items] == [refused.id]
        async with asyncio.timeout(20):
            while not (await h.app.journal.runs(RunFilter(text="tax code"))).items:  # noqa: ASYNC110 as in the house
                await asyncio.sleep(0.05)
