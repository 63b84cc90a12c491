"""A flow that follows another: it acts on what a run of that made, and on nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock.journal.base import RunFilter, RunRow
from crossdock.program import ProgramError, make_program
from crossdock.saga import reports
from crossdock.testing import assert_nothing_lost
from crossdock.testing.tables import read_tables
from crossdock.testing.telling import undelivered
from crossdock.web.views import detail
from crossdock_sdk import AmbiguousError, EventVoid, RejectedError, TransientError, crashpoints
from scripted import Stall, leg

MADE = "key.create-1"


def follower(legs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A flow `g` that follows `f`."""
    legs = legs or {"status": leg("put.update", "{{ thing.state }}", "{{ origin.a.id }} {{ origin.a.number }}")}
    retry = {"attempts": 2, "first": "50ms", "factor": 1, "max": "100ms"}
    return {"g": {"when": "v.thing.done", "follow": "f", "legs": legs, "notify": ["v"], "retry": retry} | more}


async def check(h: Any) -> None:
    """Hold all promises, once whoever is to be told has been."""
    async with asyncio.timeout(20):
        while True:
            if not list(undelivered(read_tables(h.app.journal.path), ())):
                break
            await asyncio.sleep(0.01)
    await assert_nothing_lost(h.app.journal, {"v": Stall(h.vendor)})


async def shown(h: Any, run: str) -> Any:
    return await detail(h.app.journal, h.app.programs, run)


async def kinds(h: Any, run: str) -> list[str]:
    return [f"{step.kind} {step.phase}" for step in await h.app.journal.steps(run)]


async def test_the_receipts_of_the_run_that_made_it_are_read(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, more=follower()) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        second = await h.happens("thing.done", MADE)
        row = await h.rests(second, "succeeded")
        assert row.key == MADE
        assert vendor.calls("put.update") == [("put.update", "apply", "done", f"{MADE} N-{MADE}")]
        told = await shown(h, second)
        assert told["origin"] == {
            "run": first,
            "flow": "f",
            "status": "succeeded",
            "object": "thing",
            "subject": MADE,
            "awaited": False,
        }
        await check(h)


