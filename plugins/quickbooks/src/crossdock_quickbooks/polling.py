"""Polling a company's books: change data capture, and page by page where that has more to tell than it can.

A full reply cannot be asked on: change data capture takes only a beginning, and says nothing of which changes it left
out. Then the same changes are read by queries in the order of the changes, each page from the last change seen. A
record that is changed in between moves to the end of that order and is met again, so nothing is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock_sdk import Event, PollPage, PollRequest, jsonio

from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.events import entities_for, of_record
from crossdock_quickbooks.instants import instant, told_at
from crossdock_quickbooks.notifications import Entity
from crossdock_quickbooks.query import PAGE

REACH = timedelta(days=30) - timedelta(minutes=5)
"""How far back is asked: 30 days are documented, less what our clock and QuickBooks' may differ by."""
_STEP = PAGE // 2
"""Within one second rows can be told apart only by position. Half a page is read twice, so that rows that leave the
second, and let others move up, push none over the edge of a page."""
_ENTITIES: dict[str, Entity] = {"Invoice": "Invoice", "Payment": "Payment"}


@dataclass(frozen=True, slots=True)
class Reading:
    """Where reading an entity page by page goes on: from row `start` of what was changed at `at` or later."""

    entity: Entity
    at: datetime
    start: int = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """All changes up to `seen` are told, but for what `reading` has yet to bring of those since `after`."""

    seen: datetime
    after: datetime | None = None
    reading: tuple[Reading, ...] = ()

    def text(self) -> str:
        left = [[one.entity, one.at.isoformat(), one.start] for one in self.reading]
        after = self.after.isoformat() if self.after else None
        return jsonio.dumps({"seen": self.seen.isoformat(), "after": after, "reading": left}).decode()

    @classmethod
    def of(cls, text: str) -> Cursor | None:
        """The cursor in a text of ours; None for any other."""
        try:
            body = jsonio.loads(text)
            reading = tuple(Reading(_ENTITIES[e], _known(at), int(start)) for e, at, start in body["reading"])
            return cls(_known(body["seen"]), _known(body["after"]) if body["after"] else None, reading)
        except (LookupError, TypeError, ValueError, RecursionError):
            return None


async def page(connection: QuickBooksConnection, request: PollRequest) -> PollPage:
    """One page, by one call to QuickBooks. Raises `ConnectorError`."""
    cursor = Cursor.of(request.cursor) if request.cursor is not None else None
    if request.cursor is not None and cursor is None:
        connection.context.logger.warning("the cursor %.200r is none of QuickBooks'; all is read again", request.cursor)
    if cursor is not None and cursor.reading:
        return await _read_on(connection, request, cursor)
    entities = entities_for(request.events)
    if not entities:
        return PollPage((), (cursor or Cursor(request.since)).text())
    wanted = max(request.since, cursor.seen - request.overlap) if cursor else request.since
    now = connection.context.now()
    after = max(wanted, now - REACH)
    found = await connection.changed(entities, after)
    seen, missed = found.at or now, _missed(wanted, after)
    if found.full:
        reading = tuple(Reading(entity, after.replace(microsecond=0)) for entity in entities)
        return PollPage((), Cursor(seen, after, reading).text(), more=True, missed=missed)
    events = [e for entity in entities for e in _events(connection, request, entity, found.rows[entity], after)]
    return PollPage(_oldest_first(events), Cursor(seen).text(), missed=missed)


async def _read_on(connection: QuickBooksConnection, request: PollRequest, cursor: Cursor) -> PollPage:
    now, *later = cursor.reading
    rows = await connection.changed_from(now.entity, now.at, now.start)
    events = _events(connection, request, now.entity, rows, cursor.after or now.at)
    left = [] if len(rows) < PAGE else [_next(now, rows)]
    going_on = replace(cursor, reading=(*left, *later))
    if not going_on.reading:
        going_on = Cursor(cursor.seen)
    return PollPage(_oldest_first(events), going_on.text(), more=bool(going_on.reading))


def _next(reading: Reading, rows: list[dict[str, Any]]) -> Reading:
    last = told_at(rows[-1])
    if last is not None and last > reading.at:
        return Reading(reading.entity, last)
    return replace(reading, start=reading.start + _STEP)


def _events(
    connection: QuickBooksConnection, request: PollRequest, entity: Entity, rows: list[dict[str, Any]], after: datetime
) -> list[Event]:
    """What flows wait for. A payment that was made before this poll's beginning was told by an earlier one."""
    realm = connection.config.realm_id
    begin = {"Invoice": request.since, "Payment": max(request.since, after)}[entity]
    found: list[Event] = []
    for row in rows:
        at = told_at(row)
        if at is not None:
            found += of_record(entity, row, realm, at)
    first = begin.replace(microsecond=0)
    return [e for e in found if e.type in request.events and e.occurred_at is not None and e.occurred_at >= first]


def _oldest_first(events: list[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.occurred_at or datetime.min.replace(tzinfo=UTC)))


def _missed(wanted: datetime, after: datetime) -> str | None:
    if wanted >= after:
        return None
    lost = f"{wanted.astimezone(UTC):%Y-%m-%d %H:%M} to {after.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"QuickBooks tells of the last 30 days only; look by hand for invoices and payments of {lost}"


def _known(text: Any) -> datetime:
    at = instant(text)
    if at is None:
        raise ValueError(f"{text!r} is no instant")
    return at
