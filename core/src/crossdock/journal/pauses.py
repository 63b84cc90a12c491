"""What a person has stopped for a while, as the journal keeps it, for all processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from crossdock.journal.audit import Act, ActRow, insert_act
from crossdock.journal.codec import instant, micros
from crossdock.journal.hooks import Read, Write
from crossdock.journal.rows import connection_wait
from crossdock.journal.statements import load

_SQL = load("pauses")
_DESK = load("desk")
_MICROSECOND = timedelta(microseconds=1)
FLOW, CONNECTION = "flow", "connection"


@dataclass(frozen=True, slots=True)
class Pause:
    """A flow whose runs are not performed, or a connection that is not used; `why` in the person's words."""

    kind: str
    name: str
    actor: str
    why: str | None
    since: datetime


class Pauses:
    """Pauses of flows and connections. Raises `JournalError` as the journal does."""

    def __init__(
        self, write: Write, read: Read, row: Callable[[Act], ActRow], gap: timedelta, spread: timedelta
    ) -> None:
        self._write = write
        self._read = read
        self._row = row
        self._pace = {"gap": gap // _MICROSECOND, "spread": spread // _MICROSECOND}

    async def pause(self, act: Act) -> bool:
        """Stop what the act is about; False, and nothing, if it is stopped already."""
        row = self._row(act)
        values = {"kind": act.kind, "name": act.subject, "actor": row["actor"], "why": row["why"], "since": row["at"]}
        return await self._write(partial(_pause, values=values, act=row))

    async def resume(self, act: Act) -> bool:
        """Let it go on, what has gathered a little apart; False, and nothing, if it is not stopped."""
        values = {"kind": act.kind, "name": act.subject, "now": micros(act.at)} | self._pace
        return await self._write(partial(_resume, values=values, act=self._row(act)))

    async def all(self) -> list[Pause]:
        """All of them."""
        return await self._read(_all)


def is_paused(db: sqlite3.Connection, connection: str) -> bool:
    """Whether a person has stopped a connection."""
    return db.execute(_SQL["is_paused"], (connection,)).fetchone() is not None


def _pause(db: sqlite3.Connection, values: dict[str, Any], act: ActRow) -> bool:
    if db.execute(_SQL["pause"], values).fetchone() is None:
        return False
    insert_act(db, act)
    return True


def _resume(db: sqlite3.Connection, values: dict[str, Any], act: ActRow) -> bool:
    if db.execute(_SQL["resume"], values).fetchone() is None:
        return False
    if values["kind"] == FLOW:
        db.execute(_SQL["ready_of_flow"], values | {"flow": values["name"]})
    else:
        db.execute(_DESK["wake_spread"], values | {"waits_for": connection_wait(values["name"])})
    insert_act(db, act)
    return True


def _all(db: sqlite3.Connection) -> list[Pause]:
    rows = db.execute(_SQL["pauses"]).fetchall()
    return [Pause(row["kind"], row["name"], row["actor"], row["why"], instant(row["since"])) for row in rows]
