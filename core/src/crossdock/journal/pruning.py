"""Units of work that take old things out: payloads first, rows later. Each is small, for others wait behind it."""

from __future__ import annotations

import sqlite3
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.audit import empty_acts
from crossdock.journal.rows import Expired
from crossdock.journal.statements import load, split
from crossdock.remains import error_remains, remains

_SQL = load("pruning")
_RUNS = load("runs")
_STORE = load("store")
_NOTHING = "{}"
_ALL = -1
"""As a LIMIT: none."""


def empty_runs(db: sqlite3.Connection, ended_before: int, now: int, limit: int) -> int:
    """Remove what ended runs were about, with the alerts that told of it; how many runs."""
    runs = db.execute(_SQL["emptiable"], {"ended_before": ended_before, "limit": limit}).fetchall()
    for run in runs:
        _empty_steps(db, run["no"])
        db.execute(_SQL["forget_words"], (run["no"],))
        db.execute(_SQL["empty_run"], {"no": run["no"], "error": _without_words(run["error"]), "now": now})
        _empty_event(db, run["event_seq"], now)
        db.execute(_SQL["delete_delivered"], {"run": run["id"]})
        empty_acts(db, run["id"])
    return len(runs)


def empty_events(db: sqlite3.Connection, received_before: int, now: int, limit: int) -> int:
    """Remove the data of events that started nothing; how many."""
    idle = db.execute(_SQL["idle_events"], {"received_before": received_before, "limit": limit}).fetchall()
    for event in idle:
        _empty_event(db, event["seq"], now)
    return len(idle)


def delete_runs(db: sqlite3.Connection, ended_before: int, now: int, limit: int) -> int:
    """Delete runs that nothing needs any more, a chain of replays as a whole; how many runs.

    Their events stay, empty, so that they are known when they come again.
    """
    deleted = 0
    for last in db.execute(_SQL["prunable"], {"ended_before": ended_before, "limit": limit}).fetchall():
        if deleted >= limit:
            break
        for run in db.execute(_SQL["chain"], (last["root"],)).fetchall():
            db.execute(_SQL["remember_success"], {"no": run["no"]})
            db.execute(_SQL["delete_run"], (run["no"],))
            _empty_event(db, run["event_seq"], now)
            db.execute(_SQL["delete_delivered"], {"run": run["id"]})
            empty_acts(db, run["id"])
            deleted += 1
    return deleted


def delete_events(db: sqlite3.Connection, received_before: int, limit: int) -> int:
    """Forget emptied events that no run needs; how many. One that comes again after that is a new one."""
    spent = db.execute(_SQL["forgettable_events"], {"received_before": received_before, "limit": limit}).fetchall()
    db.executemany(_SQL["delete_event"], [(event["seq"],) for event in spent])
    return len(spent)


def delete_told(db: sqlite3.Connection, told_before: str) -> int:
    """Delete delivered alerts about connections, and about runs whose payload is gone; how many."""
    late = db.execute(_SQL["delete_delivered_of_emptied"]).rowcount
    return late + db.execute(_SQL["delete_delivered_of_connections"], {"told_before": told_before}).rowcount


def expired(db: sqlite3.Connection, payloads_before: int, runs_before: int) -> Expired:
    """How many runs there are for `empty_runs` and `delete_runs` to take now."""
    payloads = db.execute(_SQL["count_emptiable"], {"ended_before": payloads_before}).fetchone()[0]
    chains = db.execute(_SQL["prunable"], {"ended_before": runs_before, "limit": _ALL}).fetchall()
    return Expired(payloads, sum(len(db.execute(_SQL["chain"], (last["root"],)).fetchall()) for last in chains))


def space(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Bytes in a page, pages in the file, and how many of them are free."""
    size, pages, free = (int(db.execute(pragma).fetchone()[0]) for pragma in split(_STORE["read_space"]))
    return size, pages, free


def give_back(db: sqlite3.Connection) -> int:
    """Give some free pages back to the disk; how many are free after it."""
    db.execute(_STORE["give_back"]).fetchall()
    return space(db)[2]


def truncate_wal(db: sqlite3.Connection) -> bool:
    """Bring the WAL into the database and cut it to nothing; False if a reader or another writer is in the way."""
    return not db.execute(_STORE["truncate_wal"]).fetchone()[0]


# A row that is made shorter where it stands leaves its page half empty, and the file as large as before. Deleted and
# written anew it lets SQLite join pages.


def _empty_steps(db: sqlite3.Connection, run_no: int) -> None:
    steps = db.execute(_SQL["whole_steps"], (run_no,)).fetchall()
    db.execute(_SQL["delete_steps"], (run_no,))
    for seq, kind, leg, phase, data, at in steps:
        db.execute(_RUNS["insert_step"], (run_no, seq, kind, leg, phase, _emptied(data), at))


def _empty_event(db: sqlite3.Connection, seq: int, now: int) -> None:
    """Remove an event's data, unless one of its runs has its payload yet."""
    event = db.execute(_SQL["whole_event"], {"seq": seq}).fetchone()
    if event is not None:
        db.execute(_SQL["references_at_the_end"])
        db.execute(_SQL["delete_event"], (seq,))
        db.execute(_SQL["put_back_event"], {**dict(zip(event.keys(), event, strict=True)), "now": now})


def _emptied(text: str) -> str:
    try:
        data: Any = jsonio.loads(text)
        return jsonio.dumps(remains(data)).decode() if isinstance(data, dict) else _NOTHING
    except ValueError:
        return _NOTHING


def _without_words(error: str | None) -> str | None:
    if error is None:
        return None
    try:
        found: Any = jsonio.loads(error)
        return jsonio.dumps(error_remains(found)).decode()
    except (ValueError, AttributeError):
        return jsonio.dumps(error_remains({"kind": "damaged"})).decode()
