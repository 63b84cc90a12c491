"""Runs by their words, by the key, or by the beginning of the id, in the order of arrival, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from crossdock_sdk import jsonio

from crossdock.journal.statements import load
from crossdock.journal.words import Query

_SQL = load("listing")
MOST_EXAMINED = 5_000
"""Candidates that one page looks at, at most."""
_FEW = 500
"""So many are looked at first: of a common word the newest are enough."""
MOST_BEGINNINGS = 50_000
"""Words that begin alike, at most, that are all read; beyond that the newest runs are."""
_BEYOND = "\U0010ffff"
_NEXT = "\0"

Place: TypeAlias = tuple[int, int]
"""When a run was created, and its number. Where the order is that of arrival, only the number counts."""


def find(db: sqlite3.Connection, query: Query, values: dict[str, Any]) -> tuple[Sequence[sqlite3.Row], Place | None]:
    """Rows before `no` of `values`, and how far the search came where it was broken off."""
    rows, end = _among(db, query, values, _FEW)
    if end and len(rows) < values["limit"]:
        rows, end = _among(db, query, values, MOST_EXAMINED)
    return rows, (0, end) if end and len(rows) < values["limit"] else None


def _among(
    db: sqlite3.Connection, query: Query, values: dict[str, Any], most: int
) -> tuple[Sequence[sqlite3.Row], int]:
    """Rows of the newest candidates, and the number down to which these are all; 0: to the end."""
    bounds = {"no": values["no"], "most": most, "text": values["text"], "id": query.id}
    found, end = _with_words(db, query, bounds)
    named = ["runs_by_key"] if query.id is None else ["runs_by_key", "runs_by_id"]
    for statement in named:
        numbers = [row["no"] for row in db.execute(_SQL[statement], bounds).fetchall()]
        found |= set(numbers)
        if len(numbers) == most:
            end = max(end, min(numbers))
    newest = sorted((no for no in found if no >= end), reverse=True)
    return matching(db, newest, query, values), end


def matching(
    db: sqlite3.Connection, numbers: Sequence[int], query: Query | None, values: dict[str, Any]
) -> Sequence[sqlite3.Row]:
    """Of these runs, in their order, those that are all of what is wanted."""
    given = {"nos": jsonio.dumps(numbers).decode(), "marks": None, "id": None}
    if query is not None:
        given |= {"marks": _json(query.marks), "id": query.id}
    return db.execute(_SQL["matching"], values | given).fetchall()


def _with_words(db: sqlite3.Connection, query: Query, bounds: dict[str, Any]) -> tuple[set[int], int]:
    """Candidates that have the rarest of the words, and the number down to which they are all; 0: to the end."""
    choices = [(word, word + _NEXT, "runs_with_word") for word in query.words]
    if query.beginning is not None:
        choices.append((query.beginning, query.beginning + _BEYOND, "runs_with_beginning"))
    if not choices:
        return set(), 0
    counted = [(_count(db, word, beyond), word, beyond, how) for word, beyond, how in choices]
    number, word, beyond, how = min(counted)
    if number >= MOST_BEGINNINGS and how == "runs_with_beginning":
        # So many words begin like this that the newest runs have some of them.
        return _among_newest(db, query, bounds)
    rows = db.execute(_SQL[how], bounds | {"word": word, "beyond": beyond}).fetchall()
    return {row["run_no"] for row in rows}, rows[-1]["run_no"] if len(rows) == bounds["most"] else 0


def _among_newest(db: sqlite3.Connection, query: Query, bounds: dict[str, Any]) -> tuple[set[int], int]:
    end, examined = db.execute(_SQL["end_of_documents_before"], bounds).fetchone()
    rows = db.execute(_SQL["documents_before"], bounds | {"marks": _json(query.marks)}).fetchall()
    return {row["run_no"] for row in rows}, end if examined == bounds["most"] else 0


def _count(db: sqlite3.Connection, word: str, beyond: str) -> int:
    values = {"word": word, "beyond": beyond, "most": MOST_BEGINNINGS}
    return int(db.execute(_SQL["count_word"], values).fetchone()[0])


def _json(value: Any) -> str:
    return jsonio.dumps(value).decode()
