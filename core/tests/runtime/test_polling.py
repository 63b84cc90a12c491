"""Polling: each page once, its cursor with it, one process at a time, and a person told where it fails."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from crossdock.journal.base import PollLost
from crossdock.plugins import load_plugins
from crossdock.polling import PATIENCE, SKEW
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import (
    AuthError,
    Connection,
    ConnectionConfig,
    Event,
    EventSpec,
    Polling,
    PollPage,
    PollRequest,
    Record,
    Source,
    TransientError,
    WebhookRequest,
    hookimpl,
)
from scripted import Plugin, Vendor, leg

START = datetime(2026, 11, 26, 9, tzinfo=UTC)


class Ticket(Record):
    id: str


class DeskConfig(ConnectionConfig):
    realm: str = "one"


class DeskConnection(Connection):
    connector = "desk"
    Config = DeskConfig

    @property
    def account(self) -> str:
        return f"desk:{self.config.realm}"


@dataclass
class Desk:
    """What the vendor answers to polls, in turn: pages, errors, or callables that give one; then an empty page."""

    answers: list[Any] = field(default_factory=list)
    asked: list[PollRequest] = field(default_factory=list)


class DeskSource(Source):
    connection_class = DeskConnection
    events = (EventSpec("ticket.made", {"ticket": Ticket}, ("ticket.id",)),)
    polling = Polling(every=timedelta(minutes=1))
    desk: ClassVar[Desk]

    def verify(self, request: Any) -> None:
        """Deliveries come from the test itself."""

    def parse(self, request: Any) -> list[Event]:
        return [ticket(name) for name in json.loads(request.body)]

    def calls_for_poll(self, request: Any) -> bool:
        return "call" in request.query

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {"ticket": Ticket(id=event.subject)}

    async def poll(self, request: PollRequest) -> PollPage:
        self.desk.asked.append(request)
        answer = self.desk.answers.pop(0) if self.desk.answers else PollPage((), f"end {len(self.desk.asked)}")
        if callable(answer):
            answer = await answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


class DeskPlugin:
    @hookimpl
    def crossdock_sources(self) -> list[type[Source]]:
        return [DeskSource]


def ticket(name: str, at: datetime | None = None) -> Event:
    return Event("ticket.made", f"made:{name}", name, {"ticket": {"id": name}}, at)


def page(*names: str, cursor: str, more: bool = False, **kw: Any) -> PollPage:
    return PollPage(tuple(map(ticket, names)), cursor, more, **kw)


@dataclass
class Clock:
    at: datetime = START

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Office:
    app: Crossdock
    desk: Desk
    clock: Clock
    vendor: Vendor
    routing: dict[str, Any]

    async def look(self, **later: float) -> None:
        """Let time pass, and let the poller do what is due."""
        self.clock.at += timedelta(**later)
        await self.app.poller.look()
        await self.app.poller.settle()

    async def tickets(self) -> list[str]:
        page = await self.app.journal.runs(limit=100)
        return sorted(row.key for row in page.items)

    async def ended(self, run: str) -> None:
        async with asyncio.timeout(20):
            while True:
                row = await self.app.journal.run(run)
                if row is not None and row.ended_at is not None:
                    return
                await asyncio.sleep(0.01)

    async def told(self) -> list[str]:
        await self.app.runner._courier.round()
        return [alert.title for alert in self.vendor.alerts]


@pytest.fixture
def desk() -> Desk:
    DeskSource.desk = Desk()
    return DeskSource.desk


@pytest.fixture
def office(desk: Desk, tmp_path: Path) -> Callable[..., Any]:
    """`async with office(poll="60s") as o`: an application that does nothing by itself."""

    @asynccontextmanager
    async def opened(clock: Clock | None = None, owner: str | None = None, **settings: Any) -> AsyncIterator[Office]:
        clock, vendor = clock or Clock(), Vendor()
        routing = {
            "version": 1,
            "connections": {
                "desk": {"connector": "desk", "base_url": "http://127.0.0.1:9"} | settings,
                "v": {"connector": "scripted", "base_url": "http://127.0.0.1:9"},
            },
            "flows": {"f": {"when": "desk.ticket.made", "legs": {"a": leg("key.create", "x")}, "notify": ["v"]}},
        }
        config = tmp_path / "crossdock.yaml"
        config.write_text(json.dumps(routing))
        app = Crossdock(
            Settings(config=config, database_url=f"sqlite:///{tmp_path}/c.db", watch=0),
            env={},
            registry=load_plugins(extra=[Plugin(vendor), DeskPlugin()], entry_points=()),
            clock=clock,
            rng=random.Random(1),
        )
        await app.assemble()
        if owner:
            app.poller._owner = owner
        try:
            yield Office(app, desk, clock, vendor, routing)
        finally:
            await app.stop()

    return opened


async def test_a_source_is_first_polled_after_its_pace_from_when_it_was_first_used(office: Any, desk: Desk) -> None:
    async with office() as o:
        await o.look()
        assert desk.asked == []
        await o.look(seconds=60)
        [asked] = desk.asked
        assert (asked.cursor, asked.since, asked.events) == (None, START - SKEW, frozenset({"ticket.made"}))


async def test_a_start_point_in_the_past_is_read_at_once_and_what_happened_before_it_starts_nothing(
    office: Any, desk: Desk
) -> None:
    old, new = ticket("old", START - timedelta(days=31)), ticket("new", START - timedelta(days=29))
    desk.answers = [PollPage((old, new), "1")]
    async with office(poll={"since": "2026-10-28"}) as o:
        await o.look()
        assert desk.asked[0].since == datetime(2026, 10, 28, tzinfo=UTC)
        assert await o.tickets() == ["new"]


async def test_a_record_that_is_touched_after_its_event_was_forgotten_starts_nothing_anew(
    office: Any, desk: Desk
) -> None:
    won = ticket("1", START)
    async with office(poll={"since": "2026-11-01"}) as o:
        desk.answers = [PollPage((won,), "a")]
        await o.look()
        [run] = (await o.app.journal.runs(limit=10)).items
        await o.app.runner.start()
        await o.ended(run.id)
        o.clock.at += timedelta(days=400)
        assert (await o.app.keeper.round()).events == 1
        desk.answers = [PollPage((won, ticket("2", o.clock.at)), "b")]
        await o.look()
        assert await o.tickets() == ["2"]


async def test_pages_follow_each_other_without_a_pause_and_each_goes_on_where_the_last_one_ended(
    office: Any, desk: Desk
) -> None:
    desk.answers = [page("1", cursor="a", more=True), page("2", cursor="b", more=True), page("3", cursor="c")]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        assert await o.tickets() == ["1", "2", "3"]
        await o.look(seconds=64)
        assert [asked.cursor for asked in desk.asked] == [None, "a", "b", "c"]
        [poll] = await o.app.journal.polls.all()
        assert (poll.cursor, poll.owner, poll.read_at) == ("end 4", None, o.clock.at)


async def test_the_same_event_by_webhook_and_by_poll_is_one_run(office: Any, desk: Desk) -> None:
    desk.answers = [page("1", "2", cursor="a")]
    async with office(poll={"since": "2026-11-01"}) as o:
        taken = await o.app.intake.accept("desk", [ticket("1")], o.app.telemetry.new_trace())
        assert len(taken.runs) == 1
        await o.look()
        assert await o.tickets() == ["1", "2"]
        rows = (await o.app.journal.runs(limit=10)).items
        ways = {row.key: (await o.app.journal.event(row.event_seq)).via for row in rows}
        assert ways == {"1": "webhook", "2": "poll"}


async def test_a_failed_poll_is_asked_again_from_where_it_stood_ever_later(office: Any, desk: Desk) -> None:
    desk.answers = [page("1", cursor="a", more=True), *[TransientError("down")] * 3, page("2", cursor="b")]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        for pause in (5, 10, 20):
            await o.look(seconds=pause - 1)
            before = len(desk.asked)
            await o.look(seconds=1)
            assert len(desk.asked) == before + 1
        assert [asked.cursor for asked in desk.asked] == [None, "a", "a", "a", "a"]
        assert await o.tickets() == ["1", "2"]
        [poll] = await o.app.journal.polls.all()
        assert (poll.failures, poll.failing_since, poll.reason) == (0, None, None)
        assert await o.told() == []


async def test_a_poll_that_fails_for_long_is_told_once_for_each_episode(office: Any, desk: Desk) -> None:
    async with office(poll={"since": "2026-11-01"}) as o:
        for _ in range(2):
            desk.answers = [TransientError("down")] * 100
            told = len(await o.told())
            begun = o.clock.at
            while o.clock.at - begun < PATIENCE + timedelta(minutes=6):
                await o.look(seconds=30)
            assert len(await o.told()) == told + 1
            desk.answers = []
            await o.look(minutes=6)
        assert {title.split(":")[0] for title in await o.told()} == {"connection desk cannot be polled"}


async def test_refused_credentials_are_told_at_once(office: Any, desk: Desk) -> None:
    desk.answers = [AuthError("the token was revoked")]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        assert len(await o.told()) == 1
        assert o.vendor.alerts[0].error["message"] == "the token was revoked"


async def test_what_the_vendor_no_longer_tells_is_told_to_a_person(office: Any, desk: Desk) -> None:
    missed = "changes before 2026-10-27 are not shown any more"
    desk.answers = [page("1", cursor="a", missed=missed)]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        assert (await o.tickets(), len(await o.told())) == (["1"], 1)
        assert o.vendor.alerts[0].error["message"] == missed


async def test_a_source_that_says_there_is_more_and_does_not_move_on_is_no_loop(office: Any, desk: Desk) -> None:
    desk.answers = [page("1", cursor="a", more=True), page(cursor="a", more=True)]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        assert len(desk.asked) == 2
        [poll] = await o.app.journal.polls.all()
        assert (poll.failures, poll.cursor) == (1, "a")


async def test_a_defect_of_the_connector_is_a_failure_and_ends_nothing(office: Any, desk: Desk) -> None:
    desk.answers = [KeyError("id"), page("1", cursor="a")]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        [poll] = await o.app.journal.polls.all()
        assert poll.reason == "the connector failed: KeyError: 'id'"
        await o.look(seconds=5)
        assert await o.tickets() == ["1"]


async def test_two_processes_never_read_one_source_at_once(office: Any, desk: Desk) -> None:
    async with office(poll={"since": "2026-11-01"}) as a, office(clock=a.clock, owner="b") as b:

        async def meanwhile() -> PollPage:
            await b.look()
            return page("1", cursor="a")

        desk.answers = [meanwhile]
        await a.look()
        assert len(desk.asked) == 1
        assert await a.tickets() == ["1"]


async def test_who_was_overtaken_stores_nothing(office: Any, desk: Desk) -> None:
    async with office(poll={"since": "2026-11-01"}) as a, office(clock=a.clock, owner="b") as b:

        async def stands_still() -> PollPage:
            a.clock.at += timedelta(minutes=10)
            desk.answers = [page("theirs", cursor="b")]
            await b.look()
            return page("ours", cursor="a")

        desk.answers = [stands_still]
        await a.look()
        assert await a.tickets() == ["theirs"]
        [poll] = await a.app.journal.polls.all()
        assert poll.cursor == "b"
        with pytest.raises(PollLost):
            await a.app.journal.polls.end(replace(poll, owner="a", fence=0), "c", a.clock.at, [])


async def test_a_webhook_that_calls_for_a_poll_has_it_made_even_while_one_is_under_way(office: Any, desk: Desk) -> None:
    call = WebhookRequest("POST", "/webhooks/desk", {}, b"[]", {"call": "1"})
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        await o.app.intake.receive("desk", call)

        async def called_meanwhile() -> PollPage:
            await o.app.intake.receive("desk", call)
            return page("1", cursor="a")

        desk.answers = [called_meanwhile, page("2", cursor="b")]
        await o.look()
        assert await o.tickets() == ["1"]
        await o.look()
        assert await o.tickets() == ["1", "2"]
        await o.look(seconds=30)
        assert len(desk.asked) == 3


async def test_another_account_begins_anew(office: Any, desk: Desk) -> None:
    desk.answers = [page("1", cursor="a")]
    async with office(poll={"since": "2026-11-01"}) as o:
        await o.look()
        o.routing["connections"]["desk"]["realm"] = "two"
        o.routing["connections"]["desk"]["poll"] = {"since": "2026-11-20"}
        o.app.settings.config.write_text(json.dumps(o.routing))
        assert await o.app.reload() == ()
        await o.look()
        assert (desk.asked[-1].cursor, desk.asked[-1].since.day) == (None, 20)


async def test_a_start_point_that_is_moved_back_is_read_from_and_what_is_known_starts_nothing_again(
    office: Any, desk: Desk
) -> None:
    async with office(poll={"since": "2026-11-20"}) as o:
        desk.answers = [PollPage((ticket("2", datetime(2026, 11, 21, tzinfo=UTC)),), "a")]
        await o.look()
        for since, asked in (("2026-11-22", 1), ("2026-11-01", 2)):
            o.routing["connections"]["desk"]["poll"] = {"since": since}
            o.app.settings.config.write_text(json.dumps(o.routing))
            assert await o.app.reload() == ()
            old, known = ticket("1", datetime(2026, 11, 2, tzinfo=UTC)), ticket("2", datetime(2026, 11, 21, tzinfo=UTC))
            desk.answers = [PollPage((old, known), "b")]
            await o.look()
            assert len(desk.asked) == asked
        assert (desk.asked[-1].cursor, desk.asked[-1].since) == (None, datetime(2026, 11, 1, tzinfo=UTC))
        assert await o.tickets() == ["1", "2"]


async def test_a_source_whose_polling_is_off_or_that_no_flow_needs_is_not_asked(office: Any, desk: Desk) -> None:
    async with office(poll="off") as o:
        await o.look()
        await o.look(hours=1)
        assert (desk.asked, await o.app.journal.polls.all()) == ([], [])
