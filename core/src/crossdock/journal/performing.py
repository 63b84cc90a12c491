"""Units of work of a run that is being performed: claims, checkpoints, locks, leases."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from crossdock.journal.audit import ActRow, insert_act
from crossdock.journal.codec import run_row, stored_event, stored_step
from crossdock.journal.errors import Declined, LeaseLost, LockHeld, Overtaken
from crossdock.journal.intake import Row, StepValues, insert_rows, insert_steps
from crossdock.journal.pauses import is_paused
from crossdock.journal.rows import Claim, ClaimedRun, ObjectUse, connection_wait, run_wait
from crossdock.journal.statements import load
from crossdock.journal.writer import JointUnit

_SQL = load("runs")
_READ = load("reads")
_DESK = load("desk")


def claim_ready(db: sqlite3.Connection, limit: int, lease: Row) -> list[ClaimedRun]:
    """Claim runs that are due; `lease` has `owner`, `lease_until` and `now`."""
    ready = db.execute(_SQL["select_ready"], {"now": lease["now"], "limit": limit}).fetchall()
    return [_claim(db, run, lease) for run in ready]


def claim_one(db: sqlite3.Connection, run_id: str, lease: Row) -> ClaimedRun | None:
    """Claim this run if it is free and its turn."""
    run = db.execute(_SQL["select_claimable"], {"id": run_id, "now": lease["now"]}).fetchone()
    return None if run is None else _claim(db, run, lease)


def _claim(db: sqlite3.Connection, ready: sqlite3.Row, lease: Row) -> ClaimedRun:
    claimed = db.execute(_SQL["claim_run"], lease | {"no": ready["no"]}).fetchone()
    row = run_row(claimed)
    claim = Claim(row.id, lease["owner"], row.fence)
    taken_over = ready["owner"] is not None
    event = db.execute(_READ["event"], (row.event_seq,)).fetchone()
    try:
        steps = tuple(map(stored_step, db.execute(_READ["steps"], (row.id,)))) if claimed["step_count"] else ()
        return ClaimedRun(row, stored_event(event), steps, claim, taken_over)
    except (ValueError, TypeError, OverflowError) as error:
        unread = stored_event(dict(event) | {"data": "{}"})
        return ClaimedRun(row, unread, (), claim, taken_over, damage=f"{type(error).__name__}: {error}")


class Checkpointing(JointUnit):
    """Writes a checkpoint; its value is the number of steps of the run after it.

    Declines with `LeaseLost`, `LockHeld`, `Overtaken`. `objects` are used and released ones, `locks` wanted and
    dropped ones.
    """

    def __init__(
        self,
        claim: Claim,
        steps: Sequence[StepValues],
        update: Row,
        objects: tuple[Sequence[ObjectUse], Sequence[ObjectUse]],
        locks: tuple[Sequence[str], Sequence[str]],
        alerts: Sequence[Row],
        known_steps: int | None,
    ) -> None:
        self.claim = claim
        self.steps = steps
        self.update = update
        self.objects = objects
        self.locks = locks
        self.alerts = alerts
        self.known_steps = known_steps

    @classmethod
    def together(cls, db: sqlite3.Connection, units: Sequence[Checkpointing]) -> list[int | Declined]:
        told: list[int | Declined] = []
        written: list[tuple[Checkpointing, int, int]] = []
        for unit in units:
            try:
                no, total = unit.write(db)
            except Declined as declined:
                told.append(declined)
            else:
                told.append(total)
                written.append((unit, no, total))
        steps = [
            (no, seq, *values)
            for unit, no, total in written
            for seq, values in enumerate(unit.steps, total - len(unit.steps) + 1)
        ]
        insert_rows(db, _SQL["insert_step"], steps)
        insert_rows(db, _SQL["use_object"], [_use(use, no) for unit, no, _ in written for use in unit.objects[0]])
        for unit, no, _ in written:
            for use in unit.objects[1]:
                db.execute(_SQL["release_object"], _use(use, no))
        return told

    def write(self, db: sqlite3.Connection) -> tuple[int, int]:
        """All of it but its steps and objects; the run's number, and how many steps it has then."""
        acquire, unlock = self.locks
        taken = _take_locks(db, acquire, self.claim) if acquire else []
        update, waits_for = self.update, self.update["waits_for"]
        if waits_for is not None and _missed(db, waits_for, update["due_at"], self.claim.run_id):
            update = update | {"due_at": update["now"]}
        new = {"steps": len(self.steps), "known_steps": self.known_steps}
        run = db.execute(_SQL["update_run"], update | _named(self.claim) | new).fetchone()
        if run is None:
            _give_back(db, taken)
            raise _why_not(db, self.claim)
        no = int(run["no"])
        for alert in self.alerts:
            db.execute(_DESK["put_alert"], (alert["id"], alert["data"], alert["due_at"])).fetchall()
        if update["ended"]:
            unlock = [row["name"] for row in db.execute(_SQL["locks_of"], (no,))]
            db.execute(_SQL["pass_turn"], {"flow": run["flow"], "key": run["key"]})
            wake(db, run_wait(self.claim.run_id), int(update["now"]))
        for name in unlock:
            _drop_lock(db, name, no, int(update["now"]))
        return no, int(run["step_count"])


