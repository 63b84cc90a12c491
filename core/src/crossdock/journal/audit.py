"""What people did, as the journal keeps it: written in the same transaction as what it did."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from crossdock_sdk import jsonio

from crossdock.actors import Actor
from crossdock.journal.codec import JsonText, instant, micros
from crossdock.journal.cursors import Cursors
from crossdock.journal.hooks import Read, Write
from crossdock.journal.statements import load

_SQL = load("audit")
_NEWEST = 2**63 - 1
ActRow: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did: `action` (such as `replay`) to the `subject` of a `kind` (such as `run`).

    `before` and `after` are what it changed, plain data; `why` is in the person's words.
    """

    at: datetime
    by: Actor
    action: str
    kind: str
    subject: str
    why: str | None = None
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class StoredAct:
    """An act as it was noted. `actor` is a name, which may be nobody's any more."""

    no: int
    at: datetime
    actor: str
    via: str
    action: str
    kind: str
    subject: str
    why: str | None
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ActPage:
    """Acts, newest first; `next_cursor` leads to older ones."""

    items: tuple[StoredAct, ...]
    next_cursor: str | None


class Audit:
    """The acts of people. Raises `JournalError` as the journal does."""

    def __init__(self, write: Write, read: Read, json: JsonText, cursors: Callable[[], Cursors]) -> None:
        self._write = write
        self._read = read
        self._json = json
        self._cursors = cursors

    async def note(self, act: Act) -> None:
        """Store an act that changes nothing else in the journal."""
        await self._write(partial(insert_act, act=self.row(act)))

    async def page(
        self,
        *,
        actor: str | None = None,
        kind: str | None = None,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ActPage:
        """Acts, newest first: all, or by one person, or on one kind of thing, or on one `subject` of a `kind`.

        Raises `InvalidCursor` for a cursor not given out for these filters.
        """
        filters = {"actor": actor, "kind": kind, "subject": subject}
        before = _NEWEST if cursor is None else self._cursors().read(cursor, filters)
        found = await self._read(_page, filters, before, limit)
        shown = found[:limit]
        more = self._cursors().write(shown[-1].no, filters) if len(found) > limit else None
        return ActPage(tuple(shown), more)

    def row(self, act: Act) -> ActRow:
        """The act as its row is written, fixed before the writer sees it."""
        return {
            "at": micros(act.at),
            "actor": act.by.name,
            "via": act.by.via,
            "action": act.action,
            "kind": act.kind,
            "subject": act.subject,
            "why": None if act.why is None else jsonio.loads(self._json(act.why)),
            "before": None if act.before is None else self._json(act.before),
            "after": None if act.after is None else self._json(act.after),
        }


def insert_act(db: sqlite3.Connection, act: ActRow) -> None:
    """Note an act within a larger unit."""
    db.execute(_SQL["note_act"], act)


def empty_acts(db: sqlite3.Connection, run_id: str) -> None:
    """Remove what acts on a run tell of its payload."""
    db.execute(_SQL["empty_acts"], (run_id,))


def _page(db: sqlite3.Connection, filters: Mapping[str, str | None], before: int, limit: int) -> list[StoredAct]:
    rows = db.execute(_SQL[_listing(filters)], {**filters, "older_than": before, "limit": limit + 1}).fetchall()
    return [stored_act(row) for row in rows]


def _listing(filters: Mapping[str, str | None]) -> str:
    if filters["actor"] is not None:
        return "acts_of"
    if filters["kind"] is None:
        return "acts"
    return "acts_on_kind" if filters["subject"] is None else "acts_on"


def stored_act(row: sqlite3.Row) -> StoredAct:
    known: dict[str, Any] = {name: row[name] for name in ("no", "actor", "via", "action", "kind", "subject", "why")}
    told: dict[str, Any] = {
        name: None if row[name] is None else jsonio.loads(row[name]) for name in ("before", "after")
    }
    return StoredAct(at=instant(row["at"]), **known, **told)
