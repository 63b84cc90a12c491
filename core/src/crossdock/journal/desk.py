"""Units of work beside the runs: connections' states, alerts, tokens."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from crossdock_sdk import jsonio

from crossdock.journal.intake import Row
from crossdock.journal.performing import wake
from crossdock.journal.rows import StoredAlert, connection_wait
from crossdock.journal.statements import load

_SQL = load("desk")


def set_connection(db: sqlite3.Connection, state: Row, now: int, alerts: Sequence[Row] = ()) -> bool:
    """Store a state with its alerts; False if the connection was in it already. Resuming wakes the runs that wait."""
    known = db.execute(_SQL["connection_status"], (state["name"],)).fetchone()
    if state["status"] == (known["status"] if known else "active"):
        return False
    db.execute(_SQL["set_connection"], state)
    for alert in alerts:
        put_alert(db, alert["id"], alert["data"], alert["due_at"])
    if state["status"] != "paused":
        wake(db, connection_wait(state["name"]), now)
    return True


def put_alert(db: sqlite3.Connection, alert_id: str, data: str, due_at: int) -> bool:
    """Store an alert; False if its id is known."""
    return db.execute(_SQL["put_alert"], (alert_id, data, due_at)).fetchone() is not None


def due_alerts(db: sqlite3.Connection, now: int, until: int, limit: int) -> list[StoredAlert]:
    """Take alerts that are due, hiding them until `until`."""
    due = db.execute(_SQL["due_alerts"], {"now": now, "limit": limit}).fetchall()
    for row in due:
        db.execute(_SQL["hide_alert"], {"no": row["no"], "until": until})
    return [StoredAlert(row["id"], jsonio.loads(row["data"]), row["tries"]) for row in due]


def mark_alert(db: sqlite3.Connection, alert_id: str, retry_at: int | None) -> None:
    db.execute(_SQL["mark_alert"], {"id": alert_id, "retry_at": retry_at})


def swap_token(db: sqlite3.Connection, name: str, ciphertext: bytes, expected: int) -> bool:
    """Compare and swap; False if the stored version is another."""
    statement = "swap_token" if expected else "first_token"
    values = {"name": name, "ciphertext": ciphertext, "expected": expected}
    return db.execute(_SQL[statement], values).fetchone() is not None


def lease_token(db: sqlite3.Connection, lease: Row) -> bool:
    """Take the right to refresh; `lease` has `name`, `owner`, `until` and `now`."""
    return db.execute(_SQL["lease_token"], lease).fetchone() is not None


def release_token(db: sqlite3.Connection, name: str, owner: str) -> None:
    db.execute(_SQL["release_token"], (name, owner))
