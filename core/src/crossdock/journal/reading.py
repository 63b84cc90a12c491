"""Reads, each one statement or one short transaction, so that a reader never keeps an old snapshot open."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.codec import connection_state, instant_or_none, run_row, stored_event, stored_step
from crossdock.journal.errors import JournalError
from crossdock.journal.rows import (
    Blocked,
    ConnectionState,
    Earlier,
    RunRow,
    StoredAlert,
    StoredEvent,
    StoredStep,
    StoredToken,
    connection_wait,
)
from crossdock.journal.statements import load

_SQL = load("reads")


def _run_or_none(db: sqlite3.Connection, statement: str, values: Any) -> RunRow | None:
    row = db.execute(_SQL[statement], values).fetchone()
    return None if row is None else run_row(row)


def plan(db: sqlite3.Connection, plan_hash: str) -> dict[str, Any]:
    row = db.execute(_SQL["plan"], (plan_hash,)).fetchone()
    if row is None:
        raise JournalError(f"there is no plan {plan_hash}")
    body: dict[str, Any] = jsonio.loads(row["body"])
    return body


def run(db: sqlite3.Connection, run_id: str) -> RunRow | None:
    return _run_or_none(db, "run", (run_id,))


def replay_of(db: sqlite3.Connection, run_id: str) -> RunRow | None:
    return _run_or_none(db, "replay", (run_id,))


def history(db: sqlite3.Connection, run_id: str) -> tuple[RunRow, list[StoredStep]] | None:
    """A run with its steps, of one instant."""
    db.execute(load("store")["begin_reading"])
    try:
        row = run(db, run_id)
        return None if row is None else (row, steps(db, run_id))
    finally:
        db.execute(load("store")["rollback"])


def steps(db: sqlite3.Connection, run_id: str) -> list[StoredStep]:
    return [stored_step(row) for row in db.execute(_SQL["steps"], (run_id,)).fetchall()]


def alerts_of(db: sqlite3.Connection, run_id: str) -> list[StoredAlert]:
    rows = db.execute(_SQL["alerts_of"], {"run": run_id}).fetchall()
    return [StoredAlert(row["id"], jsonio.loads(row["data"]), row["tries"]) for row in rows]


def event(db: sqlite3.Connection, seq: int) -> StoredEvent | None:
    row = db.execute(_SQL["event"], (seq,)).fetchone()
    return None if row is None else stored_event(row)


def approved(db: sqlite3.Connection, flow: str) -> int:
    return int(db.execute(_SQL["approved"], (flow,)).fetchone()[0])


def version(db: sqlite3.Connection) -> int:
    # The reader writes nothing itself, so this counts every commit of anybody else.
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def next_due(db: sqlite3.Connection, now: int) -> datetime | None:
    return instant_or_none(db.execute(_SQL["next_due"], (now,)).fetchone()[0])


def oldest_due(db: sqlite3.Connection, now: int) -> datetime | None:
    return instant_or_none(db.execute(_SQL["oldest_due"], (now,)).fetchone()[0])


def untold(db: sqlite3.Connection, since: int, limit: int) -> list[RunRow]:
    return [run_row(row) for row in db.execute(_SQL["untold"], {"since": since, "limit": limit}).fetchall()]


def blocked(db: sqlite3.Connection, limit: int) -> list[Blocked]:
    rows = db.execute(_SQL["blocked"], {"limit": limit}).fetchall()
    return [Blocked(run_row(row), row["behind"], row["behind_status"]) for row in rows]


def counts(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in db.execute(_SQL["counts"]).fetchall():
        found.setdefault(row["flow"], {})[row["status"]] = row["runs"]
    return found


def last_succeeded(db: sqlite3.Connection, flow: str, key: str, root: str) -> Earlier | None:
    row = db.execute(_SQL["last_succeeded"], {"flow": flow, "key": key, "root": root}).fetchone()
    return None if row is None else Earlier(row["id"], row["root"], row["fingerprint"])


def others_since(db: sqlite3.Connection, key: str, connection: str, type_: str, subject: str, after: int) -> bool:
    values = {"key": key, "connection": connection, "type": type_, "subject": subject, "after": after}
    return db.execute(_SQL["others_since"], values).fetchone() is not None


def leaving(db: sqlite3.Connection, flow: str, key: str, root: str) -> RunRow | None:
    return _run_or_none(db, "leaving", {"flow": flow, "key": key, "root": root})


def other_users(db: sqlite3.Connection, connection: str, object_: str, object_id: str, root: str) -> list[str]:
    rows = db.execute(_SQL["other_users"], (connection, object_, object_id, root)).fetchall()
    return [row["id"] for row in rows]


def origin(db: sqlite3.Connection, connection: str, object_: str, object_id: str, flow: str) -> RunRow | None:
    return _run_or_none(db, "origin", (connection, object_, object_id, flow))


def making(
    db: sqlite3.Connection, connection: str, object_: str, flow: str, actions: Sequence[str], before: int
) -> RunRow | None:
    values = {"connection": connection, "object": object_, "flow": flow, "before": before}
    return _run_or_none(db, "making", values | {"actions": jsonio.dumps(list(actions)).decode()})


def connection(db: sqlite3.Connection, name: str) -> ConnectionState:
    row = db.execute(_SQL["connection_state"], (name,)).fetchone()
    return ConnectionState(name) if row is None else connection_state(row)


def waiting_for(db: sqlite3.Connection, name: str) -> int:
    """How many runs wait for a connection."""
    return int(db.execute(_SQL["waiting_for"], (connection_wait(name),)).fetchone()[0])


def closed_connections(db: sqlite3.Connection) -> list[ConnectionState]:
    return [connection_state(row) for row in db.execute(_SQL["closed_connections"]).fetchall()]


def token(db: sqlite3.Connection, name: str) -> StoredToken | None:
    row = db.execute(_SQL["load_token"], (name,)).fetchone()
    return None if row is None else StoredToken(row["ciphertext"], row["version"])


def owners(db: sqlite3.Connection) -> list[str]:
    """Everybody who holds a lease on a run or on tokens, expired or not."""
    return [row["owner"] for row in db.execute(load("runs")["owners"]).fetchall()]