async def test_what_no_run_made_is_ignored_with_its_reason_and_costs_no_call(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house({"a": leg("key.create")}, more=follower()) as h:
        await h.rests(await h.win(), "succeeded")
        run = await h.happens("thing.done", "by-hand-9")
        row = await h.rests(run, "ignored")
        assert row.error["message"] == "no run of f made thing by-hand-9"
        assert (await shown(h, run))["origin"] is None
        assert vendor.calls("thing.done") == []
        assert vendor.alerts == []
        await check(h)


async def test_a_leg_about_a_leg_that_was_switched_off_is_left_out_and_the_rest_goes_on(
    house: Callable[..., Any], vendor: Any
) -> None:
    legs = {
        "reopen": leg("put.update", "{{ origin.task.id }}"),
        "note": leg("key2.create", "{{ reopen.id }}"),
        "status": leg("seen.update", "{{ origin.a.id }}"),
    }
    checks = [{"that": "{{ origin.task.number == origin.a.number }}", "say": "numbers differ"}]
    made = {"a": leg("key.create"), "task": leg("looked.create", enabled=False)}
    async with house(made, more=follower(legs, checks=checks)) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        run = await h.happens("thing.done", MADE)
        await h.rests(run, "succeeded")
        program = await h.app.programs.get((await h.app.journal.run(run)).plan_hash)
        told = {report.leg: (report.state, report.note) for report in reports(program.plan, await h.state(run))}
        assert told == {
            "reopen": ("skipped", f"task was not enabled in run {first} of f, which ended succeeded"),
            "note": ("skipped", "it reads reopen, which is left out"),
            "status": ("stands", None),
        }
        assert vendor.calls("put.update") == []
        assert vendor.calls("key2.create") == []
        assert vendor.alerts == []
        await check(h)


@pytest.mark.parametrize(
    ("on_failure", "status"), [("skip", "succeeded"), ("rollback", "dead")], ids=["optional", "needed"]
)
async def test_a_leg_that_the_origin_never_had(
    house: Callable[..., Any], vendor: Any, on_failure: str, status: str
) -> None:
    legs = {
        "reopen": leg("put.update", "{{ origin.task.id }}", on_failure=on_failure),
        "status": leg("seen.update", "{{ origin.a.id }}"),
    }
    async with house({"a": leg("key.create")}) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        h.routing["flows"]["f"]["legs"]["task"] = leg("looked.create")
        h.routing["flows"] |= follower(legs)
        await h.reload()
        row = await h.rests(await h.happens("thing.done", MADE), status)
        if status == "dead":
            told = f"leg reopen reads origin.task, and there was no leg task in run {first} of f, which ended succeeded"
            assert row.error["message"].startswith(told)
            assert row.error["field"] == "origin.task"
        assert len(vendor.calls("seen.update")) == (status == "succeeded")
        await check(h)


async def test_an_origin_that_died_is_named_and_its_replay_is_followed(house: Callable[..., Any], vendor: Any) -> None:
    legs = {"status": leg("put.update", "{{ origin.b.id }}")}
    async with house({"a": leg("key.create"), "b": leg("key2.create")}, more=follower(legs)) as h:
        vendor.script["key2.create.before"] = [RejectedError("no")]
        vendor.script["key.create.undo.before"] = [RejectedError("refused")]
        first = await h.win()
        await h.rests(first, "dead")
        second = await h.happens("thing.done", MADE)
        row = await h.rests(second, "dead")
        assert row.error["message"].startswith(f"leg status reads origin.b, and b has no receipt in run {first} of f")
        mended = await h.replay(first)
        await h.rests(mended, "succeeded")
        again = await h.replay(second)
        await h.rests(again, "succeeded")
        assert (await h.state(again)).origin["run"] == mended
        assert vendor.calls("put.update")[-1][2] == "key2.create-2"
        await check(h)


async def test_an_origin_under_way_is_waited_for_and_its_end_is_heard_at_once(
    house: Callable[..., Any], vendor: Any
) -> None:
    gate = asyncio.Event()
    legs = {"status": leg("put.update", "{{ origin.b.id }}")}
    async with house({"a": leg("key.create"), "b": leg("key2.create")}, more=follower(legs)) as h:
        vendor.script["key2.create.before"] = [gate.wait]
        first = await h.win()
        await h.rests_with(MADE)
        second = await h.happens("thing.done", MADE)
        row: RunRow = await h.rests(second, "waiting")
        assert (row.waits_for, row.error["kind"]) == (f"run:{first}", "origin")
        assert row.due_at is not None
        assert (await shown(h, second))["origin"] == {"run": first, "awaited": True}
        gate.set()
        await h.rests(second, "succeeded")
        assert (await kinds(h, second))[:3] == ["origin awaited", "awaited done", "origin done"]
        assert vendor.calls("put.update")[-1][2] == "key2.create-2"
        await check(h)


async def test_an_origin_that_is_rolled_back_meanwhile_leaves_nothing_to_follow(
    house: Callable[..., Any], vendor: Any
) -> None:
    gate = asyncio.Event()

    async def refused() -> None:
        await gate.wait()
        raise RejectedError("no")

    async with house({"a": leg("key.create"), "b": leg("key2.create")}, more=follower()) as h:
        vendor.script["key2.create.before"] = [refused]
        first = await h.win()
        await h.rests_with(MADE)
        second = await h.happens("thing.done", MADE)
        await h.rests(second, "waiting")
        gate.set()
        row = await h.rests(second, "ignored")
        assert (
            row.error["message"]
            == f"thing {MADE}, which run {first} of f made, stands no more: that run ended rolled_back"
        )
        await check(h)


async def test_a_write_without_an_answer_may_have_made_it(house: Callable[..., Any], vendor: Any) -> None:
    """Whether it did is known when that is settled; until then it is nobody's."""
    async with house({"a": leg("blind.create")}, more=follower()) as h:
        vendor.script["blind.create.apply"] = [AmbiguousError("lost")]
        first = await h.win()
        await h.rests(first, "in_doubt")
        second, other = [await h.happens("thing.done", made) for made in ("blind.create-1", "by-hand-9")]
        await h.rests(second, "waiting")
        await h.rests(other, "waiting")
        assert (await h.state(second)).awaits.made is False
        await check(h)
        await h.operations.resolve(first, "a", "blind.create-1")
        h.app.runner.wake()
        await h.rests(second, "succeeded")
        assert (await h.rests(other, "ignored")).error["message"] == "no run of f made thing by-hand-9"
        assert vendor.calls("put.update")[-1][3].startswith("blind.create-1")
        await check(h)


async def test_a_receipt_that_comes_in_while_it_is_looked_for_is_found(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house({"a": leg("blind.create")}, more=follower()) as h:
        vendor.script["blind.create.apply"] = [AmbiguousError("lost")]
        first = await h.win()
        await h.rests(first, "in_doubt")
        looked = h.app.journal.origin

        async def overtaken(*about: Any) -> Any:
            found = await looked(*about)
            monkeypatch.setattr(h.app.journal, "origin", looked)
            await h.operations.resolve(first, "a", "blind.create-1")
            h.app.runner.wake()
            await h.rests(first, "succeeded")
            return found

        monkeypatch.setattr(h.app.journal, "origin", overtaken)
        await h.rests(await h.happens("thing.done", "blind.create-1"), "succeeded")
        await check(h)


async def test_a_doubt_that_began_after_the_event_came_keeps_nobody(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("blind.create")}, more=follower()) as h:
        vendor.script["blind.create.apply"] = [AmbiguousError("lost")]
        event = await h.happens("thing.done", "by-hand-9")
        await h.rests(event, "ignored")
        await h.rests(await h.win(), "in_doubt")
        await h.rests(await h.replay(event), "ignored")


async def test_the_same_number_in_another_account_is_another_thing(house: Callable[..., Any]) -> None:
    async with house({"a": leg("key.create")}, more=follower()) as h:
        await h.rests(await h.win(), "succeeded")
        h.routing["connections"]["v"]["realm"] = "two"
        await h.reload()
        row = await h.rests(await h.happens("thing.done", MADE), "ignored")
        assert row.error["message"].endswith(f"made thing {MADE} in scripted:one, and v is scripted:two now")


async def test_what_is_written_into_an_account_that_the_origin_did_not_use_waits(
    house: Callable[..., Any], vendor: Any
) -> None:
    made = {"a": leg("key.create"), "task": leg("key2.create") | {"do": "other.key2.create"}}
    legs = {"close": leg("put.update", "{{ origin.task.id }}") | {"do": "other.put.update"}}
    async with house(made, names=("v", "other"), more=follower(legs)) as h:
        await h.rests(await h.win(), "succeeded")
        h.routing["connections"]["other"]["realm"] = "two"
        await h.reload()
        row = await h.fails(await h.happens("thing.done", MADE), "config")
        assert "the run began in scripted:one, and other is scripted:two now" in row.error["message"]
        assert vendor.calls("put.update") == []


async def test_a_replay_keeps_to_the_origin_that_was_found(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("put.update")}, more=follower({"status": leg("key.create", "{{ origin.a.id }}")})) as h:
        first = await h.win("1")
        await h.rests(first, "succeeded")
        vendor.script["key.create.before"] = [RejectedError("no")]
        second = await h.happens("thing.done", "put.update-1")
        await h.rests(second, "rolled_back")
        other = await h.win("2")
        await h.rests(other, "succeeded")
        await h.app.journal._write(lambda db: db.execute("UPDATE objects SET object_id = 'put.update-1'"))
        assert (await h.app.journal.origin("v", "thing", "put.update-1", "f")).id == other
        again = await h.replay(second)
        await h.rests(again, "succeeded")
        assert (await h.state(again)).origin["run"] == first


