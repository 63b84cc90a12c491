"""Talks: one message for what belongs together, written anew, and nothing of it lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.alerts import Links, outbox, post
from crossdock.config.telling import Telling
from crossdock.courier import PLAIN_ALIKE, Courier
from crossdock.journal.sqlite import SqliteJournal
from crossdock.metrics import RuntimeMetrics
from crossdock.retelling import Retelling, normalised
from crossdock_sdk import Alert, ConversationNotifier, NotFoundError, Notifier, Posted, TransientError

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Board(ConversationNotifier):
    """A notifier that keeps what it shows: `posts` are the messages, by place, each with what it said, newest last."""

    def __init__(self) -> None:
        super().__init__(None)
        self.posts: list[tuple[Posted | None, list[Alert]]] = []
        self.fails = 0
        self.gone = False

    async def post(self, alert: Alert, reply_to: Posted | None) -> Posted:
        self._fail()
        self.posts.append((reply_to, [alert]))
        return {"at": len(self.posts) - 1}

    async def update(self, posted: Posted, alert: Alert) -> None:
        self._fail()
        if self.gone:
            raise NotFoundError("gone")
        self.posts[posted["at"]][1].append(alert)

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise TransientError("later")

    @property
    def titles(self) -> list[str]:
        return [said[-1].title for _, said in self.posts]


class Plain(Notifier):
    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[Alert] = []

    async def notify(self, alert: Alert) -> None:
        self.told.append(alert)


@dataclass
class Office:
    journal: SqliteJournal
    now: datetime = START
    board: Board = field(default_factory=Board)
    plain: Plain = field(default_factory=Plain)
    settings: Telling = field(default_factory=Telling)

    def telling(self, name: str) -> Telling:
        return self.settings

    def notifier(self, name: str) -> Any:
        return self.board if name == "board" else self.plain

    def courier(self) -> Courier:
        """As a process that has just started has it."""
        links = Links("https://ops.example")
        connections: Any = self
        return Courier(self.journal, connections, RuntimeMetrics("0"), lambda: self.now, Retelling(self.journal, links))

    async def dies(self, number: int, notifier: str = "board", message: str = "no item has the SKU 'X-{n}'") -> None:
        await post(self.journal, failed(number, message), (notifier,), self.now)

    async def passes(self, took: timedelta, courier: Courier | None = None) -> None:
        """Let time pass, a second at a time, with the courier at work."""
        courier, until = courier or self.courier(), self.now + took
        while True:
            while await courier.round():
                pass
            if self.now >= until:
                return
            self.now = min(self.now + timedelta(seconds=1), until)

    async def undelivered(self) -> int:
        return await self.count("alerts WHERE due_at IS NOT NULL")

    async def count(self, rows: str) -> int:
        return int(await self.journal._read(lambda db: db.execute(f"SELECT COUNT(*) FROM {rows}").fetchone()[0]))


def failed(number: int, message: str = "no item has the SKU 'X-{n}'") -> Alert:
    return Alert(
        id=f"r{number}:dead:4",
        title=f"f for {number} failed and waits for a person",
        at=START,
        flow="f",
        run=f"r{number}",
        status="dead",
        key=str(number),
        leg="invoice",
        error={"kind": "rejected", "message": message.format(n=number)},
        payload={"sku": number},
        thread=f"r{number}",
    )


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    made: list[Office] = []
    journal = SqliteJournal(tmp_path / "crossdock.db", redact=str, now=lambda: made[0].now)
    made.append(Office(journal))
    await journal.open()
    yield made[0]
    await journal.close()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("no item has the SKU 'A'", "no item has the SKU 'B'", True),
        ("no item has the SKU NOPE-1", "no item has the  SKU NOPE-22", True),
        ("jane@acme.test is no customer", "joe@acme.test is no customer", True),
        ("no item has the SKU 'A'", "no customer has the name 'A'", False),
    ],
)
def test_what_differs_from_run_to_run_does_not_count(one: str, other: str, alike: bool) -> None:
    assert (normalised(one) == normalised(other)) is alike


async def test_the_first_is_posted_at_once_in_full_and_the_others_are_counted(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    (_, [first]) = office.board.posts[0]
    assert first.payload == {"sku": 1}
    for number in range(2, 31):
        await office.dies(number)
    await office.passes(timedelta(seconds=29))
    assert (len(office.board.posts), len(office.board.posts[0][1])) == (1, 1)
    assert await office.undelivered() == 29
    await office.passes(timedelta(seconds=2))
    (_, said) = office.board.posts[0]
    assert len(said) == 2
    assert said[1].title == "30 runs of f alike: failed and waits for a person"
    assert said[1].payload is None
    assert said[1].links["All of them"].startswith("https://ops.example/runs?flow=f&error=rejected&leg=invoice&since=")
    assert await office.undelivered() == 0


async def test_other_failures_are_other_messages(office: Office) -> None:
    await office.dies(1)
    await office.dies(2, message="the customer is locked")
    await office.passes(timedelta(seconds=40))
    assert len(office.board.posts) == 2


async def test_runs_that_wait_for_a_yes_are_each_their_own_message(office: Office) -> None:
    for number in range(3):
        asking = failed(number, "the first 20 of this flow do").model_copy(update={"status": "awaiting_approval"})
        await post(office.journal, asking, ("board",), office.now)
    await office.passes(timedelta())
    assert len(office.board.posts) == 3


async def test_who_is_told_to_wait_beside_others_comes_after_them(office: Office) -> None:
    class Paced(Board):
        last = START - timedelta(seconds=1)
        refused = 0

        async def post(self, alert: Alert, reply_to: Posted | None) -> Posted:
            if office.now - self.last < timedelta(seconds=1):
                self.refused += 1
                raise TransientError("ratelimited", retry_after=1)
            self.last = office.now
            return await super().post(alert, reply_to)

    office.board = board = Paced()
    office.settings = Telling(group="off")
    for number in range(40):
        await office.dies(number)
    await office.passes(timedelta(seconds=60))
    assert len(board.posts) == 40
    assert board.refused < 120


async def test_after_the_window_a_new_message_begins(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta(minutes=11))
    await office.dies(2)
    await office.passes(timedelta())
    assert len(office.board.posts) == 2


async def test_grouping_can_be_switched_off(office: Office) -> None:
    office.settings = Telling(group="off")
    for number in range(5):
        await office.dies(number)
    await office.passes(timedelta())
    assert len(office.board.posts) == 5


async def test_a_thousand_are_one_message_and_few_writings_whoever_delivers(office: Office) -> None:
    couriers = [office.courier(), office.courier()]
    for number in range(1000):
        await office.dies(number)
        if number % 250 == 0:
            await office.passes(timedelta(seconds=10), couriers[number % 2])
            couriers.append(office.courier())
    await office.passes(timedelta(minutes=2))
    (_, said) = office.board.posts[0]
    assert len(office.board.posts) == 1
    assert said[-1].title.startswith("1000 runs of f alike")
    assert len(said) <= 6
    assert await office.undelivered() == 0


async def test_what_the_first_cannot_say_the_others_do_not_wait_for(office: Office) -> None:
    office.board.fails = 10**9
    for number in range(3):
        await office.dies(number)
    await office.passes(timedelta(minutes=11))
    assert await office.undelivered() == 3
    office.board.fails = 0
    await office.passes(timedelta(minutes=25))
    assert await office.undelivered() == 0
    assert office.board.titles[0].startswith("3 runs of f alike")


async def test_what_joins_while_the_message_is_written_is_told_by_the_next(office: Office) -> None:
    class Meanwhile(Board):
        async def update(self, posted: Posted, alert: Alert) -> None:
            if len(self.posts[0][1]) == 1:
                await office.dies(3)
                await office.courier().round()
            await super().update(posted, alert)

    office.board = Meanwhile()
    await office.dies(1)
    await office.passes(timedelta())
    await office.dies(2)
    await office.passes(timedelta(seconds=30))
    assert office.board.titles == ["2 runs of f alike: failed and waits for a person"]
    assert await office.undelivered() == 1
    await office.passes(timedelta(seconds=31))
    assert office.board.titles == ["3 runs of f alike: failed and waits for a person"]
    assert await office.undelivered() == 0


async def test_a_message_that_cannot_be_written_is_written_later(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    await office.dies(2)
    office.board.fails = 3
    await office.passes(timedelta(minutes=3))
    assert await office.undelivered() == 0
    assert office.board.titles == ["2 runs of f alike: failed and waits for a person"]


async def test_what_joined_is_told_even_when_retention_has_taken_the_first(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    await office.dies(2)
    await office.dies(3)
    await office.passes(timedelta())
    await office.journal._write(lambda db: db.execute("DELETE FROM alerts WHERE id LIKE 'r1:%'"))
    await office.passes(timedelta(minutes=1))
    assert office.board.titles == ["2 more: 3 runs of f alike: failed and waits for a person"]
    assert await office.undelivered() == 0


async def test_a_message_that_is_gone_is_posted_anew_for_what_it_has_not_told(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    office.board.gone = True
    await office.dies(2)
    await office.passes(timedelta(minutes=1))
    assert await office.undelivered() == 0
    assert office.board.titles[1] == "2 runs of f alike: failed and waits for a person"


async def test_a_plain_notifier_gets_some_one_by_one_and_then_one_for_the_rest(office: Office) -> None:
    for number in range(50):
        await office.dies(number, "plain")
    await office.passes(timedelta(minutes=9))
    assert len(office.plain.told) == PLAIN_ALIKE
    assert await office.undelivered() == 50 - PLAIN_ALIKE
    await office.passes(timedelta(minutes=2))
    assert len(office.plain.told) == PLAIN_ALIKE + 1
    assert office.plain.told[-1].title.startswith("40 more: 50 runs of f alike")
    assert await office.undelivered() == 0
    assert len({alert.id for alert in office.plain.told}) == PLAIN_ALIKE + 1


async def test_an_alert_of_a_run_that_was_told_of_goes_below_the_first(office: Office) -> None:
    await office.dies(1)
    again = failed(2, "something else").model_copy(update={"thread": "r1"})
    await office.passes(timedelta())
    await post(office.journal, again, ("board",), office.now)
    await office.passes(timedelta())
    assert [reply_to for reply_to, _ in office.board.posts] == [None, {"at": 0}]


def note(thread: str) -> Alert:
    return Alert(id=f"{thread}:recovered:x", title="all is well", severity="info", at=START, thread=thread, flow="f")


async def noted(office: Office, alert: Alert, notifier: str) -> None:
    (entry,) = outbox(alert, (notifier,), office.now, note=True)
    await office.journal.put_alert(entry.id, entry.data, entry.due_at)
    await office.passes(timedelta())


@pytest.mark.parametrize(("notes", "told"), [(True, 2), (False, 1)])
async def test_notes_can_be_left_out(office: Office, notes: bool, told: int) -> None:
    office.settings = Telling(notes=notes)
    await office.dies(1, "plain")
    await office.passes(timedelta())
    await noted(office, note("r1"), "plain")
    assert len(office.plain.told) == told
    assert await office.undelivered() == 0


async def test_a_note_ends_its_thread(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    await noted(office, note("r1"), "board")
    await post(office.journal, failed(9, "else").model_copy(update={"thread": "r1"}), ("board",), office.now)
    await office.passes(timedelta())
    assert [reply_to for reply_to, _ in office.board.posts] == [None, {"at": 0}, None]


async def test_notes_of_many_that_failed_alike_are_no_flood(office: Office) -> None:
    for number in range(40):
        await office.dies(number)
    await office.passes(timedelta(seconds=31))
    for number in range(40):
        await noted(office, note(f"r{number}"), "board")
    await office.passes(timedelta(minutes=1))
    assert len(office.board.posts) == 1
    assert await office.undelivered() == 0


async def test_retention_forgets_talks_and_leaves_what_is_not_told(office: Office) -> None:
    await office.dies(1)
    await office.passes(timedelta())
    await office.dies(2)
    await office.passes(timedelta())
    await office.journal.talks.forget(office.now + timedelta(days=1), office.now)
    assert await office.count("talks") == 1
    await office.passes(timedelta(minutes=1))
    await office.journal.talks.forget(office.now + timedelta(days=1), office.now)
    assert await office.count("talks") == 0
