"""Lists of runs by what is wanted of them, newest first, without ever reading through all runs.

Where an index has all that is wanted, the list is merged from its arms (`sql/listing.sql`): one for each status, or for
each place where runs stopped, that there is. A key, a replay and words give candidates, of which so many are looked at;
a page that ends there is `partial`, and its cursor goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.codec import run_brief, run_row
from crossdock.journal.cursors import Cursors
from crossdock.journal.filters import LAST, RunFilter
from crossdock.journal.finding import MOST_EXAMINED, Place, find, matching
from crossdock.journal.rows import Item, Page, RunBrief, RunRow
from crossdock.journal.statements import load
from crossdock.journal.words import Query, asked

_SQL = load("listing")
_STORE = load("store")


def runs(
    db: sqlite3.Connection,
    cursors: Cursors,
    wanted: RunFilter,
    limit: int,
    cursor: str | None,
    read: Callable[[sqlite3.Connection, Sequence[int]], Iterable[Item]],
) -> Page[Item]:
    """One page, all of it of one instant, with what `read` finds of each run. Raises `InvalidCursor`."""
    scope = wanted.values()
    start = (LAST, LAST) if cursor is None else cursors.read_at(cursor, scope)
    db.execute(_STORE["begin_reading"])
    try:
        places, broken_off = _places(db, wanted, scope, start, limit + 1)
        shown = tuple(read(db, [place["no"] for place in places[:limit]]))
    finally:
        db.execute(_STORE["rollback"])
    if len(places) > limit:
        last = places[limit - 1]
        return Page(shown, cursors.write_at(last["created_at"], last["no"], scope))
    if broken_off is None:
        return Page(shown, None)
    return Page(shown, cursors.write_at(*broken_off, scope), partial=True)


def whole(db: sqlite3.Connection, numbers: Sequence[int]) -> Iterable[RunRow]:
    """All of each run."""
    return map(run_row, _read(db, "whole", numbers))


def brief(db: sqlite3.Connection, numbers: Sequence[int]) -> Iterable[RunBrief]:
    """No more of each than what may be done to it."""
    return map(run_brief, _read(db, "brief", numbers))


def _read(db: sqlite3.Connection, how: str, numbers: Sequence[int]) -> Iterable[sqlite3.Row]:
    return db.execute(_SQL[how], {"nos": jsonio.dumps(numbers).decode()}).fetchall()


def _places(
    db: sqlite3.Connection, wanted: RunFilter, scope: dict[str, Any], start: Place, limit: int
) -> tuple[Sequence[sqlite3.Row], Place | None]:
    """Where the runs after `start` are, and how far the search came where it was broken off."""
    values = scope | {"at": start[0], "no": start[1], "newest": min(start[0], scope["until"] - 1), "limit": limit}
    query = None if wanted.text is None else asked(values["text"])
    narrowest = _narrowest(wanted)
    if narrowest is not None:
        return _candidates(db, narrowest, query, values)
    if query is not None:
        return find(db, query, values)
    if wanted.about_stops:
        return db.execute(_SQL["newest_of_stops"], values).fetchall(), None
    kind = "all" if wanted.flow is None else "flow"
    arms = [tuple(arm) for arm in db.execute(_SQL[f"arms_of_{kind}"], values).fetchall()]
    values["arms"] = jsonio.dumps(arms).decode()
    return db.execute(_SQL[f"newest_of_{kind}"], values).fetchall(), None


def _narrowest(wanted: RunFilter) -> str | None:
    if wanted.replay_of is not None:
        return "runs_that_replay"
    if wanted.root is not None:
        return "runs_of_root"
    return "runs_of_key" if wanted.key is not None else None


def _candidates(
    db: sqlite3.Connection, statement: str, query: Query | None, values: dict[str, Any]
) -> tuple[Sequence[sqlite3.Row], Place | None]:
    found = db.execute(_SQL[statement], values | {"most": MOST_EXAMINED}).fetchall()
    rows = matching(db, [row["no"] for row in found], query, values)
    broken_off = len(found) == MOST_EXAMINED and len(rows) < values["limit"]
    return rows, (found[-1]["created_at"], found[-1]["no"]) if broken_off else None
