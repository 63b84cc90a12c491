"""What is to be done to many runs, as the journal keeps it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from crossdock_sdk import jsonio

from crossdock.actors import Actor, Role
from crossdock.journal.audit import Act, ActRow, Audit, insert_act
from crossdock.journal.codec import JsonText, instant, instant_or_none, micros
from crossdock.journal.gathered import run_rows
from crossdock.journal.hooks import Read, Write
from crossdock.journal.statements import load

_SQL = load("bulk")
BAD = frozenset({"dead", "rolled_back", "held", "in_doubt"})
"""The statuses in which a run that was acted on has come to nothing good."""
OPEN = frozenset({"queued", "running", "waiting", "rolling_back", "awaiting_approval"})


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store; `runs` are the ids, in the order in which they come."""

    id: str
    action: str
    runs: Sequence[str]
    wanted: Mapping[str, Any]
    pace: float
    stop_after: int | None = None
    edits: Sequence[Mapping[str, Any]] = ()
    why: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored. `status` is working, stopped (`reason` says why) or done."""

    no: int
    id: str
    action: str
    wanted: dict[str, Any]
    edits: list[dict[str, Any]]
    why: str | None
    by: Actor
    pace: float
    stop_after: int | None
    status: str
    reason: str | None
    created_at: datetime
    ended_at: datetime | None
    owner: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `total` are `waiting`, `skipped` and `done`; what is done has `ended_well`, `failed`, or is
    `at_work`."""

    total: int
    waiting: int
    skipped: int
    done: int
    ended_well: int
    failed: int
    at_work: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A run of a job that was left out, or came to nothing good."""

    run: str
    result: str | None
    status: str | None
    label: str | None
    told: str | None = field(default=None)


class BulkJobs:
    """Jobs and their lists of runs. Raises `JournalError` as the journal does."""

    def __init__(self, write: Write, read: Read, json: JsonText, audit: Audit) -> None:
        self._write = write
        self._read = read
        self._json = json
        self._audit = audit

    async def add(self, job: NewJob, act: Act) -> str:
        """Store a job; its id, or that of the one that was stored under the same idempotency key before."""
        values: dict[str, Any] = {"id": job.id, "idempotency_key": job.idempotency_key, "action": job.action}
        values |= {"wanted": self._json(dict(job.wanted)), "edits": self._json([dict(one) for one in job.edits])}
        values |= {"actor": act.by.name, "role": str(act.by.role), "now": micros(act.at)}
        values |= {"why": job.why, "pace": float(job.pace), "stop_after": job.stop_after}
        row = self._audit.row(act)
        return await self._write(partial(_add, values=values, runs=tuple(job.runs), act=row))

    async def get(self, job_id: str) -> Job | None:
        return await self._read(_get, job_id)

    async def newest(self, limit: int = 50) -> list[Job]:
        """The newest first."""
        return await self._read(_newest, limit)

    async def claim(self, owner: str, now: datetime, lease_until: datetime) -> Job | None:
        """Take the oldest job that is to be worked on and is in nobody's hands."""
        values = {"owner": owner, "now": micros(now), "lease_until": micros(lease_until)}
        return await self._write(partial(_claim, values=values))

    async def keep(self, job: Job, lease_until: datetime) -> bool:
        """Prolong the lease; False if the job is in other hands, or was stopped."""
        return await self._write(partial(_changed, name="keep_job", values=_held(job, lease_until=micros(lease_until))))

    async def leave(self, job: Job) -> None:
        """Give the job back, for whoever takes it next."""
        await self._write(partial(_changed, name="leave_job", values=_held(job)))

    async def next(self, job: Job) -> tuple[int, str] | None:
        """The place and the id of the next run; None if all had their turn."""
        return await self._read(_next, job.no)

    async def note(self, job: Job, place: int, state: str, result: str | None, told: str | None) -> bool:
        """Note what was done about a run; False if the job is in other hands."""
        values = _held(job, place=place, state=state, result=result, told=told)
        return await self._write(partial(_changed, name="note_item", values=values))

    async def end(self, job: Job, status: str, reason: str | None, now: datetime) -> None:
        """Note that all had their turn (`done`), or that it went too badly (`stopped`)."""
        values = _held(job, status=status, reason=reason, now=micros(now))
        await self._write(partial(_changed, name="end_job", values=values))

    async def stop(self, job_id: str, reason: str, act: Act) -> bool:
        """False if it does not work."""
        values = {"id": job_id, "reason": reason}
        return await self._write(partial(_acted, name="stop_job", values=values, act=self._audit.row(act)))

    async def go_on(self, job_id: str, act: Act) -> bool:
        """False if it is not stopped."""
        return await self._write(partial(_acted, name="continue_job", values={"id": job_id}, act=self._audit.row(act)))

    async def progress(self, job: Job) -> Progress:
        """How far it is now."""
        return await self._read(_progress, job.no)

    async def troubles(self, job: Job, limit: int = 100) -> list[Trouble]:
        """The runs that were left out or came to nothing good, in the job's order."""
        return await self._read(_troubles, job.no, limit)

    async def forget(self, created_before: datetime) -> None:
        """Delete old jobs that are done."""
        await self._write(partial(_changed, name="forget_jobs", values=(micros(created_before),)))


