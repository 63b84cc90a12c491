"""What tells whether all is well, beside the runs themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from crossdock.journal.codec import instant
from crossdock.journal.statements import load

T = TypeVar("T")
_SQL = load("condition")
_RECENT = 5000
"""Among so many of the newest events it is looked what webhooks brought: to look at all would take too long."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The alerts that a notifier has not taken yet: how many, and since when the oldest waits."""

    notifier: str
    number: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class PutOff:
    """A run that is put off again and again, and why."""

    id: str
    flow: str
    message: str


class Read(Protocol):
    """One read of what is committed."""

    async def __call__(self, work: Callable[..., T], /, *values: Any) -> T: ...


class Condition:
    """Reads that no run needs. Raises `JournalError` as the journal does."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def undelivered(self) -> list[Undelivered]:
        """Alerts that have not arrived, by notifier."""
        return await self._read(_undelivered)

    async def put_off(self, limit: int = 20) -> list[PutOff]:
        """Runs that need what is not configured or installed, or over which the runtime fails; oldest first."""
        return await self._read(_put_off, limit)

    async def heard(self) -> dict[str, datetime]:
        """When a webhook last brought an event, by connection, as far as the newest events tell."""
        return await self._read(_heard)


def _undelivered(db: sqlite3.Connection) -> list[Undelivered]:
    rows = db.execute(_SQL["undelivered"]).fetchall()
    return [Undelivered(row["notifier"], row["number"], datetime.fromisoformat(row["oldest"])) for row in rows]


def _put_off(db: sqlite3.Connection, limit: int) -> list[PutOff]:
    rows = db.execute(_SQL["put_off"], (limit,)).fetchall()
    return [PutOff(row["id"], row["flow"], row["message"] or "") for row in rows]


def _heard(db: sqlite3.Connection) -> dict[str, datetime]:
    return {row["connection"]: instant(row["received_at"]) for row in db.execute(_SQL["heard"], (_RECENT,)).fetchall()}