async def test_a_payment_in_parts_then_whole_then_an_edit_then_taken_back(
    house: Callable[..., Any], vendor: Any
) -> None:
    back = follower({"status": leg("put.update", "open", "{{ origin.a.id }}")}, when="v.thing.undone")["g"]
    async with house({"a": leg("key.create")}, more=follower() | {"back": back}) as h:
        await h.rests(await h.win(), "succeeded")
        vendor.script["look"] = [EventVoid("a part of it is open yet")]
        assert (await h.rests(await h.happens("thing.done", MADE))).status == "ignored"
        assert (await h.rests(await h.happens("thing.done", MADE))).status == "succeeded"
        assert (await h.rests(await h.happens("thing.done", MADE))).status == "ignored"
        assert (await h.rests(await h.happens("thing.undone", MADE))).status == "succeeded"
        assert [call[2] for call in vendor.calls("put.update")] == ["done", "open"]
        anew = await h.happens("thing.done", MADE)
        held = await h.rests(anew, "held")
        assert "by an earlier run of this key" in held.error["message"]
        await h.operations.replay(anew)
        h.app.runner.wake()
        await h.rests(anew, "succeeded")
        assert (await h.rests(await h.happens("thing.done", MADE))).status == "ignored"
        assert [call[2] for call in vendor.calls("put.update")] == ["done", "open", "done"]
        vendor.seen = {"state": "done twice"}
        await h.rests(await h.happens("thing.done", MADE), "held")
        await check(h)


async def test_another_flow_for_the_same_event_makes_it_no_other_event(house: Callable[..., Any], vendor: Any) -> None:
    beside = follower({"log": leg("key2.create", "{{ origin.a.id }}")}, again="allow")["g"]
    async with house({"a": leg("key.create")}, more={"beside": beside} | follower()) as h:
        await h.rests(await h.win(), "succeeded")
        for _ in range(2):
            logged = await h.happens("thing.done", MADE)
            await h.rests(logged, "succeeded")
        page = await h.app.journal.runs(RunFilter(flow="g"))
        last = await h.rests(page.items[0].id)
        assert last.status == "ignored"
        assert len(vendor.calls("key2.create")) == 2