def _held(job: Job, **more: Any) -> dict[str, Any]:
    return {"no": job.no, "owner": job.owner, "fence": job.fence, **more}


def _add(db: sqlite3.Connection, values: dict[str, Any], runs: Sequence[str], act: ActRow) -> str:
    row = db.execute(_SQL["put_job"], values).fetchone()
    if row is None:
        return str(db.execute(_SQL["job_of_key"], (values["idempotency_key"],)).fetchone()["id"])
    run_rows(db, _SQL["put_item"], [(row["no"], place, run) for place, run in enumerate(runs, 1)])
    insert_act(db, act)
    return str(values["id"])


def _changed(db: sqlite3.Connection, name: str, values: Any) -> bool:
    return db.execute(_SQL[name], values).fetchone() is not None


def _acted(db: sqlite3.Connection, name: str, values: Any, act: ActRow) -> bool:
    if not _changed(db, name, values):
        return False
    insert_act(db, act)
    return True


def _claim(db: sqlite3.Connection, values: dict[str, Any]) -> Job | None:
    row = db.execute(_SQL["claim_job"], values).fetchone()
    return None if row is None else _job(row)


def _get(db: sqlite3.Connection, job_id: str) -> Job | None:
    row = db.execute(_SQL["job"], (job_id,)).fetchone()
    return None if row is None else _job(row)


def _newest(db: sqlite3.Connection, limit: int) -> list[Job]:
    return list(map(_job, db.execute(_SQL["jobs"], (limit,)).fetchall()))


def _job(row: sqlite3.Row) -> Job:
    names = ("no", "id", "action", "why", "pace", "stop_after", "status", "reason", "owner", "fence")
    known: dict[str, Any] = {name: row[name] for name in names}
    known |= {"wanted": jsonio.loads(row["wanted"]), "edits": jsonio.loads(row["edits"])}
    known |= {"created_at": instant(row["created_at"]), "ended_at": instant_or_none(row["ended_at"])}
    return Job(by=Actor(row["actor"], Role(row["role"]), "bulk"), **known)


def _next(db: sqlite3.Connection, no: int) -> tuple[int, str] | None:
    row = db.execute(_SQL["next_item"], (no,)).fetchone()
    return None if row is None else (row["place"], row["run_id"])


def _progress(db: sqlite3.Connection, no: int) -> Progress:
    rows = [(row["state"], row["status"], row["number"]) for row in db.execute(_SQL["progress"], (no,)).fetchall()]

    def number(state: str, among: frozenset[str] | None = None) -> int:
        return sum(count for at, status, count in rows if at == state and (among is None or status in among))

    done, failed, at_work = number("done"), number("done", BAD), number("done", OPEN)
    total = sum(count for _, _, count in rows)
    return Progress(total, number("waiting"), number("skipped"), done, done - failed - at_work, failed, at_work)


def _troubles(db: sqlite3.Connection, no: int, limit: int) -> list[Trouble]:
    rows = db.execute(_SQL["troubles"], {"no": no, "limit": limit}).fetchall()
    return [
        Trouble(
            row["run_id"],
            row["result"],
            row["status"],
            row["label"] or row["key"],
            row["told"] or _message(row["error"]),
        )
        for row in rows
    ]


def _message(error: str | None) -> str | None:
    try:
        return str(jsonio.loads(error)["message"]) if error else None
    except (ValueError, KeyError, TypeError):
        return None
