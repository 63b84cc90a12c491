"""Rows that have gathered, by as few statements as may be.

Each statement, and each row that comes back, lends the interpreter's lock to the event loop, and to have it back
costs more than the statement. Such a statement has one line that begins with a parenthesis: the values of a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

MOST = 32
"""Rows by one statement at most: each number of rows is a statement of its own that SQLite has to read."""


@cache
def rows_of(statement: str, rows: int) -> str:
    """The statement for that many rows at once."""
    lines = [", ".join([line] * rows) if line.startswith("(") else line for line in statement.rstrip(";").splitlines()]
    return "\n".join(lines)


def run_rows(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run the statement over all rows; not at all where there are none."""
    for start in range(0, len(rows), MOST):
        _execute(db, statement, rows[start : start + MOST])


def fetch_rows(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What the statement returns over all rows, for each piece of them in turn."""
    found: list[Any] = []
    for start in range(0, len(rows), MOST):
        found += _execute(db, statement, rows[start : start + MOST]).fetchall()
    return found


def _execute(db: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> sqlite3.Cursor:
    return db.execute(rows_of(statement, len(rows)), [value for row in rows for value in row])
