"""Polling by time, against a vendor whose rows change, appear late and share instants while they are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from crossdock_sdk import Change, Event, PollPage, PollRequest, TransientError, read_changes
from hypothesis import example, given
from hypothesis import strategies as st

START = datetime(2026, 11, 26, tzinfo=UTC)
OVERLAP = timedelta(seconds=5)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


class Vendor:
    """Lists records by the instant of their last change; a change may be shown some seconds after it was made."""

    def __init__(self, page: int) -> None:
        self.page = page
        self.now = 0
        self.rows: dict[str, tuple[datetime, int]] = {}
        """Id → when it changed last, and when it is shown."""

    def change(self, record: str, lag: int) -> None:
        self.rows[record] = (at(self.now), self.now + lag)

    async def read(self, after: datetime, record: str) -> tuple[Sequence[Change], bool]:
        shown = sorted((when, name) for name, (when, seen) in self.rows.items() if seen <= self.now)
        left = [(when, name) for when, name in shown if (when, name) > (after, record)]
        return [
            Change(when, name, Event("changed", f"{name}:{when.isoformat()}", name, {}))
            for when, name in left[: self.page]
        ], len(left) > self.page


async def one_page(vendor: Vendor, cursor: str | None) -> PollPage:
    return await read_changes(PollRequest(cursor, START, OVERLAP, frozenset({"changed"})), vendor.read)


steps = st.one_of(
    st.tuples(st.just("change"), st.sampled_from("abcdefgh"), st.integers(0, 4)),
    st.tuples(st.just("pass"), st.just(""), st.integers(1, 3)),
    st.tuples(st.just("poll"), st.just(""), st.just(0)),
)


LATE_ROW_OF_A_LONG_ROUND = [
    *(("change", name, lag) for name, lag in (("a", 1), ("b", 0), ("c", 0))),
    ("poll", "", 0),
    ("pass", "", 6),
    ("change", "b", 0),
]


@given(st.lists(steps, max_size=60), st.integers(1, 4))
@example(LATE_ROW_OF_A_LONG_ROUND, 1)
async def test_every_change_at_rest_is_told_whatever_happens_while_pages_are_read(
    script: list[tuple[str, str, int]], page: int
) -> None:
    vendor = Vendor(page)
    told: set[str] = set()
    cursor: str | None = None
    for what, record, number in script:
        if what == "change":
            vendor.change(record, number)
        elif what == "pass":
            vendor.now += number
        else:
            got = await one_page(vendor, cursor)
            cursor = got.cursor
            told |= {event.id for event in got.events}
    vendor.now += 5
    more = True
    while more:
        got = await one_page(vendor, cursor)
        cursor, more = got.cursor, got.more
        told |= {event.id for event in got.events}
    got = await one_page(vendor, cursor)
    while got.more:
        told |= {event.id for event in got.events}
        got = await one_page(vendor, got.cursor)
    told |= {event.id for event in got.events}
    assert {f"{name}:{when.isoformat()}" for name, (when, _) in vendor.rows.items()} <= told


async def test_what_was_before_the_start_point_is_not_told_however_far_the_overlap_goes() -> None:
    vendor = Vendor(page=10)
    vendor.rows = {"old": (START - timedelta(seconds=1), 0), "new": (START, 0)}
    first = await one_page(vendor, None)
    again = await one_page(vendor, first.cursor)
    assert [[e.subject for e in page.events] for page in (first, again)] == [["new"], ["new"]]


async def test_a_vendor_that_repeats_a_full_page_for_ever_is_an_error_and_no_loop() -> None:
    async def stuck(after: datetime, record: str) -> tuple[Sequence[Change], bool]:
        return [], True

    with pytest.raises(TransientError, match="shows none"):
        await read_changes(PollRequest(None, START, OVERLAP, frozenset()), stuck)


async def test_rows_that_were_not_asked_for_are_an_error() -> None:
    async def lost(after: datetime, record: str) -> tuple[Sequence[Change], bool]:
        return [Change(after - timedelta(days=1), "a")], False

    with pytest.raises(TransientError, match="before"):
        await read_changes(PollRequest(None, START, OVERLAP, frozenset()), lost)
