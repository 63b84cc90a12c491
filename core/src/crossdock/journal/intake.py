"""Units of work that bring events, plans and runs in, and take old ones out."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from crossdock.journal.errors import AlreadyReplayed, JournalError
from crossdock.journal.rows import Accepted
from crossdock.journal.statements import load, rows_of

Row: TypeAlias = dict[str, Any]
StepValues: TypeAlias = tuple[str, str | None, str, str, int]
"""kind, leg, phase, JSON data, at."""

_SQL = load("runs")


def accept(db: sqlite3.Connection, arrivals: Sequence[tuple[Row, Sequence[Row]]]) -> Accepted:
    """Store events and their runs; a known event stores nothing."""
    new: list[str] = []
    duplicates = 0
    for event, runs in arrivals:
        inserted = db.execute(_SQL["insert_event"], event).fetchone()
        if inserted is None:
            duplicates += 1
            continue
        for run in runs:
            insert_run(db, run, inserted["seq"])
            new.append(run["id"])
    return Accepted(tuple(new), duplicates)


def store_plan(db: sqlite3.Connection, plan: Row) -> None:
    db.execute(_SQL["insert_plan"], plan)


def add_run(db: sqlite3.Connection, run: Row, event_seq: int, steps: Sequence[StepValues]) -> str:
    """Store one more run of an event. Raises `AlreadyReplayed`."""
    if run["replay_of"] is not None:
        existing = db.execute(_SQL["replay_id"], (run["replay_of"],)).fetchone()
        if existing is not None:
            raise AlreadyReplayed(run["replay_of"], existing["id"])
    no = insert_run(db, run, event_seq)
    insert_steps(db, no, 0, steps)
    db.execute(_SQL["count_steps"], {"no": no, "step_count": len(steps)})
    return str(run["id"])


def insert_run(db: sqlite3.Connection, run: Row, event_seq: int) -> int:
    values = run | {"event_seq": event_seq, "root": run["root"] or _root(db, run)}
    try:
        db.execute(_SQL["yield_turn"], values)
        return int(db.execute(_SQL["insert_run"], values).fetchone()["no"])
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            raise
        raise JournalError(
            f"run {run['id']} names plan {run['plan_hash']} or event {event_seq}, which is not stored;"
            " store the plan before its runs"
        ) from error


def _root(db: sqlite3.Connection, run: Row) -> str:
    if run["replay_of"] is None:
        return str(run["id"])
    origin = db.execute(_SQL["root_of"], (run["replay_of"],)).fetchone()
    if origin is None:
        raise JournalError(f"there is no run {run['replay_of']} to replay")
    return str(origin["root"])


def insert_steps(db: sqlite3.Connection, run_no: int, known: int, steps: Sequence[StepValues]) -> None:
    """Add steps after the `known` ones."""
    if steps:
        rows = [value for seq, values in enumerate(steps, known + 1) for value in (run_no, seq, *values)]
        db.execute(rows_of(_SQL["insert_step"], len(steps)), rows)


def prune(db: sqlite3.Connection, ended_before: int, limit: int) -> int:
    """Delete runs that ended before, and the events that no run needs any more."""
    old = db.execute(_SQL["prunable"], {"ended_before": ended_before, "limit": limit}).fetchall()
    for run in old:
        db.execute(_SQL["delete_run"], (run["no"],))
        db.execute(_SQL["delete_spent_event"], {"seq": run["event_seq"]})
    return len(old)
