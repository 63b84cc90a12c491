"""The journal on one SQLite file: one writer with group commit, readers beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from crossdock_sdk import jsonio

from crossdock.journal import desk, figures, intake, listing, performing, pruning, reading
from crossdock.journal.audit import Act, Audit
from crossdock.journal.bulk import BulkJobs
from crossdock.journal.checkpointing import Checkpointing
from crossdock.journal.codec import JsonText, micros, micros_or_none
from crossdock.journal.condition import Condition
from crossdock.journal.cursors import Cursors
from crossdock.journal.errors import JournalError
from crossdock.journal.figures import Changes, Overview, Throughput
from crossdock.journal.filters import ALL_RUNS, RunFilter
from crossdock.journal.hooks import Hooks
from crossdock.journal.index import Index
from crossdock.journal.migrate import migrate, shipped
from crossdock.journal.pauses import Pauses
from crossdock.journal.people import People
from crossdock.journal.polls import SqlitePolls
from crossdock.journal.rows import (
    NEEDING,
    Accepted,
    Arrivals,
    Blocked,
    Checkpoint,
    Claim,
    ClaimedRun,
    ConnectionState,
    Earlier,
    Expired,
    NewAlert,
    NewEvent,
    NewRun,
    Page,
    RunBrief,
    RunRow,
    RunUpdate,
    StoredAlert,
    StoredEvent,
    StoredStep,
    StoredToken,
)
from crossdock.journal.statements import load
from crossdock.journal.store import Store, connect_reader, connect_writer, explain
from crossdock.journal.talks import Talks
from crossdock.journal.writer import Writer

T = TypeVar("T")
_MOST_PER_PAGE = 500
_MICRO = timedelta(microseconds=1)
_GAP = timedelta(milliseconds=20)
"""Runs that waited for the same connection begin so far apart …"""
_SPREAD = timedelta(seconds=30)
"""… unless they are so many that this is not enough for all of them."""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _stop(update: RunUpdate) -> dict[str, Any]:
    """What lists of runs that stopped or wait somewhere are made of."""
    needs_person = update.status in NEEDING
    return {
        "stopped_connection": update.stopped_connection or "",
        "error_kind": str((update.error or {}).get("kind", "")),
        "stopped": update.error is not None or bool(update.stopped_connection) or needs_person,
        "needs_person": needs_person,
    }


def utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteJournal:
    """A `Journal` on the SQLite file `path`.

    `redact` is applied to every JSON text before it is written. `now` stamps what has no instant of its own.
    `busy` is how long to wait for another process that writes to the same file.
    """

    def __init__(
        self,
        path: Path,
        *,
        redact: Callable[[str], str],
        now: Callable[[], datetime] = utc_now,
        busy: timedelta = timedelta(seconds=10),
    ) -> None:
        self.path = path
        self._redact = redact
        self._json = JsonText(redact)
        self._now = now
        self._busy = busy
        self._stores: list[Store] = []
        self._writer: Writer | None = None
        self._reader: Store | None = None
        self._cursors = Cursors(b"")
        self.polls = SqlitePolls(self._write, self._read, self._arrival_rows, redact, now)
        self.hooks = Hooks(self._write, self._read)
        self.condition = Condition(self._read)
        self.index = Index(self._write, self._read, redact)
        self.people = People(self._write, self._read, lambda act: self.audit.row(act))
        self.talks = Talks(self._write, self._read, self._json)
        self.audit = Audit(self._write, self._read, self._json, lambda: self._cursors)
        self.pauses = Pauses(self._write, self._read, self.audit.row, _GAP, _SPREAD)
        self.bulk = BulkJobs(self._write, self._read, self._json, self.audit)

    async def __aenter__(self) -> SqliteJournal:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def commits(self) -> int:
        """Transactions committed by this journal since it was opened; one carries many checkpoints."""
        return self._writer.commits if self._writer else 0

    @property
    def trouble(self) -> str | None:
        """Why nothing could be written the last time that there was something to write; None while all is well."""
        return self._writer.trouble if self._writer else None

    async def open(self) -> None:
        try:
            store = await connect_writer(self.path, self._busy)
            self._stores.append(store)
            await store.perform(partial(migrate, migrations=shipped(), at=micros(self._now()), patience=self._busy))
            reader = await connect_reader(self.path, self._busy)
            self._stores.append(reader)
            key = await reader.perform(lambda db: db.execute(load("store")["cursor_key"]).fetchone()[0])
        except BaseException as error:
            await self.close()
            if isinstance(error, sqlite3.Error):
                raise explain(error) from error
            raise
        self._cursors = Cursors(key)
        self._identity = _identity(self.path)
        self._writer, self._reader = Writer(store, self._hold_file, self._busy), reader

    def _hold_file(self) -> None:
        """Raise `JournalError` if the path names another file by now: what is written here would be lost with it."""
        if _identity(self.path) != self._identity:
            raise JournalError(
                f"the database {self.path} was moved, removed or replaced while it is in use; nothing was written;"
                " put it back, or restart what uses it"
            )

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()
        while self._stores:
            await self._stores.pop().close()
        self._reader = None

    async def _write(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise JournalError("the journal is not open")
        return await self._writer.write(unit)

    async def _read(self, work: Callable[..., T], *values: Any) -> T:
        if self._reader is None:
            raise JournalError("the journal is not open")
        try:
            return await self._reader.perform(lambda db: work(db, *values))
        except sqlite3.Error as error:
            raise explain(error) from error

    # What is stored of an argument is fixed here, in the caller's thread, before the writer sees it.

    def _run_values(self, run: NewRun) -> dict[str, Any]:
        now = micros(self._now())
        return {
            "id": run.id,
            "flow": run.flow,
            "key": run.key,
            "plan_hash": run.plan_hash,
            "trace": run.trace,
            "replay_of": run.replay_of,
            "root": run.root,
            "status": run.status,
            "due_at": now if run.due_at is None else micros(run.due_at),
            "created_at": now,
        }

    def _event_values(self, connection: str, event: NewEvent) -> dict[str, Any]:
        return {
            "connection": connection,
            "id": event.id,
            "type": event.type,
            "subject": event.subject,
            "data": self._json(event.data),
            "received_at": micros(event.received_at or self._now()),
            "occurred_at": micros_or_none(event.occurred_at),
            "trace": event.trace,
            "via": event.via,
        }

    def _arrival_rows(self, connection: str, arrivals: Arrivals) -> list[intake.Arrival]:
        return [
            (self._event_values(connection, event), [self._run_values(run) for run in runs]) for event, runs in arrivals
        ]

    def _step_values(self, steps: Sequence[Checkpoint]) -> list[intake.StepValues]:
        return [(s.kind, s.leg, s.phase, self._json(s.data), micros(s.at)) for s in steps]

    def _update_values(self, update: RunUpdate, lease_until: datetime | None) -> dict[str, Any]:
        return {
            "status": update.status,
            "due_at": micros_or_none(update.due_at),
            "error": None if update.error is None else self._json(update.error),
            "leg": update.leg,
            "waits_for": update.waits_for,
            **_stop(update),
            "label": None if update.label is None else self._redact(update.label),
            "fingerprint": update.fingerprint,
            "freed": update.release or update.ended,
            "ended": update.ended,
            "leaves": update.leaves,
            "lease_until": micros_or_none(lease_until),
            "now": micros(self._now()),
        }

    async def accept(self, connection: str, arrivals: Arrivals) -> Accepted:
        rows = self._arrival_rows(connection, arrivals)
        accepted: Accepted = await self._write(intake.Accept(rows))
        return accepted

    def masks(self, data: Any) -> bool:
        text = jsonio.dumps(data).decode()
        return self._redact(text) != text

    async def probe(self) -> None:
        await self._write(partial(desk.probe, now=micros(self._now())))

    async def store_plan(self, plan_hash: str, flow: str, body: Mapping[str, Any]) -> None:
        now = micros(self._now())
        plan = {"hash": plan_hash, "flow": flow, "body": self._json(body), "created_at": now}
        await self._write(partial(intake.store_plan, plan=plan))

    async def add_run(
        self, run: NewRun, event_seq: int, checkpoints: Sequence[Checkpoint] = (), act: Act | None = None
    ) -> str:
        values, steps = self._run_values(run), self._step_values(checkpoints)
        noted = self.audit.row(act) if act else None
        return await self._write(partial(intake.add_run, run=values, event_seq=event_seq, steps=steps, act=noted))

    async def empty(self, ended_before: datetime, limit: int = 100) -> int:
        before, now = micros(ended_before), micros(self._now())
        return await self._write(partial(pruning.empty_runs, ended_before=before, now=now, limit=limit))

    async def empty_events(self, received_before: datetime, limit: int = 500) -> int:
        before, now = micros(received_before), micros(self._now())
        return await self._write(partial(pruning.empty_events, received_before=before, now=now, limit=limit))

    async def prune(self, ended_before: datetime, limit: int = 100) -> int:
        before, now = micros(ended_before), micros(self._now())
        return await self._write(partial(pruning.delete_runs, ended_before=before, now=now, limit=limit))

    async def forget_events(self, received_before: datetime, limit: int = 500) -> int:
        return await self._write(partial(pruning.delete_events, received_before=micros(received_before), limit=limit))

    async def forget_alerts(self, told_before: datetime) -> int:
        told: str = jsonio.plain(told_before)
        return await self._write(partial(pruning.delete_told, told_before=told))

    async def expired(self, payloads_before: datetime, runs_before: datetime) -> Expired:
        return await self._read(pruning.expired, micros(payloads_before), micros(runs_before))

    async def give_back(self, spare: float) -> int:
        size, before, free = await self._read(pruning.space)
        while free > spare * before:
            left = await self._write(pruning.give_back)
            if left >= free:
                break
            free = left
        _, after, _ = await self._read(pruning.space)
        await self._cut_wal()
        return size * (before - after)

    async def _cut_wal(self) -> None:
        """Not a unit of the writer: a checkpoint is no part of a transaction."""
        if self._writer is None:
            raise JournalError("the journal is not open")
        await self._writer.between(pruning.truncate_wal)

    async def claim(self, owner: str, limit: int, now: datetime, lease: timedelta) -> list[ClaimedRun]:
        values = {"owner": owner, "lease_until": micros(now + lease), "now": micros(now)}
        return await self._write(partial(performing.claim_ready, limit=limit, lease=values))

    async def claim_run(self, run_id: str, owner: str, now: datetime, lease: timedelta) -> ClaimedRun | None:
        values = {"owner": owner, "lease_until": micros(now + lease), "now": micros(now)}
        return await self._write(partial(performing.claim_one, run_id=run_id, lease=values))

    async def checkpoint(
        self,
        claim: Claim,
        checkpoints: Sequence[Checkpoint],
        update: RunUpdate,
        lease_until: datetime | None,
        *,
        acquire: Sequence[str] = (),
        unlock: Sequence[str] = (),
    ) -> int:
        return await self._write(
            Checkpointing(
                claim=claim,
                steps=self._step_values(checkpoints),
                update=self._update_values(update, lease_until),
                used=tuple(update.objects_used),
                released=tuple(update.objects_released),
                acquire=tuple(acquire),
                unlock=tuple(unlock),
                alerts=self._alert_values(update.alerts),
                known_steps=update.known_steps,
            )
        )

    async def add_step(self, run_id: str, checkpoint: Checkpoint, due_at: datetime, act: Act | None = None) -> bool:
        steps = self._step_values([checkpoint])
        values = {"due_at": micros(due_at), "now": micros(self._now())}
        noted = self.audit.row(act) if act else None
        return await self._write(partial(performing.nudge, run_id=run_id, steps=steps, values=values, act=noted))

    async def dismiss(self, run_id: str, act: Act) -> bool:
        return await self._write(partial(desk.dismiss, run_id=run_id, act=self.audit.row(act)))

    async def mark_told(self, told: Mapping[str, int]) -> None:
        await self._write(partial(performing.mark_told, told=dict(told)))

    async def heartbeat(self, claims: Sequence[Claim], lease_until: datetime) -> list[Claim]:
        until = micros(lease_until)
        return await self._write(partial(performing.heartbeat, claims=tuple(claims), lease_until=until))

    async def release(self, claim: Claim, due_at: datetime | None) -> bool:
        due, now = micros_or_none(due_at), micros(self._now())
        return await self._write(partial(performing.release, claim=claim, due_at=due, now=now))

    async def release_dead(self, owner_alive: Callable[[str], bool]) -> int:
        dead = [owner for owner in await self._read(reading.owners) if not owner_alive(owner)]
        return await self._write(partial(performing.expire_owners, owners=dead)) if dead else 0

    async def approved(self, flow: str) -> int:
        return await self._read(reading.approved, flow)

    async def version(self) -> int:
        return await self._read(reading.version)

    async def plan(self, plan_hash: str) -> dict[str, Any]:
        return await self._read(reading.plan, plan_hash)

    async def run(self, run_id: str) -> RunRow | None:
        return await self._read(reading.run, run_id)

    async def history(self, run_id: str) -> tuple[RunRow, list[StoredStep]] | None:
        return await self._read(reading.history, run_id)

    async def steps(self, run_id: str) -> list[StoredStep]:
        return await self._read(reading.steps, run_id)

    async def event(self, seq: int) -> StoredEvent | None:
        return await self._read(reading.event, seq)

    async def runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 50, cursor: str | None = None) -> Page[RunRow]:
        bounded = max(1, min(limit, _MOST_PER_PAGE))
        return await self._read(listing.runs, self._cursors, wanted, bounded, cursor, listing.whole)

    async def briefs(self, wanted: RunFilter, *, limit: int = 500, cursor: str | None = None) -> Page[RunBrief]:
        bounded = max(1, min(limit, _MOST_PER_PAGE))
        return await self._read(listing.runs, self._cursors, wanted, bounded, cursor, listing.brief)

    async def replay_of(self, run_id: str) -> RunRow | None:
        return await self._read(reading.replay_of, run_id)

    async def next_due(self, now: datetime) -> datetime | None:
        return await self._read(reading.next_due, micros(now))

    async def oldest_due(self, now: datetime) -> datetime | None:
        return await self._read(reading.oldest_due, micros(now))

    async def untold(self, since: datetime, limit: int = 1000) -> list[RunRow]:
        return await self._read(reading.untold, micros(since), limit)

    async def blocked(self, limit: int = 2000) -> list[Blocked]:
        return await self._read(reading.blocked, limit)

    async def counts(self) -> dict[str, dict[str, int]]:
        return await self._read(reading.counts)

    async def overview(self, limit: int = 10) -> Overview:
        return await self._read(figures.overview, limit)

    async def throughput(self, flow: str | None, since: datetime, until: datetime, bucket: timedelta) -> Throughput:
        return await self._read(figures.throughput, flow, since, until, bucket)

    async def forget_endings(self, now: datetime) -> None:
        await self._write(partial(figures.forget_endings, now=now))

    async def changed_since(self, cursor: str | None, limit: int = 500) -> Changes:
        return await self._read(figures.changed_since, self._cursors, cursor, limit)

    async def last_succeeded(self, flow: str, key: str, root: str) -> Earlier | None:
        return await self._read(reading.last_succeeded, flow, key, root)

    async def others_since(self, key: str, connection: str, type_: str, subject: str, after: int) -> bool:
        return await self._read(reading.others_since, key, connection, type_, subject, after)

    async def leaving(self, flow: str, key: str, root: str) -> RunRow | None:
        return await self._read(reading.leaving, flow, key, root)

    async def other_users(self, connection: str, object_: str, object_id: str, root: str) -> list[str]:
        return await self._read(reading.other_users, connection, object_, object_id, root)

    async def origin(self, connection: str, object_: str, object_id: str, flow: str) -> RunRow | None:
        return await self._read(reading.origin, connection, object_, object_id, flow)

    async def making(
        self, connection: str, object_: str, flow: str, actions: Sequence[str], before: datetime
    ) -> RunRow | None:
        return await self._read(reading.making, connection, object_, flow, actions, micros(before))

    async def connection_state(self, name: str) -> ConnectionState:
        return await self._read(reading.connection, name)

    async def closed_connections(self) -> list[ConnectionState]:
        return await self._read(reading.closed_connections)

    async def close_connection(self, state: ConnectionState, alerts: Sequence[NewAlert] = ()) -> bool:
        values = {
            "name": state.name,
            "status": state.status,
            "reason": self._text(state.reason),
            "since": micros_or_none(state.since),
            "probe_at": micros_or_none(state.probe_at),
        }
        told = self._alert_values(alerts)
        return await self._write(partial(desk.close_connection, state=values, alerts=told))

    async def waiting_for(self, connection: str) -> int:
        return await self._read(reading.waiting_for, connection)

    async def open_connection(self, name: str, now: datetime, alerts: Sequence[NewAlert] = ()) -> None:
        spread = {"now": micros(now), "gap": _GAP // _MICRO, "spread": _SPREAD // _MICRO}
        told = self._alert_values(alerts)
        await self._write(partial(desk.open_connection, name=name, spread=spread, alerts=told))

    async def send_scout(self, name: str, now: datetime, following: datetime) -> str | None:
        return await self._write(partial(desk.send_scout, name=name, now=micros(now), following=micros(following)))

    async def postpone_probe(self, name: str, scout: str, until: datetime, reason: str) -> None:
        failed = {"name": name, "scout": scout, "probe_at": micros(until), "reason": self._text(reason)}
        await self._write(partial(desk.postpone_probe, failed=failed))

    async def hasten_probe(self, name: str, now: datetime) -> None:
        await self._write(partial(desk.hasten_probe, name=name, now=micros(now)))

    def _alert_values(self, alerts: Sequence[NewAlert]) -> list[intake.Row]:
        return [{"id": a.id, "data": self._json(a.data), "due_at": micros(a.due_at)} for a in alerts]

    def _text(self, text: str | None) -> str | None:
        return None if text is None else self._redact(text)

    async def put_alert(self, alert_id: str, data: Mapping[str, Any], due_at: datetime) -> bool:
        text, due = self._json(data), micros(due_at)
        return await self._write(partial(desk.put_alert, alert_id=alert_id, data=text, due_at=due))

    async def due_alerts(
        self,
        now: datetime,
        *,
        hold: timedelta,
        limit: int = 20,
        but_for: Collection[str] = (),
        in_hand: Collection[str] = (),
    ) -> list[StoredAlert]:
        start, until = micros(now), micros(now + hold)
        return await self._write(
            partial(desk.due_alerts, now=start, until=until, limit=limit, but_for=but_for, in_hand=in_hand)
        )

    async def alerts_of(self, run_id: str) -> list[StoredAlert]:
        return await self._read(reading.alerts_of, run_id)

    async def mark_alert(self, alert_id: str, *, retry_at: datetime | None) -> None:
        retry = micros_or_none(retry_at)
        await self._write(partial(desk.mark_alert, alert_id=alert_id, retry_at=retry))

    async def load_token(self, name: str) -> StoredToken | None:
        return await self._read(reading.token, name)

    async def swap_token(self, name: str, ciphertext: bytes, expected_version: int) -> bool:
        unit = partial(desk.swap_token, name=name, ciphertext=ciphertext, expected=expected_version)
        return await self._write(unit)

    async def lease_token(self, name: str, owner: str, until: datetime, now: datetime) -> bool:
        lease = {"name": name, "owner": owner, "until": micros(until), "now": micros(now)}
        return await self._write(partial(desk.lease_token, lease=lease))

    async def release_token(self, name: str, owner: str) -> None:
        await self._write(partial(desk.release_token, name=name, owner=owner))
