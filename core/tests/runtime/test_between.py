"""What comes between: a person's wish, another run, another configuration, while a run is in hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock import circuits
from crossdock.runners import local, trouble
from crossdock_sdk import AmbiguousError, AuthError, RejectedError, TransientError, UnavailableError
from scripted import leg


@pytest.mark.parametrize("moment", ["hydrate", "key.create.apply"])
async def test_a_cancel_is_heeded_before_anything_more_is_written(
    house: Callable[..., Any], vendor: Any, moment: str
) -> None:
    async with house({"a": leg("key.create"), "b": leg("blind.create")}) as h:
        vendor.script[moment] = [lambda: h.operations.cancel(run)]
        run = await h.win()
        row = await h.rests(run)
        assert (row.status, vendor.standing) == ("cancelled", {})
        assert vendor.calls("blind.create") == []


async def test_an_object_that_a_person_names_outweighs_a_look_under_way(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("looked.create")}) as h:
        vendor.script["looked.create.apply"] = [AmbiguousError("lost")]
        vendor.script["looked.create.recover"] = [TransientError("search is down")] * 3
        run = await h.win()
        await h.rests(run, "in_doubt")
        (made,) = vendor.standing

        async def named_meanwhile() -> str:
            await h.operations.resolve(run, "a", made)
            return "nothing"

        vendor.script["looked.create.recover"] = [named_meanwhile]
        row = await h.rests(run, "succeeded", "rolled_back", "dead")
        assert (row.status, list(vendor.standing)) == ("succeeded", [made])


async def test_an_object_of_another_run_cannot_be_named(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("blind.create")}) as h:
        first = await h.win("1")
        await h.rests(first)
        (theirs,) = vendor.standing
        vendor.script["blind.create.before"] = [AmbiguousError("lost")]
        run = await h.win("2")
        await h.rests(run, "in_doubt")
        await h.operations.resolve(run, "a", theirs)
        h.app.runner.wake()
        row = await h.fails(run, "rejected")
        assert row.status == "in_doubt"
        assert f"belongs to run {first}" in row.error["message"]


async def test_a_503_doubt_can_be_settled_by_a_person(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("looked.create")}) as h:
        vendor.script["looked.create.before"] = [UnavailableError("503")] * 9
        vendor.script["looked.create.recover"] = [TransientError("down")] * 9
        run = await h.win()
        await h.rests(run, "in_doubt")
        vendor.script.clear()
        await h.operations.resolve(run, "a", None)
        h.app.runner.wake()
        assert (await h.rests(run, "succeeded")).status == "succeeded"
        assert len(vendor.standing) == 1


async def test_a_run_stays_in_the_account_in_which_it_began(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create"), "b": leg("key2.create", ref="{{ a.id }}")}) as h:
        vendor.script["key2.create.before"] = [TransientError("429", retry_after=0.3)]
        run = await h.win()
        await h.rests(run, "waiting")
        h.routing["connections"]["v"]["realm"] = "two"
        await h.reload()
        row = await h.fails(run, "config")
        assert "the run began in scripted:one, and v is scripted:two now" in row.error["message"]
        assert len(vendor.standing) == 1
        h.routing["connections"]["v"]["realm"] = "one"
        await h.reload()
        assert (await h.rests(run, "succeeded")).status == "succeeded"
        assert [a.title for a in await h.told(1)] == ["f for 1 cannot go on"]


async def test_a_write_that_was_undone_is_used_by_no_run_of_its_chain(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create"), "b": leg("key2.create")}, again="allow") as h:
        vendor.script["key2.create.before"] = [RejectedError("no")] * 3
        vendor.script["key.create.undo.before"] = [RejectedError("refused")]
        first = await h.win()
        assert (await h.rests(first)).status == "dead"
        (left,) = vendor.standing
        assert (await h.rests(await h.replay(first))).status == "rolled_back"
        assert await h.app.journal.other_users("v", "thing", left, "another root") == []


@pytest.mark.parametrize("how", ["by hand", "unseen"])
async def test_a_replay_builds_on_nothing_that_is_gone(house: Callable[..., Any], vendor: Any, how: str) -> None:
    async with house({"a": leg("key.create"), "b": leg("key2.create", ref="{{ a.id }}")}) as h:
        vendor.script["key2.create.before"] = [RejectedError("no")]
        refusals = {"by hand": [], "unseen": [AmbiguousError("lost")]}[how]
        vendor.script["key.create.undo"] = list(refusals)
        vendor.script["key.create.undo.before"] = [None] * len(refusals) + [RejectedError("refused")]
        first = await h.win()
        assert (await h.rests(first)).status == "dead"
        vendor.standing.clear()
        again = await h.replay(first)
        assert (await h.rests(again)).status == "succeeded"
        assert len(vendor.standing) == 2
        assert vendor.calls("key2.create")[-1][3] in vendor.standing


async def test_a_wrong_write_that_could_not_be_undone_is_undone_by_the_replay(
    house: Callable[..., Any], vendor: Any
) -> None:
    checks = [{"that": "{{ a.number == deal.amount }}", "say": "numbers differ"}]
    async with house({"a": leg("key.create")}, checks=checks) as h:
        vendor.deal = {"amount": "N-key.create-2"}
        vendor.script["key.create.undo.before"] = [TransientError("down")] * 3
        first = await h.win()
        assert (await h.rests(first)).status == "dead"
        assert (await h.rests(await h.replay(first))).status == "succeeded"
        assert list(vendor.standing) == ["key.create-2"]


async def test_both_reasons_to_wait_for_a_person_are_told(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create", text="{{ deal.amount }}"), "b": leg("key2.create")}, again="hold") as h:
        vendor.script["key2.create.before"] = [RejectedError("no")]
        vendor.script["key.create.undo.before"] = [RejectedError("refused")]
        first = await h.win()
        assert (await h.rests(first)).status == "dead"
        second = await h.win()
        await h.rests(second, "held")
        await h.operations.replay(second)
        h.app.runner.wake()
        await h.rests(second, "succeeded")
        vendor.deal = {"amount": "99"}
        row = await h.rests(await h.replay(first), "held")
        assert "a stands as it was written before" in row.error["message"]
        assert f"by an earlier run of this key ({second})" in row.error["message"]


async def test_a_plan_that_cannot_be_loaded_is_told_and_keeps_nothing_else(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house({"a": leg("key.create")}) as h:
        vendor.script["hydrate"] = [TransientError("down", retry_after=0.3)]
        run = await h.win()
        await h.rests(run, "waiting")
        with sqlite3.connect(h.app.journal.path) as db:
            db.execute("UPDATE plans SET body = json_remove(body, '$.when')")
        db.close()
        h.app.programs.forget()
        row = await h.fails(run, "config")
        assert "the stored plan is of another version" in row.error["message"]
        assert len(await h.told(1)) == 1


async def test_a_run_that_cannot_be_performed_and_has_written_nothing_can_be_cancelled(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (local, trouble):
        monkeypatch.setattr(module, "STUCK", trouble.STUCK / 100)
    async with house({"a": leg("key.create")}) as h:
        vendor.script["hydrate"] = [TransientError("down", retry_after=0.3)]
        run = await h.win()
        await h.rests(run, "waiting")
        connection = h.routing["connections"].pop("v")
        h.routing["connections"]["w"] = connection
        h.routing["flows"]["f"] = {"when": "w.deal.won", "legs": {"a": {"do": "w.key.create", "with": {"text": "x"}}}}
        await h.reload()
        await h.fails(run, "config")
        await h.operations.cancel(run)
        assert (await h.rests(run, "cancelled")).status == "cancelled"


async def test_an_update_in_doubt_is_repeated_by_a_replay_with_what_is_true_now(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house(
        {"a": leg("key.create"), "b": leg("put.update", text="{{ deal.amount }}", ref="{{ a.number }}")}
    ) as h:
        vendor.script["put.update.before"] = [UnavailableError("503")] * 3
        first = await h.win()
        assert (await h.rests(first)).status == "dead"
        assert vendor.standing == {}
        vendor.deal = {"amount": "99"}
        again = await h.replay(first)
        assert (await h.rests(again, "held")).error["kind"] == "changed"
        await h.operations.replay(again)
        h.app.runner.wake()
        await h.rests(again, "succeeded")
        assert vendor.calls("put.update")[-1] == ("put.update", "apply", "99", "N-key.create-2")


async def test_a_repeat_that_meets_the_first_request_still_at_work_is_no_refusal(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key.create.apply"] = [AmbiguousError("no answer in time")]
    vendor.script["key.create.before"] = [None, RejectedError("at work", status=409)]
    async with house({"a": leg("key.create")}) as h:
        row = await h.rests(await h.win(), "succeeded", "rolled_back", "dead")
        assert (row.status, list(vendor.standing)) == ("succeeded", ["key.create-1"])


async def test_a_rollback_that_meets_refused_credentials_waits_for_the_connection_it_needs(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    vendor.script["key.create.undo.before"] = [AuthError("revoked")]
    legs = {"a": leg("key.create"), "b": leg("put.update") | {"do": "other.put.update"}}
    async with house(legs, names=("v", "other")) as h:
        run = await h.win()
        row = await h.fails(run, "auth")
        assert (row.status, row.waits_for, row.leg) == ("rolling_back", "connection:v", "a")


async def test_an_outage_of_a_connection_whose_credentials_were_refused_spends_no_tries(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuits, "AUTH_PROBE", timedelta(milliseconds=50))
    monkeypatch.setattr(local, "POLL", timedelta(milliseconds=50))
    silent = [UnavailableError("503", status=503) for _ in range(6)]
    vendor.script["key.create.before"] = [AuthError("who?"), *silent]
    async with house({"a": leg("key.create") | {"do": "books.key.create"}}, names=("v", "books")) as h:
        row = await h.rests(await h.win(), "succeeded", "rolled_back", "dead")
        assert (row.status, vendor.script["key.create.before"]) == ("succeeded", [])
