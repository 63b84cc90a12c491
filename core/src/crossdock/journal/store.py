"""Connections to one SQLite file: opened, set up, and checked to be set up so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from crossdock.journal.errors import JournalError, JournalFull
from crossdock.journal.statements import load, split

T = TypeVar("T")
_SQL = load("store")
_SYNCHRONOUS_FULL = 2
_GLANCE = 0.0003
"""Seconds between two looks whether another process is done; a commit takes a few milliseconds."""


class Store(aiosqlite.Connection):
    """An aiosqlite connection that does a whole piece of work in one hop to its thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # A store that nobody closed must not keep the process from ending.
        self._thread.daemon = True

    async def perform(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` with the sqlite3 connection, in the connection's thread."""
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return result

    async def over(self) -> None:
        """Wait for the thread of a connection that was never made; aiosqlite only tells it to end."""
        await asyncio.to_thread(self._thread.join)


async def connect_writer(path: Path, busy: timedelta) -> Store:
    """A connection that may write; makes the file, for its owner's eyes only, if there is none.

    `busy` is for setting it up. It waits for nobody after that but by `begin`.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise JournalError(f"cannot open the database {path}: {error.strerror}; check the path and rights") from error
    return await _connect(path, "rw", busy, timedelta())


async def connect_reader(path: Path, busy: timedelta) -> Store:
    """A connection that cannot write, and so never makes the writer wait."""
    return await _connect(path, "ro", busy, busy)


async def _connect(path: Path, mode: str, busy: timedelta, patience: timedelta) -> Store:
    def connector() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            timeout=patience.total_seconds(),
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=True,
        )

    store = Store(connector)
    try:
        await store
    except sqlite3.Error as error:
        await store.over()
        raise explain(error) from error
    try:
        await _set_up_in_turn(store, busy, writable=mode == "rw")
    except sqlite3.Error as error:
        await store.close()
        raise explain(error) from error
    except BaseException:
        await store.close()
        raise
    return store


async def _set_up_in_turn(store: Store, busy: timedelta, *, writable: bool) -> None:
    """SQLite does not wait for its turn to switch a new file to WAL, so two that open it at once are told here."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + busy.total_seconds()
    while True:
        try:
            await store.perform(lambda db: set_up(db, writable=writable))
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or clock.time() > deadline:
                raise
            await asyncio.sleep(0.01)
        else:
            return


def set_up(db: sqlite3.Connection, *, writable: bool) -> None:
    """Set what durability rests on, and read it back."""
    db.row_factory = sqlite3.Row
    for statement in split(_SQL["pragmas" if writable else "reader_pragmas"]):
        db.execute(statement)
    pragmas = read_pragmas(db)
    wanted = {"journal_mode": "wal", "synchronous": _SYNCHRONOUS_FULL, "foreign_keys": 1}
    for name, value in (wanted | {"query_only": 0 if writable else 1}).items():
        if pragmas[name] != value:
            raise JournalError(
                f"the database has {name}={pragmas[name]} where {value} is needed; keep it on a local disk"
            )


def read_pragmas(db: sqlite3.Connection) -> dict[str, Any]:
    """The settings that durability rests on, as this connection has them."""
    found: dict[str, Any] = {}
    for statement in split(_SQL["read_pragmas"]):
        found[statement.removeprefix("PRAGMA ").rstrip(";")] = db.execute(statement).fetchone()[0]
    return found


def explain(error: sqlite3.Error) -> JournalError:
    """The error as one line for a person."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalFull("the disk (or the database's size limit) is full; nothing was written; free some space")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return JournalError("another process kept the database locked for too long; nothing was written; try again")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return JournalError(f"the database refused a row: {error}; nothing was written")
    if code == sqlite3.SQLITE_CORRUPT or code == sqlite3.SQLITE_NOTADB:
        return JournalError(f"the database file is damaged: {error}; restore a backup")
    return JournalError(f"the database failed: {error}")


def begin(db: sqlite3.Connection, patience: timedelta) -> None:
    """Begin to write, in turn with other processes; raises SQLite's error when `patience` is over.

    SQLite's own wait looks again after 1, 2, 5, … 100 ms: of two processes with much to write each would sleep while
    nobody writes.
    """
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            db.execute(_SQL["begin"])
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_GLANCE)
        else:
            return


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def roll_back(db: sqlite3.Connection) -> None:
    """Leave the transaction, if SQLite has not left it by itself."""
    if db.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            db.execute(_SQL["rollback"])
