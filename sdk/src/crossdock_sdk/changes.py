"""Polling by time: a cursor of (instant, id) that survives equal instants, late rows and pages that shift."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from crossdock_sdk import jsonio
from crossdock_sdk.contracts.polling import PollPage, PollRequest
from crossdock_sdk.contracts.source import Event
from crossdock_sdk.errors import TransientError


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a vendor's list of changes: when it changed last, its id, and the event, if it is one."""

    at: datetime
    id: str
    event: Event | None = None


Reader: TypeAlias = Callable[[datetime, str], Awaitable[tuple[Sequence[Change], bool]]]
"""`read(at, id)`: some rows that come after (at, id), in the order of (instant, id), and whether there are more.

With the id `""` the rows at that very instant are included.
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Read up to (at, id) in this round; `newest` is the latest instant that any round has seen.

    `again` is where the next round begins: a row before it can no longer turn up. None until a page has been read that
    may have missed one.
    """

    at: datetime
    id: str
    newest: datetime
    again: datetime | None = None

    @classmethod
    def of(cls, request: PollRequest) -> _Place:
        if request.cursor is None:
            return cls(request.since, "", request.since)
        kept = jsonio.loads(request.cursor)
        again = kept.get("again")
        return cls(
            datetime.fromisoformat(kept["at"]),
            kept["id"],
            datetime.fromisoformat(kept["newest"]),
            datetime.fromisoformat(again) if again else None,
        )

    def encoded(self) -> str:
        kept = {"at": self.at.isoformat(), "id": self.id, "newest": self.newest.isoformat()}
        if self.again is not None:
            kept["again"] = self.again.isoformat()
        return jsonio.dumps(kept).decode()

    def read_to(self, at: datetime, record: str, overlap: timedelta) -> _Place:
        """The place after a page. A row that the page should have held, and that is shown later, is younger than
        `overlap` when the page is read, and so lies after the newest instant seen by then less `overlap`."""
        newest = max(self.newest, at)
        missed = max(self.at, newest - overlap)
        again = missed if self.again is None and missed <= at else self.again
        return _Place(at, record, newest, again)

    def next_round(self, overlap: timedelta, since: datetime) -> _Place:
        begin = min(self.newest - overlap, self.again or self.newest)
        return _Place(max(since, begin), "", self.newest)


async def read_changes(request: PollRequest, read: Reader) -> PollPage:
    """One page of a vendor's changes, for sources whose vendor lists them by the instant of the last change.

    Within a round the place moves on by (instant, id), so rows with equal instants are neither skipped nor read for
    ever, and a row that changes while pages are read moves to a later page. Each round begins `overlap` before the
    newest instant that was seen when the round before it read its first page that a late row may belong to: rounds
    take their time, and a server may be down between two pages. Raises what `read` raises, and `TransientError` if rows
    come that were not asked for.
    """
    place = _Place.of(request)
    rows, more = await read(place.at, place.id)
    reached = (place.at, place.id)
    for row in rows:
        if (row.at, row.id) < (place.at, place.id):
            raise TransientError(
                f"the vendor lists {row.id} at {row.at}, which is before {place.at}: a poll lost its way"
            )
        reached = max(reached, (row.at, row.id))
    if more and reached == (place.at, place.id):
        raise TransientError(f"the vendor says that there are more changes after {place.at}, and shows none")
    events = tuple(row.event for row in rows if row.event is not None and row.at >= request.since)
    after = place.read_to(*reached, request.overlap)
    if more:
        return PollPage(events, after.encoded(), more=True)
    return PollPage(events, after.next_round(request.overlap, request.since).encoded())
