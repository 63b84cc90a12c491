"""The checker of reliability tests finds each broken promise."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from crossdock.testing import assert_nothing_lost, standing
from crossdock_sdk import RejectedError
from scripted import Stall, leg


async def check(house: Any, **more: Any) -> Any:
    return await assert_nothing_lost(house.app.journal, {"v": Stall(house.vendor)}, **more)


async def finds(house: Any, what: str, **more: Any) -> None:
    with pytest.raises(AssertionError, match=what):
        await check(house, **more)


def edit(house: Any, statement: str, *values: Any) -> None:
    """Change the journal behind its back."""
    with sqlite3.connect(house.app.settings.config.parent / "c.db") as db:
        db.execute("DROP TRIGGER IF EXISTS runs_final")
        assert db.execute(statement, values).rowcount


ONE_MORE = "INSERT INTO steps (run_no, seq, kind, leg, phase, data, at) VALUES (1, ?, 'apply', 'a', 'failed', ?, 1)"
LEGS = {"a": leg("key.create"), "b": leg("put.update")}


@pytest.fixture
def vendor(vendor: Any) -> Any:
    vendor.deal = {"title": "Harbour"}
    return vendor


async def test_all_is_well(house: Callable[..., Any]) -> None:
    async with house(LEGS) as h:
        await h.rests(await h.win())
        (story,) = await check(h, accepted=[("v", "1")], secrets=["canary"])
        assert story.row.status == "succeeded"


async def test_what_the_vendor_has_and_the_run_does_not(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS) as h:
        vendor.standing["key.create-99"] = "by hand"
        before = standing({"v": Stall(vendor)})
        await h.rests(await h.win())
        await check(h, before=before)
        await finds(h, r"v.key.create key.create-99 stands at the vendor, and no run accounts for it")


async def test_what_the_run_says_and_the_vendor_does_not_have(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS) as h:
        await h.rests(await h.win())
        vendor.standing["put.update-2"] = "somebody else"
        await finds(h, r"says text 'Harbour', and the vendor has 'somebody else'")
        del vendor.standing["key.create-1"]
        await finds(h, r"leg a, v.key.create key.create-1: it says it is there, and it is not")


async def test_an_undo_that_did_not_take_place(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS) as h:
        await h.rests(await h.win(), "rolled_back")
        await check(h)
        vendor.standing["key.create-1"] = "Harbour"
        await finds(h, "it says it is undone, and it stands")


async def test_two_runs_that_made_one_object(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        first, second = await h.win("1"), await h.win("2")
        await h.rests(first)
        await h.rests(second)
        vendor.standing.pop("key.create-2")
        edit(h, "UPDATE steps SET data = replace(data, 'key.create-2', 'key.create-1') WHERE kind = 'apply'")
        await finds(h, "2 runs say that they made it")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE runs SET status = 'rolled_back', ended_at = 1", "and its last step is end succeeded"),
        ("UPDATE runs SET status = 'waiting', ended_at = NULL", "makes no progress: it is waiting"),
        ("UPDATE steps SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM steps)", "has the steps"),
        ("UPDATE steps SET phase = 'failed', kind = 'note' WHERE leg = 'b' AND phase = 'done'", "its leg b is sent"),
        ("UPDATE events SET data = json_set(data, '$.deal.note', 'canary')", "holds secret number 1 in clear"),
        ("UPDATE events SET subject = 'other'", "answered 2xx for 1, and the journal knows nothing of it"),
        ("UPDATE steps SET data = json_set(data, '$.alert', json('true')) WHERE kind = 'end'", "had the alerts"),
    ],
)
async def test_a_journal_that_says_what_cannot_be(house: Callable[..., Any], statement: str, what: str) -> None:
    async with house(LEGS) as h:
        await h.rests(await h.win())
        edit(h, statement)
        await finds(h, what, accepted=[("v", "1")], secrets=["canary"])


async def test_an_alert_that_is_missing(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS) as h:
        await h.rests(await h.win(), "rolled_back")
        edit(h, "DELETE FROM alerts")
        await finds(h, "had the alerts \\[\\] where its steps want")
        edit(h, "UPDATE steps SET data = '{}' WHERE kind = 'end'")
        await finds(h, "is rolled_back, and nobody was told")


async def test_more_tries_than_the_flow_allows(house: Callable[..., Any]) -> None:
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run)
        edit(h, "UPDATE steps SET seq = seq + 10 WHERE kind IN ('apply', 'end')")
        failed = '{"error": {"kind": "transient", "message": "busy"}}'
        for seq in range(3, 11):
            edit(h, ONE_MORE, seq, failed)
        await finds(h, f"run {run} tried a more than 3 times")


async def test_runs_of_one_record_out_of_order(house: Callable[..., Any]) -> None:
    async with house({"a": leg("key.create")}, again="allow") as h:
        first, second = await h.win("1"), await h.win("1")
        await h.rests(first)
        await h.rests(second)
        await check(h)
        edit(h, "UPDATE steps SET at = at - 9000000 WHERE run_no = 2")
        await finds(h, r"1: its events came as \[1, 2\] and were run as \[2, 1\]")
        edit(h, "UPDATE steps SET at = at + 8999999 WHERE run_no = 2 AND kind = 'end'")
        await finds(h, f"run {first} began before run {second} had ended")


FOLLOWER = {"g": {"when": "v.thing.done", "follow": "f", "legs": {"status": leg("seen.update", "{{ origin.a.id }}")}}}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM steps WHERE kind = 'origin'", "follows f, and wrote before it knew its origin"),
        (
            "UPDATE steps SET data = replace(data, 'key.create-1', 'key.create-9') WHERE kind = 'origin'",
            "knows .* of a of its origin, which says",
        ),
        (
            "UPDATE steps SET at = at + 60000000 WHERE kind = 'end' AND run_no = 1",
            "wrote before its origin, run .*, had ended",
        ),
        ("UPDATE runs SET flow = 'other' WHERE no = 1", "follows a run of other, and its flow follows f"),
    ],
)
async def test_a_run_that_followed_wrongly(house: Callable[..., Any], statement: str, what: str) -> None:
    async with house({"a": leg("key.create")}, more=FOLLOWER) as h:
        await h.rests(await h.win())
        await h.rests(await h.happens("thing.done", "key.create-1"), "succeeded")
        await check(h)
        edit(h, statement)
        await finds(h, what)


async def test_a_run_that_found_no_origin_where_there_is_one(house: Callable[..., Any]) -> None:
    async with house({"a": leg("key.create")}, more=FOLLOWER) as h:
        maker = await h.win()
        await h.rests(maker)
        run = await h.happens("thing.done", "by-hand-9")
        await h.rests(run, "ignored")
        await check(h)
        edit(h, "UPDATE steps SET data = replace(data, 'by-hand-9', 'key.create-1') WHERE kind = 'origin'")
        await finds(h, f"run {run} found no origin, and run {maker} made thing key.create-1")
