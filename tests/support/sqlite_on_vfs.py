"""The journal's own code on a file system of a test's making: a `sqlite3.Connection` as far as the journal needs one.

Python's `sqlite3` cannot be given a VFS; apsw can. The statements, pragmas and transactions are those of the journal,
the SQLite below them is apsw's.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import apsw
import pytest


class Row(tuple[Any, ...]):  # noqa: SLOT001 - as many kinds as there are lists of names
    """A row by number and by name, as `sqlite3.Row`."""

    names: tuple[str, ...]

    def __getitem__(self, at: Any) -> Any:
        return super().__getitem__(self.names.index(at) if isinstance(at, str) else at)

    def keys(self) -> tuple[str, ...]:
        return self.names


class Cursor:
    """The rows of one statement, all of them read at once."""

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def fetchone(self) -> Row | None:
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return self._rows


class Connection:
    """Opens `uri` through the VFS named `vfs`."""

    row_factory: Any = None

    def __init__(self, uri: str, vfs: str, timeout: float) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._db = _translated(lambda: apsw.Connection(uri, flags=flags, vfs=vfs))
        self._db.set_busy_timeout(round(timeout * 1000))

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    @property
    def total_changes(self) -> int:
        return self._db.total_changes()

    def execute(self, sql: str, values: Any = ()) -> Cursor:
        return _translated(lambda: self._execute(sql, values))

    def executemany(self, sql: str, values: Sequence[Any]) -> None:
        for one in values:
            self.execute(sql, one)

    def close(self) -> None:
        # As `sqlite3`, which says nothing of a last checkpoint that fails.
        with contextlib.suppress(apsw.Error):
            self._db.close()

    def _execute(self, sql: str, values: Any) -> Cursor:
        before = self._db.total_changes()
        cursor = self._db.cursor()
        cursor.row_trace = _named
        rows = list(cursor.execute(sql, values))
        return Cursor(rows, self._db.changes() if self._db.total_changes() != before else 0)


def _named(cursor: apsw.Cursor, row: tuple[Any, ...]) -> Row:
    names = tuple(column[0] for column in cursor.get_description())
    return _kind(names)(row)


@cache
def _kind(names: tuple[str, ...]) -> type[Row]:
    return type("NamedRow", (Row,), {"names": names})


def _translated(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except apsw.Error as error:
        code = getattr(error, "extendedresult", 0)
        kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
        told = kind(str(error))
        told.sqlite_errorcode = code
        raise told from error


def journal_on(vfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, what opens a database through `sqlite3.connect(uri=True)` opens it through this VFS."""

    def connect(database: str, *, timeout: float, **_: Any) -> Connection:
        return Connection(database, vfs, timeout)

    monkeypatch.setattr("crossdock.journal.store.sqlite3.connect", connect)
