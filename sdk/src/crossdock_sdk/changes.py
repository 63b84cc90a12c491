"""Polling by time: a cursor of (instant, id) that survives equal instants, late rows and pages that shift."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    """Read up to (at, id) in this round; `newest` is the latest instant that any round has seen."""

    at: datetime
    id: str
    newest: datetime

    @classmethod
    def of(cls, request: PollRequest) -> _Place:
        if request.cursor is None:
            return cls(request.since, "", request.since)
        kept = jsonio.loads(request.cursor)
        return cls(datetime.fromisoformat(kept["at"]), kept["id"], datetime.fromisoformat(kept["newest"]))

    def encoded(self) -> str:
        kept = {"at": self.at.isoformat(), "id": self.id, "newest": self.newest.isoformat()}
        return jsonio.dumps(kept).decode()


async def read_changes(request: PollRequest, read: Reader) -> PollPage:
    """One page of a vendor's changes, for sources whose vendor lists them by the instant of the last change.

    Within a round the place moves on by (instant, id), so rows with equal instants are neither skipped nor read for
    ever, and a row that changes while pages are read moves to a later page. Each round begins `overlap` before the
    newest instant seen, for rows that the vendor shows late. Raises what `read` raises, and `TransientError` if rows
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
    newest = max(place.newest, reached[0])
    if more and reached == (place.at, place.id):
        raise TransientError(f"the vendor says that there are more changes after {place.at}, and shows none")
    events = tuple(row.event for row in rows if row.event is not None and row.at >= request.since)
    if more:
        return PollPage(events, _Place(*reached, newest).encoded(), more=True)
    return PollPage(events, _Place(max(request.since, newest - request.overlap), "", newest).encoded())
