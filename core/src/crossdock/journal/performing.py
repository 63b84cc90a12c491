"""Units of work of a run that is being performed: claims, leases, what people add."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from crossdock.journal.audit import ActRow, insert_act
from crossdock.journal.codec import run_row, stored_event, stored_step
from crossdock.journal.gathered import fetch_rows
from crossdock.journal.intake import Row, StepValues, insert_steps
from crossdock.journal.rows import Claim, ClaimedRun
from crossdock.journal.statements import load

_SQL = load("runs")
_READ = load("reads")


def claim_ready(db: sqlite3.Connection, limit: int, lease: Row) -> list[ClaimedRun]:
    """Claim runs that are due; `lease` has `owner`, `lease_until` and `now`."""
    return _claim(db, db.execute(_SQL["select_ready"], {"now": lease["now"], "limit": limit}).fetchall(), lease)


def claim_one(db: sqlite3.Connection, run_id: str, lease: Row) -> ClaimedRun | None:
    """Claim this run if it is free and its turn."""
    found = db.execute(_SQL["select_claimable"], {"id": run_id, "now": lease["now"]}).fetchall()
    return next(iter(_claim(db, found, lease)), None)


def _claim(db: sqlite3.Connection, ready: Sequence[sqlite3.Row], lease: Row) -> list[ClaimedRun]:
    given = [(run["no"], lease["owner"], lease["lease_until"], lease["now"]) for run in ready]
    claimed = {run["no"]: run for run in fetch_rows(db, _SQL["claim_runs"], given)}
    wanted = sorted({(run["event_seq"],) for run in claimed.values()})
    events = {event["seq"]: event for event in fetch_rows(db, _READ["events"], wanted)}
    return [
        _taken(db, run, events[run["event_seq"]], taken_over=before["owner"] is not None)
        for before, run in ((before, claimed[before["no"]]) for before in ready)
    ]


def _taken(db: sqlite3.Connection, run: sqlite3.Row, event: Mapping[str, Any], *, taken_over: bool) -> ClaimedRun:
    row = run_row(run)
    claim = Claim(row.id, run["owner"], row.fence)
    try:
        steps = tuple(map(stored_step, db.execute(_READ["steps"], (row.id,)))) if run["step_count"] else ()
        return ClaimedRun(row, stored_event(event), steps, claim, taken_over)
    except (ValueError, TypeError, OverflowError) as error:
        unread = stored_event(dict(event) | {"data": "{}"})
        return ClaimedRun(row, unread, (), claim, taken_over, damage=f"{type(error).__name__}: {error}")


def _named(claim: Claim) -> dict[str, Any]:
    return {"id": claim.run_id, "owner": claim.owner, "fence": claim.fence}


def nudge(
    db: sqlite3.Connection, run_id: str, steps: Sequence[StepValues], values: Row, act: ActRow | None = None
) -> bool:
    """Add a person's steps, and the act that they came of; `values` has `due_at` and `now`."""
    run = db.execute(_SQL["select_open"], (run_id,)).fetchone()
    if run is None:
        return False
    insert_steps(db, run["no"], run["step_count"], steps)
    total = run["step_count"] + len(steps)
    db.execute(_SQL["nudge"], values | {"no": run["no"], "step_count": total})
    if act is not None:
        insert_act(db, act)
    return True


def mark_told(db: sqlite3.Connection, told: dict[str, int]) -> None:
    """Note up to which step the spans of these runs have been exported."""
    db.executemany(_SQL["mark_told"], [(steps, run_id) for run_id, steps in told.items()])


def heartbeat(db: sqlite3.Connection, claims: Sequence[Claim], lease_until: int) -> list[Claim]:
    """Prolong leases; the claims that are void."""
    lost = []
    for claim in claims:
        values = _named(claim) | {"lease_until": lease_until}
        if not db.execute(_SQL["prolong_lease"], values).rowcount:
            lost.append(claim)
    return lost


def release(db: sqlite3.Connection, claim: Claim, due_at: int | None, now: int) -> bool:
    """Give a claim back; False if it is void."""
    values = _named(claim) | {"due_at": due_at, "now": now}
    return db.execute(_SQL["release_run"], values).rowcount > 0


def expire_owners(db: sqlite3.Connection, owners: Sequence[str]) -> int:
    """End the leases of these owners, on runs and on tokens; how many leases on runs."""
    for owner in owners:
        db.execute(_SQL["drop_token_lease"], (owner,))
    return sum(db.execute(_SQL["expire_owner"], (owner,)).rowcount for owner in owners)
