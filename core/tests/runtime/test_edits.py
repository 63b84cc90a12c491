"""A person changes what a run has read: that, and nothing else, is written, however often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crossdock.edits import Edit, EditError
from crossdock.operations import NotPossibleError
from crossdock.preview import preview
from crossdock.testing import assert_nothing_lost
from crossdock.timeline import told
from crossdock.web.views import detail
from crossdock_sdk import RejectedError, TransientError
from crossdock_sdk.jsonio import plain
from scripted import Stall, leg

MENDED = [Edit("deal.title", "Mended")]


def texts(vendor: Any, action: str) -> list[str]:
    return [call[2] for call in vendor.calls(action) if call[1] == "apply"]


async def test_an_edited_replay_writes_what_was_edited(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [RejectedError("no such title")]
    async with house({"a": leg("key.create")}) as h:
        first = await h.win()
        await h.rests(first, "rolled_back")
        vendor.deal = {"title": "Changed since"}
        row = await h.operations.edit(first, MENDED, why="the customer said so")
        h.app.runner.wake()
        await h.rests(row.id, "succeeded")
        assert texts(vendor, "key.create") == ["Deal", "Mended"]
        shown = plain(await detail(h.app.journal, h.app.programs, row.id))
        assert shown["edits"] == [{"path": "deal.title", "before": "Deal", "after": "Mended"}]
        assert any("tester edits deal.title: Deal → Mended" in line.text for line in told(shown))
        [act] = (await h.app.journal.audit.page()).items
        assert (act.action, act.subject, act.why) == ("edit and replay", first, "the customer said so")
        assert (act.before, act.after) == ({"deal.title": "Deal"}, {"deal.title": "Mended"})
        await h.delivered()
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)})


async def test_a_replay_of_an_edited_run_keeps_the_edits_unless_it_reads_anew(
    house: Callable[..., Any], vendor: Any
) -> None:
    vendor.script["key.create.before"] = [RejectedError("no")] * 3
    async with house({"a": leg("key.create")}) as h:
        first = await h.win()
        await h.rests(first, "rolled_back")
        second = (await h.operations.edit(first, MENDED)).id
        h.app.runner.wake()
        await h.rests(second, "rolled_back")
        third = await h.replay(second)
        await h.rests(third, "rolled_back")
        assert (await h.state(third)).edits == ({"path": "deal.title", "before": "Deal", "after": "Mended"},)
        vendor.deal = {"title": "As it is now"}
        fourth = (await h.operations.replay(third, reread=True)).id
        h.app.runner.wake()
        await h.rests(fourth, "succeeded")
        assert texts(vendor, "key.create") == ["Deal", "Mended", "Mended", "As it is now"]


async def test_a_held_run_goes_on_with_what_was_edited(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["put.update.before"] = [RejectedError("no such title")]
    legs = {"a": leg("key.create", "fixed"), "b": leg("put.update", on_failure="hold")}
    async with house(legs) as h:
        run = await h.win()
        await h.rests(run, "held")
        assert (await h.operations.edit(run, MENDED)).id == run
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        assert (texts(vendor, "key.create"), texts(vendor, "put.update")) == (["fixed"], ["Deal", "Mended"])


async def test_what_stands_is_not_silently_left_as_it_was(house: Callable[..., Any], vendor: Any) -> None:
    """An edit that concerns a leg that stands: a person says which of the two is right."""
    vendor.script["put.update.before"] = [RejectedError("no")]
    async with house({"a": leg("key.create"), "b": leg("put.update", on_failure="hold")}) as h:
        run = await h.win()
        await h.rests(run, "held")
        await h.operations.edit(run, MENDED)
        h.app.runner.wake()
        row = await h.fails(run, "changed")
        assert row.status == "held"
        assert "a stands as it was written before, and something else would be written now" in row.error["message"]


async def test_what_cannot_be_edited_is_said(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        done = await h.win()
        await h.rests(done, "succeeded")
        with pytest.raises(NotPossibleError, match="everything it should make is there"):
            await h.operations.edit(done, MENDED)
        vendor.script["key.create.before"] = [RejectedError("no")]
        failed = await h.win("2")
        await h.rests(failed, "rolled_back")
        with pytest.raises(EditError, match=r"there is no field deal\.titel; there are"):
            await h.operations.edit(failed, [Edit("deal.titel", "x")])
        with pytest.raises(NotPossibleError, match="change nothing"):
            await h.operations.edit(failed, [Edit("deal.title", "Deal")])
        h.app.redactor.add("canary-7f31c2")
        with pytest.raises(NotPossibleError, match="secrets"):
            await h.operations.edit(failed, [Edit("deal.title", "canary-7f31c2")])
        vendor.script["hydrate"] = [TransientError("gone")] * 9
        unread = await h.win("3")
        await h.rests(unread, "dead")
        with pytest.raises(NotPossibleError, match="nothing to edit"):
            await h.operations.edit(unread, MENDED)


async def test_what_is_of_the_wrong_kind_is_said_before_and_after(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [RejectedError("no")]
    async with house({"a": leg("key.create")}) as h:
        failed = await h.win()
        await h.rests(failed, "rolled_back")
        wrong = [Edit("deal.title", 7)]
        program = await h.app.programs.get(h.app.loaded.flows["f"].plan_hash)
        shown = await preview(h.app.journal, program, failed, wrong, h.app.redactor)
        assert "deal.title is 7: Input should be a valid string; it was edited so" in (shown.problem or "")
        row = await h.operations.edit(failed, wrong)
        h.app.runner.wake()
        ended = await h.rests(row.id, "dead")
        assert (ended.error["field"], ended.error["message"]) == ("deal.title", shown.problem)
        again = await h.operations.edit(row.id, MENDED)
        h.app.runner.wake()
        await h.rests(again.id, "succeeded")
