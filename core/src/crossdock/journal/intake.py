"""Units of work that bring events, plans and runs in."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Sequence
from typing import Any, TypeAlias

from crossdock.journal.audit import ActRow, insert_act
from crossdock.journal.codec import instant
from crossdock.journal.errors import AlreadyReplayed, JournalError, PayloadRemoved
from crossdock.journal.gathered import MOST, rows_of, run_rows
from crossdock.journal.rows import Accepted
from crossdock.journal.statements import load
from crossdock.journal.writer import JointUnit

Row: TypeAlias = dict[str, Any]
Arrival: TypeAlias = tuple[Row, Sequence[Row]]
"""An event and its runs."""
StepValues: TypeAlias = tuple[str, str | None, str, str, int]
"""kind, leg, phase, JSON data, at."""

_SQL = load("runs")
_EVENT = ("connection", "id", "type", "subject", "data", "received_at", "occurred_at", "trace", "via")
_NEW_RUN = ("id", "flow", "key", "status", "event_seq", "plan_hash", "trace", "replay_of", "root")
_RUN = (*_NEW_RUN, "created_at", "created_at", "due_at", "flow", "key")
"""The values of one row of `insert_runs`, in their order."""


class Accept(JointUnit):
    """Stores events and their runs, a known event not at all; its value is an `Accepted`."""

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals

    @classmethod
    def together(cls, db: sqlite3.Connection, units: Sequence[Accept]) -> list[Accepted]:
        arrivals = [arrival for unit in units for arrival in unit.arrivals]
        seqs = _insert_events(db, [event for event, _ in arrivals])
        stored = [(seq, runs) for seq, (_, runs) in zip(seqs, arrivals, strict=True) if seq is not None]
        _insert_new_runs(db, [run | {"event_seq": seq} for seq, runs in stored for run in runs])
        of_unit = iter(seqs)
        return [_accepted(unit.arrivals, [next(of_unit) for _ in unit.arrivals]) for unit in units]


def _accepted(arrivals: Sequence[Arrival], seqs: Sequence[int | None]) -> Accepted:
    stored = [runs for seq, (_, runs) in zip(seqs, arrivals, strict=True) if seq is not None]
    return Accepted(tuple(run["id"] for runs in stored for run in runs), seqs.count(None))


def _insert_events(db: sqlite3.Connection, events: Sequence[Row]) -> list[int | None]:
    """Their numbers; None for those that were known."""
    seqs: list[int | None] = []
    for start in range(0, len(events), MOST):
        some = events[start : start + MOST]
        last = db.execute(_SQL["last_event"]).fetchone()[0]
        numbered = [(last + place, *map(event.__getitem__, _EVENT)) for place, event in enumerate(some, 1)]
        values = [value for row in numbered for value in row]
        new: Container[int] = range(last + 1, last + 1 + len(some))
        if db.execute(rows_of(_SQL["insert_events"], len(some)), values).rowcount < len(some):
            new = {row["seq"] for row in db.execute(_SQL["events_after"], (last,)).fetchall()}
        seqs += [row[0] if row[0] in new else None for row in numbered]
    return seqs


def _insert_new_runs(db: sqlite3.Connection, runs: Sequence[Row]) -> None:
    """Store runs of new events, to which no run that is there has to give way."""
    together: dict[tuple[str, str], Row] = {}
    for run in runs:
        record = run["flow"], run["key"]
        # Whose turn it is is judged by what stood before the statement: a record's second run needs another one.
        if record in together or len(together) == MOST:
            _insert_runs(db, list(together.values()))
            together = {}
        together[record] = run
    if together:
        _insert_runs(db, list(together.values()))


def _insert_runs(db: sqlite3.Connection, runs: Sequence[Row]) -> None:
    rows = [run | {"root": run["root"] or _root(db, run)} for run in runs]
    values = [row[name] for row in rows for name in _RUN]
    try:
        db.execute(rows_of(_SQL["insert_runs"], len(rows)), values)
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            raise
        # Where every plan is there it is an event that is not, and any of them tells so.
        without = (run for run in runs if db.execute(_SQL["has_plan"], (run["plan_hash"],)).fetchone() is None)
        lost = next(without, runs[0])
        raise _unsupported(lost) from error


def store_plan(db: sqlite3.Connection, plan: Row) -> None:
    db.execute(_SQL["insert_plan"], plan)


def add_run(
    db: sqlite3.Connection, run: Row, event_seq: int, steps: Sequence[StepValues], act: ActRow | None = None
) -> str:
    """Store one more run of an event. Raises `AlreadyReplayed`, `PayloadRemoved`."""
    if run["replay_of"] is not None:
        _hold_payload(db, run["replay_of"])
        existing = db.execute(_SQL["replay_id"], (run["replay_of"],)).fetchone()
        if existing is not None:
            raise AlreadyReplayed(run["replay_of"], existing["id"])
    no = insert_run(db, run, event_seq)
    insert_steps(db, no, 0, steps)
    db.execute(_SQL["count_steps"], {"no": no, "step_count": len(steps)})
    if act is not None:
        insert_act(db, act)
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
        raise _unsupported(values) from error


def _unsupported(run: Row) -> JournalError:
    return JournalError(
        f"run {run['id']} names plan {run['plan_hash']} or event {run['event_seq']}, which is not stored;"
        " store the plan before its runs"
    )


def _root(db: sqlite3.Connection, run: Row) -> str:
    if run["replay_of"] is None:
        return str(run["id"])
    origin = db.execute(_SQL["root_of"], (run["replay_of"],)).fetchone()
    if origin is None:
        raise JournalError(f"there is no run {run['replay_of']} to replay")
    return str(origin["root"])


def insert_steps(db: sqlite3.Connection, run_no: int, known: int, steps: Sequence[StepValues]) -> None:
    """Add steps after the `known` ones."""
    run_rows(db, _SQL["insert_step"], [(run_no, seq, *values) for seq, values in enumerate(steps, known + 1)])
