"""The checker of reliability tests finds each broken promise."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from crossdock import circuits, stepper
from crossdock.runners import local
from crossdock.state import leg_key
from crossdock.testing import assert_nothing_lost, standing
from crossdock_sdk import AmbiguousError, AuthError, RejectedError, ThrottledError, TransientError
from scripted import Stall, leg


async def check(house: Any, **more: Any) -> Any:
    if more.get("at_rest", True):
        await house.delivered()
    return await assert_nothing_lost(house.app.journal, {"v": Stall(house.vendor)}, **more)


async def finds(house: Any, what: str, **more: Any) -> None:
    with pytest.raises(AssertionError, match=what):
        await check(house, **more)


def edit(house: Any, statement: str, *values: Any) -> None:
    """Change the journal behind its back."""
    with closing(sqlite3.connect(house.app.settings.config.parent / "c.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER IF EXISTS runs_final")
        assert db.execute(statement, values).rowcount


def plant(house: Any, after: int, *steps: tuple[str, str | None, str], error: str = "transient") -> None:
    """Put steps into the first run's history after that many, each a minute after the one before."""
    edit(house, "UPDATE steps SET seq = seq + 1000 WHERE run_no = 1 AND seq > ?", after)
    edit(house, "UPDATE steps SET at = at + 36000000000 WHERE run_no = 1 AND seq > 1000")
    for place, (kind, name, phase) in enumerate(steps, 1):
        data = f'{{"error": {{"kind": "{error}", "message": "busy"}}}}' if phase == "failed" else "{}"
        edit(house, ONE_MORE, after + place, kind, name, phase, data, place * 60_000_000)
    edit(house, "UPDATE steps SET seq = seq - 1000 + ? WHERE run_no = 1 AND seq > 1000", len(steps))


ONE_MORE = """
INSERT INTO steps (run_no, seq, kind, leg, phase, data, at)
VALUES (1, ?, ?, ?, ?, ?, (SELECT created_at FROM runs WHERE no = 1) + ?)
"""
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


FAILED = ("apply", "a", "failed")
SENT = ("apply", "a", "intent")


@pytest.mark.parametrize(
    ("after", "steps", "what"),
    [
        (0, [("hydrate", None, "failed")] * 4, "to read its record"),
        (2, [FAILED] * 4, "a"),
        (2, [SENT, FAILED] * 4, "a"),
        (2, [SENT, FAILED] * 2 + [("recover", "a", "failed")] * 2, "a"),
        (4, [("undo", "a", "intent"), ("undo", "a", "failed")] * 4, "to undo a"),
    ],
)
async def test_more_tries_than_the_flow_allows(
    house: Callable[..., Any], after: int, steps: list[tuple[str, str | None, str]], what: str
) -> None:
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run)
        plant(h, after, *steps)
        await finds(h, f"run {run} tried {what} more than 3 times")


@pytest.mark.parametrize("error", ["throttled", "ambiguous"])
async def test_what_is_no_try_of_the_run_or_a_doubt_is_not_counted(house: Callable[..., Any], error: str) -> None:
    async with house({"a": leg("key.create")}) as h:
        await h.rests(await h.win())
        plant(h, 2, *[SENT, FAILED] * 6, error=error)
        await check(h)


async def test_a_try_that_comes_too_soon(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [TransientError("busy"), ThrottledError("not sent", retry_after=0.1)]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run)
        await check(h)
        edit(h, "UPDATE steps SET at = at - 110000 WHERE phase = 'intent' AND seq = 7")
        await finds(h, f"run {run} tried a at .*, and was to wait until")


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


