"""Units of work beside the runs: connections' states, alerts, tokens."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from crossdock_sdk import jsonio

from crossdock.journal.audit import ActRow, insert_act
from crossdock.journal.intake import Row
from crossdock.journal.rows import StoredAlert, connection_wait
from crossdock.journal.statements import load

_SQL = load("desk")


def close_connection(db: sqlite3.Connection, state: Row, alerts: Sequence[Row]) -> bool:
    """Store that a connection is closed, with its alerts; False, and nothing, if that is known already."""
    if db.execute(_SQL["close_connection"], state).fetchone() is None:
        return False
    for alert in alerts:
        put_alert(db, alert["id"], alert["data"], alert["due_at"])
    return True


def open_connection(db: sqlite3.Connection, name: str, spread: Row, alerts: Sequence[Row]) -> None:
    """Let a connection be used again, with its alerts, and wake the runs that wait for it.

    `spread` has `now`, `gap` (how far apart they are woken) and `spread` (within which all of them are).
    """
    if db.execute(_SQL["open_connection"], {"name": name, "now": spread["now"]}).rowcount:
        db.execute(_SQL["wake_spread"], {"waits_for": connection_wait(name), **spread})
        for alert in alerts:
            put_alert(db, alert["id"], alert["data"], alert["due_at"])


def send_scout(db: sqlite3.Connection, name: str, now: int, following: int) -> str | None:
    """Make one run due that waits for a closed connection, if it is time; the run's id."""
    if db.execute(_SQL["probe_is_due"], {"name": name, "now": now}).fetchone() is None:
        return None
    picked = db.execute(_SQL["pick_scout"], {"waits_for": connection_wait(name), "now": now}).fetchone()
    if picked is None:
        return None
    db.execute(_SQL["send_scout"], {"name": name, "scout": picked["id"], "probe_at": following})
    return str(picked["id"])


def postpone_probe(db: sqlite3.Connection, failed: Row) -> None:
    """Note that the scout failed."""
    db.execute(_SQL["postpone_probe"], failed)


def hasten_probe(db: sqlite3.Connection, name: str, now: int) -> None:
    """Let a closed connection be tried again now."""
    db.execute(_SQL["hasten_probe"], {"name": name, "now": now})


def probe(db: sqlite3.Connection, now: int) -> None:
    """Write something, for its own sake."""
    db.execute(_SQL["probe"], {"now": now})


def dismiss(db: sqlite3.Connection, run_id: str, act: ActRow) -> bool:
    """Note that nothing more is to be done about a run; False, and nothing, if it needs nobody."""
    if db.execute(_SQL["dismiss"], (run_id,)).fetchone() is None:
        return False
    insert_act(db, act)
    return True


def put_alert(db: sqlite3.Connection, alert_id: str, data: str, due_at: int) -> bool:
    """Store an alert; False if its id is known."""
    return db.execute(_SQL["put_alert"], (alert_id, data, due_at)).fetchone() is not None


def due_alerts(
    db: sqlite3.Connection, now: int, until: int, limit: int, but_for: Collection[str], in_hand: Collection[str]
) -> list[StoredAlert]:
    """Take alerts that are due, hiding them until `until`; none of the notifiers `but_for`, and none `in_hand`."""
    passed = {"but_for": json.dumps(sorted(but_for)), "in_hand": json.dumps(sorted(in_hand))}
    wanted = {"now": now, "limit": limit} | passed
    due = db.execute(_SQL["due_alerts"], wanted).fetchall()
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
