"""Many runs, one after the other: each once, at a pace, and no further than it goes well."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from crossdock.actors import at_terminal
from crossdock.bulk import Bulk, BulkError, BulkWorker, Wish
from crossdock.edits import Edit
from crossdock.journal.base import RunFilter
from crossdock.testing import assert_nothing_lost
from crossdock_sdk import RejectedError
from scripted import Stall, leg


def bulk_of(h: Any) -> Bulk:
    return Bulk(h.app.journal, at_terminal("ann"), h.app.now, h.app.rng)


async def failed(h: Any, vendor: Any, count: int, first: int = 0) -> list[str]:
    """So many runs that were rolled back."""
    vendor.script["key.create.before"] = [RejectedError("no")] * count
    runs = [await h.win(str(number)) for number in range(first, first + count)]
    await h.come_to(runs, "rolled_back")
    return runs


async def over(h: Any, job: str, *statuses: str) -> Any:
    """The job once it is done or stopped, and nothing of it is at work."""
    async with asyncio.timeout(30):
        while True:
            found = await h.app.journal.bulk.get(job)
            progress = await h.app.journal.bulk.progress(found)
            if found.status in (statuses or ("done", "stopped")) and not progress.at_work:
                return found, progress
            await asyncio.sleep(0.02)


def wish(**more: Any) -> Wish:
    return Wish("replay", RunFilter(statuses=("rolled_back",)), pace=50, **more)


async def test_all_that_match_are_replayed_once_each(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        runs = await failed(h, vendor, 12)
        replayed = await h.replay(runs[3])
        await h.rests(replayed, "succeeded")
        found = await bulk_of(h).prospect(wish())
        assert (found.fit, found.left_out) == (11, {"rolled_back: replayed or dismissed already": 1})
        assert [row.id for row in found.first][:3] == runs[:3]
        job = await bulk_of(h).begin(wish(why="the vendor is mended"))
        job, progress = await over(h, job.id)
        assert (job.status, progress.total, progress.ended_well, progress.failed) == ("done", 11, 11, 0)
        assert len(vendor.standing) == 12
        acts = (await h.app.journal.audit.page(kind="run", limit=50)).items
        assert {(act.actor, act.via, act.why) for act in acts if act.via == "bulk"} == {
            ("ann", "bulk", "the vendor is mended")
        }
        # What is alike is told together, later than this test lasts.
        await assert_nothing_lost(h.app.journal, {"v": Stall(vendor)}, failing={"v"})


async def test_of_more_than_it_may_take_a_job_takes_the_oldest(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages of the list are newer."""
    monkeypatch.setattr("crossdock.journal.sqlite._MOST_PER_PAGE", 2)
    async with house({"a": leg("key.create")}) as h:
        runs = await failed(h, vendor, 7)
        found = await bulk_of(h).prospect(wish(cap=2))
        assert ([row.id for row in found.first], found.fit, found.partial) == (runs[:2], 2, True)


async def test_it_stops_when_too_many_come_to_nothing_good_and_goes_on_when_told(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house({"a": leg("key.create")}) as h:
        await failed(h, vendor, 10)
        vendor.script["key.create.before"] = [RejectedError("still no")] * 3
        job = await bulk_of(h).begin(wish(stop_after=3))
        job, progress = await over(h, job.id)
        assert (job.status, progress.failed, progress.ended_well) == ("stopped", 3, 0)
        assert job.reason is not None
        assert "3 of 3 came to nothing good" in job.reason
        await bulk_of(h).go_on(job.id)
        again, _ = await over(h, job.id)
        assert again.status == "stopped", "what failed has still failed"
        with pytest.raises(BulkError, match="nothing to stop"):
            await bulk_of(h).stop(job.id)


async def test_one_change_for_all_and_those_it_does_not_fit_are_left_out(
    house: Callable[..., Any], vendor: Any
) -> None:
    async with house({"a": leg("key.create")}) as h:
        vendor.deal = {"title": "Wrong"}
        await failed(h, vendor, 3)
        job = await bulk_of(h).begin(wish(edits=(Edit("deal.title", "Right"),)))
        job, progress = await over(h, job.id)
        assert (progress.ended_well, progress.skipped) == (3, 0)
        assert set(vendor.standing.values()) == {"Right"}
        vendor.deal = {}
        await failed(h, vendor, 2, first=10)
        job = await bulk_of(h).begin(wish(edits=(Edit("deal.nothing", "x"),)))
        job, progress = await over(h, job.id)
        assert (progress.done, progress.skipped) == (0, 2)
        [one, _] = await h.app.journal.bulk.troubles(job)
        assert "there is no field deal.nothing" in (one.told or "")


async def test_asked_twice_under_one_key_it_is_one_job(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        runs = await failed(h, vendor, 3)
        one = await bulk_of(h).begin(wish(runs=tuple(runs)), "k-1")
        two = await bulk_of(h).begin(wish(runs=tuple(runs)), "k-1")
        assert one.id == two.id
        await over(h, one.id)
        assert len(await h.app.journal.bulk.newest()) == 1
        with pytest.raises(BulkError, match="no run that matches"):
            await bulk_of(h).begin(wish(runs=tuple(runs)))


async def test_whoever_takes_over_replays_nothing_twice(house: Callable[..., Any], vendor: Any) -> None:
    """Its performer dies after a replay is stored and before that is noted."""
    async with house({"a": leg("key.create")}) as h:
        await failed(h, vendor, 4)

        class Died(BaseException):
            pass

        async def dies(*_: Any) -> bool:
            raise Died

        worker = BulkWorker(h.app.journal, lambda _: None, h.app.runner.wake, h.app.now, random.Random(1), "dead")
        for task in tuple(h.app._background):
            task.cancel()
        job = await bulk_of(h).begin(wish())
        real, h.app.journal.bulk.note = h.app.journal.bulk.note, dies
        with pytest.raises(Died):
            await worker.round()
        h.app.journal.bulk.note = real
        claimed = await h.app.journal.bulk.get(job.id)
        await h.app.journal.bulk.leave(claimed)  # as its lease's end would
        assert await worker.round()
        job, progress = await over(h, job.id)
        assert (progress.done, progress.skipped, progress.ended_well) == (4, 0, 4)
        assert len(vendor.standing) == 4


async def test_a_stopped_job_begins_no_more(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        await failed(h, vendor, 20)
        job = await bulk_of(h).begin(Wish("replay", RunFilter(statuses=("rolled_back",)), pace=5))
        stopped = await bulk_of(h).stop(job.id, "too early")
        assert stopped.reason == "stopped by ann: too early"
        job, progress = await over(h, job.id)
        assert progress.done <= 1
        await bulk_of(h).go_on(job.id)
        async with asyncio.timeout(20):
            while (await h.app.journal.bulk.progress(job)).done <= progress.done:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await bulk_of(h).stop(job.id)