async def test_an_alert_that_does_not_arrive(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS) as h:
        run = await h.win()
        await h.rests(run, "rolled_back")
        await check(h)
        edit(h, "UPDATE alerts SET due_at = 9000000000000000, tries = 2")
        with pytest.raises(AssertionError, match=f"alert {run}:rolled_back:.* is not delivered by v: it was tried 2"):
            await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)}, failing=["v"])


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused credentials are tried again at once."""
    monkeypatch.setattr(circuits, "AUTH_PROBE", timedelta(milliseconds=50))
    monkeypatch.setattr("crossdock.testing.tries.AUTH_PROBE", timedelta(milliseconds=50))
    monkeypatch.setattr(local, "POLL", timedelta(milliseconds=50))


LATER = """
INSERT INTO alerts (id, data, due_at)
SELECT substr(id, 1, instr(id, '.')) || '999999' || substr(id, instr(id, '+')), data, NULL FROM alerts
"""
"""The same alert once more, at the end of its second."""


async def test_a_connection_that_was_closed_and_of_which_nobody_was_told(
    house: Callable[..., Any], vendor: Any, briefly: None
) -> None:
    vendor.script["key.create.before"] = [AuthError("revoked")]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run, "succeeded")
        await h.told(2)
        await check(h)
        edit(h, "DELETE FROM alerts WHERE id LIKE 'connection:v:paused:%'")
        await finds(h, f"run {run} found v closed before .*, and nobody was told")


async def test_a_connection_that_is_closed_is_told_of_once_to_each_notifier(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key.create.before"] = [AuthError("revoked")]
    legs = {"a": leg("key.create") | {"do": "books.key.create"}}
    async with house(legs, names=("v", "w", "books"), notify=["v", "w"]) as h:
        await h.fails(await h.win(), "auth")
        await h.told(2)
        await check(h, at_rest=False)
        edit(h, LATER)
        await finds(h, "connection books was paused .* was told of twice", at_rest=False)
        edit(h, "DELETE FROM alerts WHERE id LIKE '%@w'")
        await finds(h, "connection books is paused since .*, and w was not told", at_rest=False)
        edit(h, "DELETE FROM alerts")
        await finds(h, "connection books is paused since .*, and nobody was told", at_rest=False)


async def test_a_run_that_is_put_off_is_told_of_once(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: Any) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(stepper, "plan_run", defect)
    async with house(LEGS) as h:
        run = await h.win()
        await h.fails(run, "defect")
        await h.told(1)
        await check(h, at_rest=False)
        edit(h, LATER)
        await finds(h, f"run {run} told v 2 times of defect", at_rest=False)
        edit(h, "DELETE FROM alerts")
        await finds(h, f"run {run} is put off .*a bug of ours.*, and v was not told", at_rest=False)


async def test_a_run_that_cannot_go_on_as_things_are_configured_is_told_of(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["put.update.before"] = [TransientError("429", retry_after=0.3)]
    async with house(LEGS) as h:
        run = await h.win()
        await h.rests(run, "waiting")
        h.routing["connections"]["v"]["realm"] = "two"
        await h.reload()
        await h.fails(run, "config")
        await check(h, at_rest=False)
        edit(h, "UPDATE alerts SET data = replace(data, 'realm', 'another'), id = replace(id, 'stuck', 'other')")
        await finds(h, f"run {run} is put off .*, and v was not told", at_rest=False)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("INSERT INTO connections (name, status, reason, since) VALUES ('x', 'active', ?, 1)", "connections.reason"),
        ("UPDATE plans SET body = json_set(body, '$.legs[0].with.text', ?)", "plans.body"),
        ("UPDATE runs SET trace = ?", "runs.trace"),
        ("INSERT INTO meta (name, value) VALUES ('a', CAST(? AS BLOB))", "meta.value"),
        ("UPDATE steps SET data = json_set(data, '$.x', ?) WHERE seq = 1", "steps.data"),
    ],
)
async def test_a_secret_in_any_column(house: Callable[..., Any], statement: str, where: str) -> None:
    secret = 'a "canary" ü'
    async with house(LEGS) as h:
        await h.rests(await h.win())
        await check(h, secrets=[secret])
        edit(h, statement, secret)
        await finds(h, f"{where} in row 1 holds secret number 2 in clear", secrets=["harmless", secret])


async def test_a_secret_that_only_the_files_hold_yet(house: Callable[..., Any]) -> None:
    async with house(LEGS) as h:
        await h.rests(await h.win())
        edit(h, "INSERT INTO meta (name, value) VALUES ('x', CAST('canary' AS BLOB))")
        edit(h, "DELETE FROM meta WHERE name = 'x'")
        with pytest.raises(AssertionError, match=r"the file c\.db-wal holds secret number 1 in clear") as caught:
            await check(h, secrets=["canary"])
        assert "meta" not in str(caught.value)


async def test_an_event_that_is_lost_beside_another_of_its_record(house: Callable[..., Any]) -> None:
    async with house(LEGS, again="ignore") as h:
        for run in (await h.win("1"), await h.win("1")):
            await h.rests(run)
        twice = {"accepted": [("v", "1")] * 2, "events": [("v", "e1"), ("v", "e2")]}
        await check(h, **twice)
        await finds(h, "answered 2xx for 3 events of 1, and the journal has 2", accepted=[("v", "1")] * 3)
        await finds(h, "answered 2xx for the event e3, and the journal knows nothing", events=[("v", "e3")])
        edit(h, "DELETE FROM runs WHERE event_seq = 2")
        await finds(h, "answered 2xx for the event e2, and no run is about it", **twice)


async def test_a_doubt_excuses_one_object_that_its_write_could_have_made(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["blind.create.apply"] = [AmbiguousError("lost")]
    async with house({"a": leg("blind.create")}) as h:
        run = await h.win()
        await h.rests(run, "in_doubt")
        assert list(vendor.standing) == ["blind.create-1"]
        await check(h)
        vendor.keys.clear()
        await check(h)
        vendor.standing["blind.create-2"] = "Harbour"
        await finds(h, "blind.create-2 stands at the vendor, and no run accounts for it")
        del vendor.standing["blind.create-2"]
        vendor.keys[leg_key("another run", "a", 0)] = "blind.create-1"
        await finds(h, "blind.create-1 stands at the vendor, and no run accounts for it")
        vendor.keys.clear()
        vendor.standing["blind.create-1"] = "not what was asked for"
        await finds(h, "blind.create-1 stands at the vendor, and no run accounts for it")


async def test_who_waits_for_a_person_holds_up_only_those_that_wait_for_its_lock(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["locked.create.before"] = [AmbiguousError("lost") for _ in range(1000)]
    async with house({"a": leg("locked.create", "one for all")}) as h:
        first = await h.win("1")
        await h.rests(first, "in_doubt")
        second = await h.win("2")
        await h.rests(second, "waiting")
        await h.rests(first, "in_doubt")
        await h.app.runner.stop()
        edit(h, "UPDATE runs SET status = 'in_doubt' WHERE no = 1")
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)}, failing=["v"])
        edit(h, "UPDATE runs SET waits_for = 'lock:v:another' WHERE no = 2")
        with pytest.raises(AssertionError, match=f"run {second} makes no progress: it is waiting"):
            await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)}, failing=["v"])


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


async def test_a_good_end_after_trouble_is_told_once_and_after_no_trouble_never(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS) as h:
        first = await h.win()
        await h.rests(first, "rolled_back")
        again = await h.replay(first)
        await h.rests(again, "succeeded")
        well = await h.win("2")
        await h.rests(well, "succeeded")
        await check(h)
        edit(h, "UPDATE alerts SET id = ? || substr(id, instr(id, ':')) WHERE id LIKE '%:recovered:%'", well)
        await finds(h, rf"run {well} \(succeeded\) told \['v'\] that it succeeded after all, and not \(\)")
        edit(h, "DELETE FROM alerts WHERE id LIKE '%:recovered:%'")
        await finds(h, rf"run {again} \(succeeded\) told \[\] that it succeeded after all")


async def test_that_a_connection_is_back_is_told_once_to_those_who_know_that_it_was_closed(
    house: Callable[..., Any], vendor: Any, briefly: None
) -> None:
    vendor.script["key.create.before"] = [AuthError("revoked")]
    async with house({"a": leg("key.create")}) as h:
        await h.rests(await h.win(), "succeeded")
        await h.told(2)
        await check(h)
        more = "INSERT INTO alerts (id, data) SELECT {}, data FROM alerts WHERE id LIKE 'connection:v:active:%'"
        edit(h, more.format("replace(id, '@v', '@w')"))
        await finds(h, r"\['w'\] heard that connection v is back, and not that it was closed")
        edit(h, "DELETE FROM alerts WHERE id LIKE '%@w'")
        edit(h, more.format("substr(id, 1, instr(id, '.')) || '999999' || substr(id, instr(id, '+'))"))
        await finds(h, "connection v was told of as back at .* and not closed between")
