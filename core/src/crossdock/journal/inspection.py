"""A look at a database file from outside: nothing is written, made or brought up to date."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from crossdock.journal.migrate import shipped
from crossdock.journal.statements import load
from crossdock.journal.store import explain

_STORE, _SQL = load("store"), load("condition")
_OPCODES = 10_000
"""So many steps of SQLite's machine pass between two looks at the clock: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`schema` counts the migrations that the file has, `known` those of this code; `foreign`: it is another program's.

    `damage` is what SQLite's quick check found; it was `finished`, or its time was up before.
    """

    schema: int
    known: int
    foreign: bool
    damage: tuple[str, ...]
    finished: bool

    @property
    def current(self) -> bool:
        """Whether the file can be opened without being changed."""
        return self.schema == self.known and not self.foreign and not self.damage


def inspect(path: Path, seconds: float) -> Inspection:
    """Look at a file, and check its pages for at most so long. Blocks. Raises `JournalError`."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            has_schema = db.execute(_STORE["has_migrations"]).fetchone() is not None
            schema = len(db.execute(_STORE["applied_migrations"]).fetchall()) if has_schema else 0
            foreign = not has_schema and db.execute(_STORE["other_tables"]).fetchone() is not None
            damage, finished = _checked(db, seconds)
    except sqlite3.Error as error:
        raise explain(error) from error
    return Inspection(schema, len(shipped()), foreign, damage, finished)


def _checked(db: sqlite3.Connection, seconds: float) -> tuple[tuple[str, ...], bool]:
    deadline = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > deadline, _OPCODES)
    try:
        told = [str(row[0]) for row in db.execute(_SQL["quick_check"]).fetchall()]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return (), False
    finally:
        db.set_progress_handler(None, 0)
    return tuple(line for line in told if line != "ok"), True
