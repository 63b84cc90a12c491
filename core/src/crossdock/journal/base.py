"""The checkpoint store as the rest of the runtime sees it: plain rows in, plain rows out, no decisions.

Every method that writes is one transaction and returns only after it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from crossdock.journal.audit import Act, Audit
from crossdock.journal.bulk import BulkJobs
from crossdock.journal.condition import Condition
from crossdock.journal.errors import (
    AlreadyReplayed,
    InvalidCursor,
    JournalError,
    JournalFull,
    LeaseLost,
    LockHeld,
    Overtaken,
    PayloadRemoved,
)
from crossdock.journal.figures import Changes, Overview, Throughput
from crossdock.journal.filters import ALL_RUNS, RunFilter
from crossdock.journal.hooks import Hooks
from crossdock.journal.index import Index
from crossdock.journal.pauses import Pauses
from crossdock.journal.people import People
from crossdock.journal.polls import Poll, PollLost, Polls
from crossdock.journal.rows import (
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
    ObjectUse,
    Page,
    RunBrief,
    RunRow,
    RunUpdate,
    StoredAlert,
    StoredEvent,
    StoredStep,
    StoredToken,
    connection_wait,
    run_wait,
)
from crossdock.journal.talks import Joining, Part, Talk, Talks

__all__ = (
    "Accepted",
    "Act",
    "AlreadyReplayed",
    "Arrivals",
    "Audit",
    "Blocked",
    "Changes",
    "Checkpoint",
    "Claim",
    "ClaimedRun",
    "ConnectionState",
    "Earlier",
    "Expired",
    "Index",
    "InvalidCursor",
    "Joining",
    "Journal",
    "JournalError",
    "JournalFull",
    "LeaseLost",
    "LockHeld",
    "NewAlert",
    "NewEvent",
    "NewRun",
    "ObjectUse",
    "Overtaken",
    "Overview",
    "Page",
    "Part",
    "PayloadRemoved",
    "People",
    "Poll",
    "PollLost",
    "Polls",
    "RunBrief",
    "RunFilter",
    "RunRow",
    "RunUpdate",
    "StoredAlert",
    "StoredEvent",
    "StoredStep",
    "StoredToken",
    "Talk",
    "Talks",
    "Throughput",
    "connection_wait",
    "run_wait",
)


class Journal(Protocol):
    """A checkpoint store. All methods raise `JournalError` if the store itself fails; it stays usable."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date. Raises `JournalError` if it is newer than the code."""

    async def close(self) -> None:
        """Finish what was asked for, then disconnect. Nothing may be called after it."""

    @property
    def trouble(self) -> str | None:
        """Why nothing could be written the last time that there was something to write; None while all is well."""
        ...

    @property
    def talks(self) -> Talks:
        """Which alerts belong to one message, where it stands, and what of it has been told."""
        ...

    @property
    def audit(self) -> Audit:
        """What people did."""
        ...

    @property
    def index(self) -> Index:
        """The words by which runs are found."""
        ...

    @property
    def bulk(self) -> BulkJobs:
        """What is to be done to many runs."""
        ...

    @property
    def pauses(self) -> Pauses:
        """What a person has stopped for a while."""
        ...

    @property
    def condition(self) -> Condition:
        """What tells whether all is well, beside the runs themselves."""
        ...

    @property
    def people(self) -> People:
        """Who may use this installation."""
        ...

    @property
    def hooks(self) -> Hooks:
        """Webhooks that were registered from here."""
        ...

    def masks(self, data: Any) -> bool:
        """Whether plain data holds a secret that is masked where it is stored."""
        ...

    async def probe(self) -> None:
        """Write something small, to see whether writes are taken again."""

    @property
    def polls(self) -> Polls:
        """How far sources have been read by polling."""
        ...

    async def accept(self, connection: str, arrivals: Arrivals) -> Accepted:
        """Store events with the runs that each starts. An event that is known already stores nothing."""
        ...

    async def store_plan(self, plan_hash: str, flow: str, body: Mapping[str, Any]) -> None:
        """Store a flow's plan under its hash; again with the same hash is nothing."""

    async def plan(self, plan_hash: str) -> dict[str, Any]:
        """The body of a stored plan. Raises `JournalError` if there is none."""
        ...

    async def add_run(
        self, run: NewRun, event_seq: int, checkpoints: Sequence[Checkpoint] = (), act: Act | None = None
    ) -> str:
        """Store one more run of a stored event, such as a replay, with its first steps and whose act it is; its id.

        Raises `AlreadyReplayed` if `run.replay_of` has a replay: replay that one instead. Raises `PayloadRemoved`
        if retention has taken what a replay would be made of.
        """
        ...

    async def claim(self, owner: str, limit: int, now: datetime, lease: timedelta) -> list[ClaimedRun]:
        """Take up to `limit` runs that are due, longest due first.

        Due is: `due_at <= now` and nobody's, or a lease that ran out. Of the unfinished runs of one
        `(flow, key)` only the one whose turn it is can be claimed: the earliest by event and creation, or
        the one that has begun already. The status is left as it is. A run whose rows cannot be read is
        claimed too, with its `damage`, so that it keeps nobody else waiting.
        """
        ...

    async def claim_run(self, run_id: str, owner: str, now: datetime, lease: timedelta) -> ClaimedRun | None:
        """Take this run, due or not; None if it is ended, leased to somebody, or not its turn."""
        ...

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
        """Record steps and the run's new state, take locks and drop locks: all of it or nothing.

        Returns how many steps the run has now: more than its performer knows of means that a person added
        one (`add_step`), so read them again. Raises `Overtaken` for that instead,
        with `update.known_steps`. `lease_until` None keeps the lease as it is. Dropped locks wake
        the runs that wait for them. Raises `LeaseLost` if the claim is void or the run ended, `LockHeld` if
        another run has one of `acquire`.
        """
        ...

    async def add_step(self, run_id: str, checkpoint: Checkpoint, due_at: datetime, act: Act | None = None) -> bool:
        """Record what a person decided, claimed or not, and make the run due; False, and nothing, if it ended.

        If it is being performed, it is due again as soon as its performer gives it back.
        """
        ...

    async def dismiss(self, run_id: str, act: Act) -> bool:
        """Note that nothing more is to be done about a failed run; False, and nothing, if it needs nobody."""
        ...

    async def mark_told(self, told: Mapping[str, int]) -> None:
        """Note, by run id, up to which step spans have been exported."""

    async def heartbeat(self, claims: Sequence[Claim], lease_until: datetime) -> list[Claim]:
        """Prolong leases; returns the claims that are void."""
        ...

    async def release(self, claim: Claim, due_at: datetime | None) -> bool:
        """Give a claim back without a step; False if it is void."""
        ...

    async def release_dead(self, owner_alive: Callable[[str], bool]) -> int:
        """End the leases of owners that are no more; returns how many. Their next claim is `taken_over`."""
        ...

    async def run(self, run_id: str) -> RunRow | None:
        """One run."""
        ...

    async def history(self, run_id: str) -> tuple[RunRow, list[StoredStep]] | None:
        """One run with all its steps, as both stood at one instant."""
        ...

    async def steps(self, run_id: str) -> list[StoredStep]:
        """All steps of a run, oldest first."""
        ...

    async def event(self, seq: int) -> StoredEvent | None:
        """One event."""
        ...

    async def runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 50, cursor: str | None = None) -> Page[RunRow]:
        """Runs, newest first; 500 a page at most. Raises `InvalidCursor` for a cursor not given out for this filter."""
        ...

    async def briefs(self, wanted: RunFilter, *, limit: int = 500, cursor: str | None = None) -> Page[RunBrief]:
        """The same list, with no more of each run than what may be done to it; 500 a page at most."""
        ...

    async def replay_of(self, run_id: str) -> RunRow | None:
        """The direct replay of a run, if it has one."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """The first instant after `now` at which a run becomes due."""
        ...

    async def oldest_due(self, now: datetime) -> datetime | None:
        """Since when the longest waiting run has been due."""
        ...

    async def untold(self, since: datetime, limit: int = 1000) -> list[RunRow]:
        """Runs that ended after `since` and whose spans have not all been exported."""
        ...

    async def blocked(self, limit: int = 2000) -> list[Blocked]:
        """Runs that wait for their turn, or for a lock, behind a run that is held or in doubt."""
        ...

    async def approved(self, flow: str) -> int:
        """How many runs of a flow a person has said yes to, replays of one run counted once."""
        ...

    async def version(self) -> int:
        """A number that is another one after each commit, by whichever process; it says nothing else."""
        ...

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many runs there are: `{flow: {status: number}}`."""
        ...

    async def overview(self, limit: int = 10) -> Overview:
        """How many runs each flow has, and the `limit` runs that have needed a person for longest, oldest first."""
        ...

    async def throughput(self, flow: str | None, since: datetime, until: datetime, bucket: timedelta) -> Throughput:
        """How many runs ended, and how long they took, in buckets of whole minutes; pruned runs count on.

        Minutes are known for two days, quarters of an hour for nine, UTC days for good: a bucket of an hour is made of
        quarters. Raises `ValueError` for another bucket, and for more than 1500 of them.
        """
        ...

    async def forget_endings(self, now: datetime) -> None:
        """Drop counts of minutes and quarters of an hour that are too old for `throughput`."""

    async def changed_since(self, cursor: str | None, limit: int = 500) -> Changes:
        """Runs that any process has changed since the cursor was given out; without one, where changes stand now.

        Cheap enough to be asked every second. Raises `InvalidCursor`.
        """
        ...

    async def last_succeeded(self, flow: str, key: str, root: str) -> Earlier | None:
        """The newest run of the key, outside the replay chain `root`, that succeeded and has no replay since.

        One that retention has deleted, too.
        """
        ...

    async def others_since(self, key: str, connection: str, type_: str, subject: str, after: int) -> bool:
        """Whether a run of this key succeeded for a later event than `after`, of another type and about the subject."""
        ...

    async def leaving(self, flow: str, key: str, root: str) -> RunRow | None:
        """The newest ended run of the key, outside the replay chain `root`, that left something and has no replay."""
        ...

    async def other_users(self, connection: str, object_: str, object_id: str, root: str) -> list[str]:
        """The ids of runs outside the replay chain `root` whose effect rests on the object, oldest first."""
        ...

    async def origin(self, connection: str, object_: str, object_id: str, flow: str) -> RunRow | None:
        """The newest run of `flow` whose effect rests on the object."""
        ...

    async def making(
        self, connection: str, object_: str, flow: str, actions: Sequence[str], before: datetime
    ) -> RunRow | None:
        """The oldest unfinished run of `flow` that may have made an object of this kind before, without its id.

        `actions` are those that make such objects, such as `books.invoice.create`.
        """
        ...

    async def connection_state(self, name: str) -> ConnectionState:
        """The state of a connection; active if nothing was ever said."""
        ...

    async def closed_connections(self) -> list[ConnectionState]:
        """The states of the connections that may not be used."""
        ...

    async def close_connection(self, state: ConnectionState, alerts: Sequence[NewAlert] = ()) -> bool:
        """Store that a connection may not be used, with the alerts that this brings; False, and nothing, if known.

        One that was `down` may become `paused`, but not the other way round.
        """
        ...

    async def waiting_for(self, connection: str) -> int:
        """How many runs wait for a connection that may not be used."""
        ...

    async def open_connection(self, name: str, now: datetime, alerts: Sequence[NewAlert] = ()) -> None:
        """Let a connection be used again, with the alerts that this brings; nothing if it may be used.

        The runs that wait for it become due, some milliseconds apart.
        """
        ...

    async def send_scout(self, name: str, now: datetime, following: datetime) -> str | None:
        """Make one run that waits for a closed connection due, and name it in its state; its id.

        None if it is not time yet (`probe_at`) or no run waits. `following` is when another is sent if nothing
        is heard of this one.
        """
        ...

    async def postpone_probe(self, name: str, scout: str, until: datetime, reason: str) -> None:
        """Note that the scout failed, and why; nothing if another has become the scout."""
        ...

    async def hasten_probe(self, name: str, now: datetime) -> None:
        """Let a closed connection be tried again now."""
        ...

    async def put_alert(self, alert_id: str, data: Mapping[str, Any], due_at: datetime) -> bool:
        """Store an alert that belongs to no run; False if the id is known (also if delivered)."""
        ...

    async def due_alerts(
        self,
        now: datetime,
        *,
        hold: timedelta,
        limit: int = 20,
        but_for: Collection[str] = (),
        in_hand: Collection[str] = (),
    ) -> list[StoredAlert]:
        """Alerts to deliver now, oldest first; each is hidden from other callers for `hold`.

        Passed over are those of the notifiers `but_for`, by name, and those that are `in_hand`, by id: the clock may
        jump beyond `hold` while they are being delivered.
        """
        ...

    async def alerts_of(self, run_id: str) -> list[StoredAlert]:
        """The alerts of one run, delivered or not, oldest first."""
        ...

    async def mark_alert(self, alert_id: str, *, retry_at: datetime | None) -> None:
        """Delivered (None), or to be tried again at `retry_at`."""

    async def empty(self, ended_before: datetime, limit: int = 100) -> int:
        """Remove the payload of up to `limit` runs that ended before; how many.

        What stays is what happened when, and what was made. Not a run whose replay has not ended.
        """
        ...

    async def empty_events(self, received_before: datetime, limit: int = 500) -> int:
        """Remove the data of up to `limit` events that no run with a payload is about; how many."""
        ...

    async def prune(self, ended_before: datetime, limit: int = 100) -> int:
        """Delete about `limit` runs that ended before and that nothing needs any more; how many.

        Their events stay known, without their data. Not a run that left something and may yet be replayed, nor
        one of a key that is at work, nor one that uses what another run may yet undo.
        """
        ...

    async def forget_events(self, received_before: datetime, limit: int = 500) -> int:
        """Forget up to `limit` emptied events that have no runs; how many. Keep what may still be delivered again."""
        ...

    async def forget_alerts(self, told_before: datetime) -> int:
        """Delete delivered alerts about connections; those about runs go with their payloads, or once told."""
        ...

    async def expired(self, payloads_before: datetime, runs_before: datetime) -> Expired:
        """How much `empty` and `prune` would take."""
        ...

    async def give_back(self, spare: float) -> int:
        """Give free space back to the disk, in small steps, but for this share of the file; how many bytes."""
        ...

    async def load_token(self, name: str) -> StoredToken | None:
        """The stored tokens of a connection."""
        ...

    async def swap_token(self, name: str, ciphertext: bytes, expected_version: int) -> bool:
        """Store as version `expected_version + 1` if the stored version is that (0: none)."""
        ...

    async def lease_token(self, name: str, owner: str, until: datetime, now: datetime) -> bool:
        """Take the right to refresh a connection's tokens; False while somebody else's lease runs."""
        ...

    async def release_token(self, name: str, owner: str) -> None:
        """Give the right to refresh back, if it is this owner's."""
