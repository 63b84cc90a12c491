"""Webhooks that were registered from here, as the journal keeps them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from crossdock.journal.codec import instant, instant_or_none, micros
from crossdock.journal.statements import load

T = TypeVar("T")
_SQL = load("hooks")


@dataclass(frozen=True, slots=True)
class StoredHook:
    """One webhook. `secret` is what a handshake agreed, encrypted; `pending_until` None: it is registered.

    `url` is without the query that carries `nonce`; `subscription` is the vendor's id.
    """

    connection: str
    nonce: str
    topic: str
    url: str
    created_at: datetime
    subscription: str | None = None
    secret: bytes | None = field(default=None, repr=False)
    pending_until: datetime | None = None
    registered_at: datetime | None = None

    def expects(self, now: datetime) -> bool:
        """Whether its registration is under way, so that a handshake may come."""
        return self.pending_until is not None and now < self.pending_until

    def live(self, now: datetime) -> bool:
        """Whether its secret may open a delivery: the first may come before the vendor's yes has."""
        return self.registered_at is not None or self.expects(now)


@dataclass(frozen=True, slots=True)
class Registered:
    """How many webhooks of a connection are registered, and when the newest was."""

    number: int
    at: datetime


class Write(Protocol):
    """One durable transaction."""

    async def __call__(self, unit: Callable[[sqlite3.Connection], T], /) -> T: ...


class Read(Protocol):
    """One read of what is committed."""

    async def __call__(self, work: Callable[..., T], /, *values: Any) -> T: ...


class Hooks:
    """The rows of registrations, under way and done. Raises `JournalError` as the journal does."""

    def __init__(self, write: Write, read: Read) -> None:
        self._write = write
        self._read = read

    async def begin(self, connection: str, nonce: str, topic: str, url: str, until: datetime, now: datetime) -> None:
        """Note that a registration is under way, before the vendor is asked."""
        row = {"connection": connection, "nonce": nonce, "topic": topic, "url": url}
        values = row | {"pending_until": micros(until), "now": micros(now)}
        await self._write(partial(_run, statement="begin_hook", values=values))

    async def agree(self, connection: str, nonce: str, secret: bytes | None, now: datetime) -> bool:
        """Store what a handshake brought; False if no such registration is under way, or has its secret already."""
        values = {"connection": connection, "nonce": nonce, "secret": secret, "now": micros(now)}
        return await self._write(partial(_changed, statement="agree_hook", values=values))

    async def finish(self, nonce: str, subscription: str | None, now: datetime, *, needs_secret: bool) -> bool:
        """Note that the vendor has accepted it; False, and nothing, if no handshake brought the secret it needs."""
        values = {"nonce": nonce, "subscription": subscription, "now": micros(now), "needs_secret": needs_secret}
        return await self._write(partial(_changed, statement="finish_hook", values=values))

    async def drop(self, nonces: Iterable[str]) -> None:
        """Delete these, with their secrets."""
        await self._write(partial(_drop, nonces=tuple(nonces)))

    async def of(self, connection: str) -> list[StoredHook]:
        """All of a connection, newest first."""
        return await self._read(_of, connection)

    async def registered(self) -> dict[str, Registered]:
        """What is registered, by connection."""
        return await self._read(_registered)

    async def forget(self, pending_before: datetime) -> None:
        """Delete registrations that were never finished and whose time was up by then."""
        await self._write(partial(_run, statement="forget_hooks", values={"before": micros(pending_before)}))


def _run(db: sqlite3.Connection, statement: str, values: dict[str, Any]) -> None:
    db.execute(_SQL[statement], values)


def _changed(db: sqlite3.Connection, statement: str, values: dict[str, Any]) -> bool:
    return db.execute(_SQL[statement], values).fetchone() is not None


def _drop(db: sqlite3.Connection, nonces: tuple[str, ...]) -> None:
    for nonce in nonces:
        db.execute(_SQL["drop_hook"], (nonce,))


def _of(db: sqlite3.Connection, connection: str) -> list[StoredHook]:
    return [_hook(row) for row in db.execute(_SQL["hooks_of"], (connection,)).fetchall()]


def _hook(row: sqlite3.Row) -> StoredHook:
    return StoredHook(
        connection=row["connection"],
        nonce=row["nonce"],
        topic=row["topic"],
        url=row["url"],
        created_at=instant(row["created_at"]),
        subscription=row["subscription"],
        secret=row["secret"],
        pending_until=instant_or_none(row["pending_until"]),
        registered_at=instant_or_none(row["registered_at"]),
    )


def _registered(db: sqlite3.Connection) -> dict[str, Registered]:
    rows = db.execute(_SQL["registered_hooks"]).fetchall()
    return {row["connection"]: Registered(row["number"], instant(row["registered_at"])) for row in rows}
