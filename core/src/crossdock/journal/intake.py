"""Units of work that bring events, plans and runs in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from crossdock.journal.codec import instant
from crossdock.journal.errors import AlreadyReplayed, JournalError, PayloadRemoved
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
    """Store one more run of an event. Raises `AlreadyReplayed`, `PayloadRemoved`."""
    if run["replay_of"] is not None:
        _hold_payload(db, run["replay_of"])
        existing = db.execute(_SQL["replay_id"], (run["replay_of"],)).fetchone()
        if existing is not None:
            raise AlreadyReplayed(run["replay_of"], existing["id"])
    no = insert_run(db, run, event_seq)
    insert_steps(db, no, 0, steps)
    db.execute(_SQL["count_steps"], {"no": no, "step_count": len(steps)})
    return str(run["id"])


def _hold_payload(db: sqlite3.Connection, run_id: str) -> None:
    """Raise `PayloadRemoved` if there is nothing left to replay the run with."""
    emptied = db.execute(_SQL["emptied_at"], (run_id,)).fetchone()
    if emptied is not None and emptied["emptied_at"] is not None:
        raise PayloadRemoved(run_id, instant(emptied["emptied_at"]))


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
