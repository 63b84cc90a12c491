"""A person wants what stands made again from a leg on, or left as it is: each exactly once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crossdock.edits import Edit
from crossdock.operations import NotPossibleError
from crossdock.runners import local, trouble
from crossdock.testing import assert_nothing_lost
from crossdock.timeline import told
from crossdock.web.views import detail
from crossdock_sdk import AmbiguousError, RejectedError, TransientError
from crossdock_sdk.jsonio import plain
from scripted import Stall, leg

LEGS = {"a": leg("key.create", "fixed"), "b": leg("key2.create"), "c": leg("looked.create", ref="{{ b.number }}")}
MENDED = [Edit("deal.title", "Mended")]


async def retaken(h: Any, run: str, leg_: str, plan: str | None = None) -> str:
    row = await h.operations.retake(run, leg_, plan or h.app.loaded.flows["f"].plan_hash)
    h.app.runner.wake()
    return str(row.id)


async def kept(h: Any) -> str:
    """A run that was held, and was cancelled to keep what it had made."""
    run = await h.win()
    await h.rests(run, "held")
    await h.operations.cancel(run, keep=True)
    h.app.runner.wake()
    await h.rests(run, "cancelled")
    return str(run)


async def test_a_run_that_succeeded_is_made_again_from_a_leg_on(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        vendor.deal = {"title": "Corrected"}
        before = len(vendor.asked)
        again = await retaken(h, first, "b")
        await h.rests(again, "succeeded")
        assert [call[:3] for call in vendor.asked[before:] if call[1] in {"apply", "undo"}] == [
            ("looked.create", "undo", "looked.create-3"),
            ("key2.create", "undo", "key2.create-2"),
            ("key2.create", "apply", "Corrected"),
            ("looked.create", "apply", "Corrected"),
        ]
        assert sorted(vendor.standing) == ["key.create-1", "key2.create-4", "looked.create-5"]
        shown = plain(await detail(h.app.journal, h.app.programs, again))
        assert any("tester wants b, c made again" in line.text for line in told(shown))
        [act] = (await h.app.journal.audit.page()).items
        assert (act.action, act.subject, act.after) == ("replay from a leg", first, {"leg": "b"})
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_a_later_event_of_the_key_knows_the_run_that_stands_now(house: Callable[..., Any], vendor: Any) -> None:
    """Not the one that was made again since: what that made is gone."""
    async with house(LEGS) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        vendor.script["key2.create.before"] = [RejectedError("no")]
        again = await retaken(h, first, "a")
        await h.rests(again, "rolled_back")
        assert vendor.standing == {}
        later = await h.win()
        await h.rests(later, "succeeded")
        assert len(vendor.standing) == 3


async def test_an_edit_with_a_leg_makes_anew_what_it_concerns(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["looked.create.before"] = [RejectedError("no")]
    async with house(LEGS, on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "held")
        assert (await h.operations.edit(run, MENDED, from_leg="b")).id == run
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        assert sorted(vendor.standing.values()) == ["Mended", "Mended", "fixed"]
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_a_run_held_over_what_has_changed_makes_it_anew_at_a_wish(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["looked.create.before"] = [RejectedError("no")]
    async with house(LEGS, on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "held")
        await h.operations.edit(run, MENDED)
        h.app.runner.wake()
        assert (await h.fails(run, "changed")).status == "held"
        await retaken(h, run, "b")
        await h.rests(run, "succeeded")
        assert sorted(vendor.standing.values()) == ["Mended", "Mended", "fixed"]


async def test_a_vendor_that_gives_nothing_back_is_told_and_nothing_is_made_twice(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house(LEGS) as h:
        first = await h.win()
        await h.rests(first, "succeeded")
        vendor.script["key2.create.undo.before"] = [RejectedError("it is paid")]
        again = await retaken(h, first, "b")
        row = await h.rests(again, "held")
        assert (row.leg, row.error["message"]) == ("b", "it is paid")
        assert sorted(vendor.standing) == ["key.create-1", "key2.create-2"]
        await h.operations.cancel(again, keep=True)
        h.app.runner.wake()
        await h.rests(again, "cancelled")
        assert sorted(vendor.standing) == ["key.create-1", "key2.create-2"]
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_what_would_be_made_again_is_approved_like_any_write(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS, approve="always") as h:
        run = await h.win()
        await h.rests(run, "awaiting_approval")
        await h.operations.approve(run, (await h.state(run)).approval["plan"])
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        vendor.deal = {"title": "Corrected"}
        again = await retaken(h, run, "b")
        await h.rests(again, "awaiting_approval")
        assert len(vendor.standing) == 3
        shown = plain(await detail(h.app.journal, h.app.programs, again))
        assert [write["leg"] for write in shown["approval"]["writes"]] == ["b", "c"]


async def test_what_cannot_be_made_again_is_said(house: Callable[..., Any], vendor: Any) -> None:
    async with house(LEGS) as h:
        run = await h.win()
        await h.rests(run, "succeeded")
        with pytest.raises(NotPossibleError, match=r"flow f has no leg bb; did you mean b\?"):
            await h.operations.retake(run, "bb")
        vendor.script["key2.create.before"] = [RejectedError("no")]
        failed = await h.win("2")
        await h.rests(failed, "rolled_back")
        with pytest.raises(NotPossibleError, match="nothing that b or a later leg made stands"):
            await h.operations.retake(failed, "b")


async def test_a_cancelled_run_keeps_what_it_made_and_a_replay_takes_it_over(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key2.create.before"] = [RejectedError("no")]
    async with house(LEGS, on_failure="hold") as h:
        run = await kept(h)
        assert vendor.standing == {"key.create-1": "fixed"}
        shown = plain(await detail(h.app.journal, h.app.programs, run))
        assert [(one["leg"], one["state"]) for one in shown["legs"]] == [
            ("a", "stands"),
            ("b", "failed"),
            ("c", "not reached"),
        ]
        assert any("cancels it, and leaves what it made" in line.text for line in told(shown))
        again = await h.replay(run)
        await h.rests(again, "succeeded")
        assert sorted(vendor.standing) == ["key.create-1", "key2.create-2", "looked.create-3"]
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_what_a_cancelled_run_kept_holds_the_next_event_of_its_key(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key2.create.before"] = [RejectedError("no")]
    async with house(LEGS, on_failure="hold") as h:
        run = await kept(h)
        later = await h.win()
        assert f"an earlier run of this key ({run})" in (await h.rests(later, "held")).error["message"]


async def test_a_doubt_is_settled_before_a_run_ends_that_keeps_what_it_made(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key2.create.apply"] = [AmbiguousError("lost")]
    async with house(LEGS, retry={"attempts": 2, "first": "300ms", "factor": 1, "max": "300ms"}) as h:
        run = await h.win()
        await h.rests(run, "waiting")
        await h.operations.cancel(run, keep=True)
        h.app.runner.wake()
        await h.rests(run, "cancelled")
        assert [report["state"] for report in (await detail(h.app.journal, h.app.programs, run))["legs"]] == [
            "stands",
            "stands",
            "not reached",
        ]


async def test_a_run_that_cannot_be_performed_any_more_can_be_ended_with_what_it_made(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (local, trouble):
        monkeypatch.setattr(module, "STUCK", trouble.STUCK / 100)
    vendor.script["key2.create.before"] = [TransientError("down", retry_after=0.3)]
    async with house(LEGS) as h:
        run = await h.win()
        await h.rests(run, "waiting")
        h.routing["connections"]["w"] = h.routing["connections"].pop("v")
        h.routing["flows"]["f"] = {"when": "w.deal.won", "legs": {"a": {"do": "w.key.create", "with": {"text": "x"}}}}
        await h.reload()
        await h.fails(run, "config")
        await h.operations.cancel(run, keep=True)
        row = await h.rests(run, "cancelled")
        assert (await h.app.journal.leaving("f", row.key, "another")).id == run
        assert vendor.standing == {"key.create-1": "fixed"}
