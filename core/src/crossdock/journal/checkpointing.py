"""Checkpoints: what a performer of a run writes, all that have gathered in a commit by the same few statements."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crossdock.journal.errors import Declined, LeaseLost, LockHeld, Overtaken
from crossdock.journal.gathered import fetch_rows, run_rows
from crossdock.journal.intake import Row, StepValues
from crossdock.journal.pauses import is_paused
from crossdock.journal.rows import Claim, ObjectUse, connection_wait, run_wait
from crossdock.journal.statements import load
from crossdock.journal.writer import JointUnit

_SQL = load("checkpoints")
_RUNS = load("runs")
_DESK = load("desk")
_UPDATE = (
    *("status", "error", "leg", "waits_for", "stopped_connection", "error_kind", "stopped", "needs_person", "label"),
    *("due_at", "fingerprint", "leaves", "lease_until", "freed", "ended", "now"),
)
"""The values of one row of `write_runs` after its number and how many steps it has then, in their order."""


@dataclass(frozen=True, slots=True)
class Checkpointing(JointUnit):
    """Writes a checkpoint; its value is the number of steps of the run after it.

    Declines with `LeaseLost`, `Overtaken`, `LockHeld`. `objects` are used and released ones. `acquire` and `unlock`
    name locks.
    """

    claim: Claim
    steps: Sequence[StepValues]
    update: Row
    used: Sequence[ObjectUse]
    released: Sequence[ObjectUse]
    acquire: Sequence[str]
    unlock: Sequence[str]
    alerts: Sequence[Row]
    known_steps: int | None

    @classmethod
    def together(cls, db: sqlite3.Connection, units: Sequence[Checkpointing]) -> list[int | Declined]:
        told: dict[int, int | Declined] = {}
        for places in _rounds(units):
            told |= zip(places, _write(db, [units[place] for place in places]), strict=True)
        return [told[place] for place in range(len(units))]


@dataclass(slots=True)
class _Good:
    """A unit that may write, and its run as it stands: `no`, and how many `steps` it has."""

    unit: Checkpointing
    no: int
    steps: int

    @property
    def total(self) -> int:
        return self.steps + len(self.unit.steps)


def _rounds(units: Sequence[Checkpointing]) -> Iterable[list[int]]:
    """The places of units that are done together: what one run wrote first is there before it writes again."""
    seen: Counter[str] = Counter()
    rounds: dict[int, list[int]] = defaultdict(list)
    for place, unit in enumerate(units):
        rounds[seen[unit.claim.run_id]].append(place)
        seen[unit.claim.run_id] += 1
    return rounds.values()


def _write(db: sqlite3.Connection, units: Sequence[Checkpointing]) -> list[int | Declined]:
    """Write the checkpoints of different runs."""
    checked = _checked(db, units)
    now = max(int(unit.update["now"]) for unit in units)
    # What is freed here can be taken here; but who is refused a lock has written nothing, and frees nothing.
    freed = _free(db, [one for one in checked if isinstance(one, _Good) and not one.unit.acquire])
    for place, one in enumerate(checked):
        if isinstance(one, _Good) and one.unit.acquire:
            checked[place] = _take(db, one)
    good = [one for one in checked if isinstance(one, _Good)]
    freed += _free(db, [one for one in good if one.unit.acquire])
    run_rows(db, _SQL["write_runs"], [_row(db, one) for one in good])
    ended = [one for one in good if one.unit.update["ended"]]
    run_rows(db, _SQL["pass_turns"], [(one.no,) for one in ended])
    freed += [run_wait(one.unit.claim.run_id) for one in ended]
    run_rows(db, _SQL["wake"], [(name, now) for name in freed])
    _add_facts(db, good)
    return [one.total if isinstance(one, _Good) else one for one in checked]


def _checked(db: sqlite3.Connection, units: Sequence[Checkpointing]) -> list[_Good | Declined]:
    claims = [(place, unit.claim.run_id, unit.claim.fence, unit.claim.owner) for place, unit in enumerate(units)]
    standing: dict[int, tuple[int, int]] = {}
    for (rows,) in fetch_rows(db, _SQL["claimed"], claims):
        standing |= {place: (no, steps) for place, no, steps in json.loads(rows)}
    return [_judged(unit, standing.get(place)) for place, unit in enumerate(units)]


def _judged(unit: Checkpointing, standing: tuple[int, int] | None) -> _Good | Declined:
    if standing is None:
        return LeaseLost(unit.claim.run_id, unit.claim.fence)
    no, steps = standing
    if unit.known_steps is not None and steps > unit.known_steps:
        return Overtaken(unit.claim.run_id)
    return _Good(unit, no, steps)


def _row(db: sqlite3.Connection, one: _Good) -> tuple[Any, ...]:
    update = one.unit.update
    waits_for = update["waits_for"]
    if waits_for is not None and _missed(db, waits_for, update["due_at"], one.unit.claim.run_id):
        update = update | {"due_at": update["now"]}
    return (one.no, one.total, *map(update.__getitem__, _UPDATE))


def _add_facts(db: sqlite3.Connection, good: Sequence[_Good]) -> None:
    """The steps of these runs, the objects that they use and use no more, and what is to be told of them."""
    steps = [(one.no, seq, *values) for one in good for seq, values in enumerate(one.unit.steps, one.steps + 1)]
    run_rows(db, _RUNS["insert_step"], steps)
    run_rows(db, _SQL["use_object"], [_use(use, one.no) for one in good for use in one.unit.used])
    for one in good:
        for use in one.unit.released:
            db.execute(_SQL["release_object"], _use(use, one.no))
        for alert in one.unit.alerts:
            db.execute(_DESK["put_alert"], (alert["id"], alert["data"], alert["due_at"])).fetchall()


def _use(use: ObjectUse, no: int) -> tuple[Any, ...]:
    return (use.connection, use.object, use.object_id, no, use.leg)


def _free(db: sqlite3.Connection, good: Sequence[_Good]) -> list[str]:
    """Drop the locks that they are done with, all of those that end; their names."""
    unlocked = [(name, one.no) for one in good for name in one.unit.unlock]
    run_rows(db, _SQL["drop_locks"], unlocked)
    dropped = fetch_rows(db, _SQL["drop_all_locks"], [(one.no,) for one in good if one.unit.update["ended"]])
    return [name for name, _ in unlocked] + [name for (name,) in dropped]


def _take(db: sqlite3.Connection, one: _Good) -> _Good | Declined:
    """Take all of its locks or none."""
    taken: list[tuple[str, int]] = []
    for name in one.unit.acquire:
        if db.execute(_SQL["take_lock"], (name, one.no)).rowcount:
            taken.append((name, one.no))
            continue
        holder = db.execute(_SQL["lock_holder"], (name,)).fetchone()
        if holder["no"] != one.no:
            run_rows(db, _SQL["drop_locks"], taken)
            return LockHeld(name, holder["id"])
    return one


def _missed(db: sqlite3.Connection, waits_for: str, due_at: int | None, run_id: str) -> bool:
    """Whether what would have woken a run that is about to wait has happened already."""
    prefix = run_wait("")
    if waits_for.startswith(prefix):
        return db.execute(_RUNS["select_open"], (waits_for.removeprefix(prefix),)).fetchone() is None
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