def _use(use: ObjectUse, no: int) -> tuple[Any, ...]:
    return (use.connection, use.object, use.object_id, no, use.leg)


def _named(claim: Claim) -> dict[str, Any]:
    return {"id": claim.run_id, "owner": claim.owner, "fence": claim.fence}


def _why_not(db: sqlite3.Connection, claim: Claim) -> Declined:
    """Why a checkpoint of this claim was not taken."""
    held = db.execute(_SQL["select_claimed"], _named(claim)).fetchone()
    return LeaseLost(claim.run_id, claim.fence) if held is None else Overtaken(claim.run_id)


def _take_locks(db: sqlite3.Connection, names: Sequence[str], claim: Claim) -> list[tuple[str, int]]:
    """Take all or none; those that the run did not have before. Raises `LeaseLost`, `LockHeld`."""
    run = db.execute(_SQL["select_claimed"], _named(claim)).fetchone()
    if run is None:
        raise LeaseLost(claim.run_id, claim.fence)
    taken: list[tuple[str, int]] = []
    for name in names:
        if db.execute(_SQL["take_lock"], (name, run["no"])).fetchone() is not None:
            taken.append((name, run["no"]))
            continue
        holder = db.execute(_SQL["lock_holder"], (name,)).fetchone()
        if holder["no"] != run["no"]:
            _give_back(db, taken)
            raise LockHeld(name, holder["id"])
    return taken


def _give_back(db: sqlite3.Connection, taken: Sequence[tuple[str, int]]) -> None:
    for lock in taken:
        db.execute(_SQL["drop_lock"], lock)


def _drop_lock(db: sqlite3.Connection, name: str, no: int, now: int) -> None:
    if db.execute(_SQL["drop_lock"], (name, no)).rowcount:
        wake(db, name, now)


def wake(db: sqlite3.Connection, waits_for: str, now: int) -> None:
    """Make the runs due that wait for this."""
    db.execute(_SQL["wake"], {"waits_for": waits_for, "now": now})


def _missed(db: sqlite3.Connection, waits_for: str, due_at: int | None, run_id: str) -> bool:
    """Whether what would have woken a run that is about to wait has happened already."""
    prefix = run_wait("")
    if waits_for.startswith(prefix):
        return db.execute(_SQL["select_open"], (waits_for.removeprefix(prefix),)).fetchone() is None
    return due_at is None and _is_free(db, waits_for, run_id)


def _is_free(db: sqlite3.Connection, waits_for: str, run_id: str) -> bool:
    """Whether what a run is about to wait for is there for it already."""
    prefix = connection_wait("")
    if waits_for.startswith(prefix):
        name = waits_for.removeprefix(prefix)
        state = db.execute(_DESK["connection_status"], (name,)).fetchone()
        return (state is None or state["status"] == "active") and not is_paused(db, name)
    holder = db.execute(_SQL["lock_holder"], (waits_for,)).fetchone()
    return holder is None or holder["id"] == run_id


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