async def test_a_status_that_goes_back_and_forth_is_written_each_time_where_that_is_allowed(
    house: Callable[..., Any], vendor: Any
) -> None:
    more = follower(again="allow")
    more["back"] = follower({"status": leg("put.update", "open")}, when="v.thing.undone", again="allow")["g"]
    async with house({"a": leg("key.create")}, more=more) as h:
        await h.rests(await h.win(), "succeeded")
        for event in ("done", "undone", "done", "undone"):
            await h.rests(await h.happens(f"thing.{event}", MADE), "succeeded")
        assert [call[2] for call in vendor.calls("put.update")] == ["done", "open", "done", "open"]
        await check(h)


@pytest.mark.parametrize(
    ("again", "same", "changed"),
    [("hold", "ignored", "held"), ("ignore", "ignored", "ignored"), ("allow", "succeeded", "succeeded")],
)
async def test_a_deal_that_is_won_twice(
    house: Callable[..., Any], vendor: Any, again: str, same: str, changed: str
) -> None:
    async with house({"a": leg("key.create")}, again=again) as h:
        await h.rests(await h.win(), "succeeded")
        vendor.deal = {"amount": "11"}
        assert (await h.rests(await h.win())).status == same
        vendor.deal = {"title": "Another"}
        row = await h.rests(await h.win())
        assert row.status == changed
        assert len(vendor.standing) == {"hold": 1, "ignore": 1, "allow": 3}[again]
        if changed == "held":
            (alert,) = await h.told(1)
            assert f"a {MADE} (number N-{MADE})" in row.error["message"]
            assert alert.error["message"] == row.error["message"]
        await check(h)


async def test_an_origin_without_its_payload_is_followed_all_the_same(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}, more=follower()) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        assert await h.app.journal.empty(h.app.now() + timedelta(days=1)) == 1
        second = await h.happens("thing.done", MADE)
        await h.rests(second, "succeeded")
        whole = await h.state(second)
        assert await h.app.journal.empty(h.app.now() + timedelta(days=1)) == 1
        assert (await h.state(second)).origin == whole.origin
        await check(h)


async def test_a_connector_that_no_longer_says_what_an_event_is_about_makes_nobody_a_stranger(
    house: Callable[..., Any],
) -> None:
    async with house({"a": leg("key.create")}, more=follower()) as h:
        flow, registry = h.app.loaded.flows["g"].flow, h.app.registry
        make_program(flow, registry, {"v": "scripted"})
        with pytest.raises(ProgramError, match=r"does not say what v\.deal\.won is about"):
            make_program(flow.model_copy(update={"when": "v.deal.won"}), registry, {"v": "scripted"})


class CrashError(Exception):
    """What is raised at a point."""


@pytest.mark.parametrize("point", ["step.decided", "step.performed", "step.recorded"])
async def test_a_crash_at_the_look_for_the_origin_changes_nothing(
    house: Callable[..., Any], vendor: Any, point: str
) -> None:
    struck: list[str] = []

    def hook(name: str, about: str) -> None:
        if (name, about) == (point, "origin") and not struck:
            struck.append(name)
            raise CrashError(point)

    async with house({"a": leg("key.create")}, more=follower()) as h:
        await h.rests(await h.win(), "succeeded")
        crashpoints.arm(hook)
        try:
            run = await h.happens("thing.done", MADE)
            await h.fails(run, "defect")
            await h.operations.replay(run)
            h.app.runner.wake()
            await h.rests(run, "succeeded")
        finally:
            crashpoints.arm(None)
        assert struck == [point]
        assert (await kinds(h, run)).count("origin done") == 1
        assert len(vendor.calls("put.update")) == 1
        await check(h)


async def test_what_is_read_last_is_written_last_whichever_flow_it_is(house: Callable[..., Any], vendor: Any) -> None:
    """A payment whose write is tried again for long must not be written over the void that came after it."""
    both = follower() | {"k": follower()["g"] | {"when": "v.thing.undone"}}
    both["g"]["retry"] = both["g"]["retry"] | {"attempts": 50}
    async with house({"a": leg("key.create")}, more=both) as h:
        await h.rests(await h.win(), "succeeded")
        vendor.script["put.update.before"] = [TransientError("the CRM is down")] * 6
        vendor.seen = {"state": "paid"}
        paid = await h.happens("thing.done", MADE)
        await h.fails(paid, "transient")
        vendor.seen = {"state": "voided"}
        voided = await h.happens("thing.undone", MADE)
        row = await h.rests(voided, "waiting", "succeeded")
        assert row.waits_for == f"lock:v:followed:thing {MADE}"
        await h.come_to([paid, voided], "succeeded")
        written = [call[2] for call in vendor.calls("put.update") if call[1] == "apply"]
        assert (written[0], written[-1]) == ("paid", "voided")
        assert written == sorted(written)
        await check(h)
