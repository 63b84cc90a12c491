"""Nothing is written before a person has said yes to exactly what would be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock.edits import Edit
from crossdock.operations import NotPossibleError
from crossdock.testing import assert_nothing_lost
from crossdock_sdk import RejectedError
from scripted import Stall, leg

LEGS = {"a": leg("key.create"), "b": leg("put.update", ref="{{ a.id }}")}


async def plan_of(h: Any, run: str) -> str:
    state = await h.state(run)
    assert state.approval is not None
    return str(state.approval["plan"])


async def say(h: Any, run: str, verdict: str, **more: Any) -> None:
    await getattr(h.operations, verdict)(run, await plan_of(h, run), **more)
    h.app.runner.wake()


async def test_a_run_waits_for_a_yes_and_then_writes_what_was_shown(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS, approve="always") as h:
        run = await h.win()
        row = await h.rests(run, "awaiting_approval")
        assert vendor.standing == {}
        assert row.error["kind"] == "approval"
        [alert] = await h.told(1)
        assert [(write["leg"], write["do"], write["account"]) for write in alert.payload["writes"]] == [
            ("a", "v.key.create", "scripted:one"),
            ("b", "v.put.update", "scripted:one"),
        ]
        assert alert.payload["writes"][1]["input"]["ref"] == "known after a"
        await say(h, run, "approve", why="looks right")
        await h.rests(run, "succeeded")
        assert sorted(vendor.standing) == ["key.create-1", "put.update-2"]
        [act] = (await h.app.journal.audit.page()).items
        assert (act.actor, act.action, act.why) == ("tester", "approve", "looks right")
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_a_no_ends_it_and_nothing_is_written(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        await say(h, run, "reject", why="wrong customer")
        row = await h.rests(run, "cancelled")
        assert row.error == {"kind": "not_approved", "message": "tester rejected it: wrong customer"}
        assert vendor.asked == []
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_the_first_runs_are_watched_and_the_others_go_by_themselves(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house({"a": leg("key.create")}, supervise={"first": 2}) as h:
        one, two = await h.win("1"), await h.win("2")
        for run in (one, two):
            await h.rests(run, "awaiting_approval")
        await say(h, one, "reject")
        three = await h.win("3")
        await h.rests(three, "awaiting_approval")  # a run that was turned down has shown nothing
        await say(h, two, "approve")
        await say(h, three, "approve")
        await h.come_to([two, three], "succeeded")
        await h.rests(await h.win("4"), "succeeded")


@pytest.mark.parametrize(("amount", "ending"), [("10", "succeeded"), ("5000", "awaiting_approval")])
async def test_an_expression_says_which(house: Callable[..., Any], vendor: Any, amount: str, ending: str) -> None:
    vendor.deal = {"amount": amount}
    when = {"when": "{{ deal.amount == '5000' and a.text == deal.title }}"}
    async with house({"a": leg("key.create")}, approve=when) as h:
        await h.rests(await h.win(), ending)


async def test_what_is_neither_true_nor_false_lets_nothing_pass(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, approve={"when": "{{ deal.amount }}"}) as h:
        row = await h.rests(await h.win(), "dead")
        assert row.error["message"] == "approve: {{ deal.amount }} is '10', and must be true or false"


async def test_a_yes_to_what_it_would_no_longer_write_is_refused(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS, approve="always", on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        seen = await plan_of(h, run)
        await h.operations.approve(run, seen)
        h.app.runner.wake()
        await h.rests(run, "held")
        await h.operations.edit(run, [Edit("deal.amount", "99")])
        h.app.runner.wake()
        await h.rests(run, "succeeded")  # what it would write is what was approved: nobody maps the amount
        with pytest.raises(NotPossibleError, match="waits for nobody's yes"):
            await h.operations.approve(run, seen)


async def test_an_edit_that_changes_a_write_is_asked_about_anew(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [RejectedError("no")]
    async with house({"a": leg("key.create")}, approve="always", on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        seen = await plan_of(h, run)
        await say(h, run, "approve")
        await h.rests(run, "held")
        await h.operations.edit(run, [Edit("deal.title", "Mended")])
        h.app.runner.wake()
        await h.rests(run, "awaiting_approval")
        with pytest.raises(NotPossibleError, match="something else by now"):
            await h.operations.approve(run, seen)
        await say(h, run, "approve")
        await h.rests(run, "succeeded")


async def test_a_replay_of_what_was_approved_asks_nobody_again(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house(LEGS, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        await say(h, run, "approve")
        await h.rests(run, "rolled_back")
        await h.rests(await h.replay(run), "succeeded")
        vendor.deal = {"title": "Another"}
        vendor.script["put.update.before"] = [RejectedError("no")]
        other = await h.win("2")
        await h.rests(other, "awaiting_approval")
        await say(h, other, "approve")
        await h.rests(other, "rolled_back")
        vendor.deal = {"title": "And another"}
        await h.rests(await h.replay(other), "awaiting_approval")


async def test_what_is_approved_for_one_account_is_not_written_into_another(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house({"a": leg("key.create")}, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        h.routing["connections"]["v"]["realm"] = "two"
        await h.reload()
        await say(h, run, "approve")
        row = await h.fails(run, "config")
        assert "scripted:one" in row.error["message"]
        assert vendor.standing == {}


async def test_a_cancel_while_it_waits_ends_it(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        await h.operations.cancel(run)
        h.app.runner.wake()
        await h.rests(run, "cancelled")
        assert vendor.asked == []


async def test_without_an_answer_in_time_it_is_rejected(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, approve={"when": "always", "timeout": "100ms"}) as h:
        run = await h.win()
        row = await h.rests(run, "cancelled")
        assert row.error["kind"] == "not_approved"
        assert row.ended_at - row.created_at >= timedelta(milliseconds=100)
        assert [alert.status for alert in await h.told(2)] == ["awaiting_approval", "cancelled"]
        assert vendor.asked == []
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_or_people_are_asked_again_and_it_waits_on(house: Callable[..., Any], vendor: Any) -> None:
    policy = {"when": "always", "timeout": "150ms", "on_timeout": "remind"}
    async with house({"a": leg("key.create")}, approve=policy) as h:
        run = await h.win()
        assert {alert.status for alert in await h.told(3)} == {"awaiting_approval"}
        await say(h, run, "approve")
        await h.rests(run, "succeeded")
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_a_run_that_has_nothing_to_write_needs_no_yes(house: Callable[..., Any], vendor: Any) -> None:
    """All that it would do is about a leg of its origin that was not written."""
    status = leg("put.update", "{{ thing.state }}", "{{ origin.b.id }}", on_failure="skip")
    more = {"g": {"when": "v.thing.done", "follow": "f", "legs": {"status": status}, "approve": "always"}}
    vendor.script["key2.create.before"] = [RejectedError("no")]
    async with house({"a": leg("key.create"), "b": leg("key2.create", on_failure="skip")}, more=more) as h:
        await h.rests(await h.win(), "succeeded")
        second = await h.happens("thing.done", "key.create-1")
        assert (await h.rests(second, "succeeded", "awaiting_approval")).status == "succeeded"
        assert vendor.calls("put.update") == []


async def test_those_behind_it_are_told_of(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, approve="always", again="allow") as h:
        first = await h.win()
        await h.rests(first, "awaiting_approval")
        second = await h.win()
        [blocked] = await h.app.journal.blocked()
        assert (blocked.row.id, blocked.behind) == (second, first)
