"""What goes into a journal and comes out of it: plain, frozen rows.

Instants are UTC-aware `datetime`s; `data`, `error` and plan bodies are plain JSON data whose numbers with a
point are `Decimal`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

NEEDING = frozenset({"held", "in_doubt", "awaiting_approval", "dead", "rolled_back"})
"""Statuses in which a run needs a person; an ended one until it is replayed or dismissed."""


def connection_wait(name: str) -> str:
    """The `waits_for` of a run that waits until the connection `name` is active again."""
    return f"connection:{name}"


def run_wait(run_id: str) -> str:
    """The `waits_for` of a run that waits until another has ended."""
    return f"run:{run_id}"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to accept. `(connection, id)` is what makes it the same event when it comes again."""

    id: str
    type: str
    subject: str
    data: Mapping[str, Any]
    occurred_at: datetime | None = None
    trace: str = ""
    received_at: datetime | None = None
    """None: now."""
    via: str = "webhook"
    """By which way it came: `webhook` or `poll`."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An accepted event. `seq` rises in order of arrival over all connections."""

    seq: int
    connection: str
    id: str
    type: str
    subject: str
    data: dict[str, Any]
    received_at: datetime
    occurred_at: datetime | None
    trace: str
    via: str = "webhook"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to store. Its plan must be stored already; `due_at` None is: at once.

    `trace` is a W3C traceparent. `root` is the first run of a chain of replays; None is the root of
    `replay_of`, or the run itself.
    """

    id: str
    flow: str
    key: str
    plan_hash: str
    trace: str = ""
    replay_of: str | None = None
    root: str | None = None
    status: str = "queued"
    due_at: datetime | None = None


class RunRow(msgspec.Struct, frozen=True):
    """A run as stored. (A struct, for lists and claims make them by the hundred.)

    `due_at` is when it is to be looked at next (None: only a person, a lock or a connection wakes it).
    `owner`, `lease_until` and `fence` say who performs it; `takeovers` counts performers that vanished.
    `leg` is where it stands or stopped, `error` why. `waits_for` is the name of a lock, or
    `connection_wait(name)`; None where only time or a person ends the wait. `ended_at` is set exactly
    when the status is final.
    """

    id: str
    flow: str
    key: str
    status: str
    event_seq: int
    plan_hash: str
    trace: str
    replay_of: str | None
    root: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    due_at: datetime | None
    owner: str | None
    lease_until: datetime | None
    fence: int
    error: dict[str, Any] | None
    leg: str | None
    waits_for: str | None
    takeovers: int
    fingerprint: str | None
    told: int
    """Up to which step the run's spans have been exported; -1: not even its root."""
    stopped_connection: str | None = None
    """Where it stopped or waits: its leg's connection, or its source's while it reads; None while all goes well."""
    label: str | None = None
    """What people call it, such as the deal's title; None before its record is read, and once that is removed."""
    dismissed: bool = False
    """A person has said that nothing more is to be done about it."""
    needs_person: bool = False
    """It is held, in doubt or waits for a yes; or it failed, and was neither replayed nor dismissed."""
    emptied_at: datetime | None = None
    """When retention removed what the run was about; its statuses, instants and receipts are still there."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run of a key that succeeded; remembered even when the run itself is not in the journal any more."""

    id: str
    root: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    """How many runs there are whose payload, and whose rows, retention may take."""

    payloads: int
    runs: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One step to record: what was done (`kind`), to which leg, at which point of it (`phase`)."""

    kind: str
    leg: str | None
    phase: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A recorded step; `seq` counts from 1 within its run."""

    run_id: str
    seq: int
    kind: str
    leg: str | None
    phase: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to perform a run. A later claim on the same run has a higher `fence` and voids this one."""

    run_id: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A claimed run with all that its next decision needs. `row` is as after the claim.

    `taken_over`: the performer before this one never gave its claim back, so it may have died in a step.
    `damage` says what of the run's rows cannot be read, in which case `steps` and the event's data are empty.
    """

    row: RunRow
    event: StoredEvent
    steps: tuple[StoredStep, ...]
    claim: Claim
    taken_over: bool
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A run that cannot go on before a person has seen to another: `behind` is held or in doubt."""

    row: RunRow
    behind: str
    behind_status: str


@dataclass(frozen=True, slots=True)
class ObjectUse:
    """That a leg's effect rests on a vendor object, such as `("books", "customer", "58", "customer")`."""

    connection: str
    object: str
    object_id: str
    leg: str


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to deliver from `due_at` on. The same id again stores nothing."""

    id: str
    data: Mapping[str, Any]
    due_at: datetime


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """The run's new state, written with its checkpoints.

    `status`, `due_at`, `error`, `leg` and `waits_for` are written as they stand: None clears. `fingerprint`
    None keeps the stored one. `release` gives the claim back; `ended` says that `status` is final, which
    gives the claim back too, drops the run's locks and lets the next run of its key begin.

    With `waits_for` set and `due_at` None, a lock (or connection) that has come free in the meantime makes
    the run due at once, so that no wake-up is lost; and so does a run that has ended, whatever `due_at` is.
    """

    status: str
    due_at: datetime | None = None
    error: Mapping[str, Any] | None = None
    leg: str | None = None
    waits_for: str | None = None
    stopped_connection: str | None = None
    """The connection at which it waits or failed, None if it did neither."""
    label: str | None = None
    """What people call it, if that is known by now."""
    fingerprint: str | None = None
    release: bool = False
    ended: bool = False
    leaves: bool = False
    """With `ended`: something that it wrote stands or may stand."""
    objects_used: Sequence[ObjectUse] = ()
    objects_released: Sequence[ObjectUse] = ()
    alerts: Sequence[NewAlert] = ()
    """Alerts that arise with this checkpoint, and only if it is written."""
    known_steps: int | None = None
    """How many steps the performer knew: if the run has more, nothing is written and `Overtaken` is raised."""


Arrivals: TypeAlias = Sequence[tuple[NewEvent, Sequence[NewRun]]]
"""Events, each with the runs that it starts."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What `accept` stored: the ids of new runs, in order, and how many events were known already."""

    runs: tuple[str, ...]
    duplicates: int


class RunBrief(msgspec.Struct, frozen=True):
    """As much of a run as says what may be done to it, for who reads thousands."""

    id: str
    status: str
    needs_person: bool
    emptied_at: datetime | None


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of runs; `next_cursor` is None on the last.

    `partial`: the search was broken off after so many candidates that more may be found where `next_cursor` leads.
    """

    items: tuple[Item, ...]
    next_cursor: str | None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """Whether a connection may be used: `status` is `active`, `paused` (its credentials are refused) or `down`.

    A closed one is tried again at `probe_at` by one run that waits for it, the `scout`; `probes` counts those
    that failed in a row.
    """

    name: str
    status: str = "active"
    reason: str | None = None
    since: datetime | None = None
    probe_at: datetime | None = None
    probes: int = 0
    scout: str | None = None


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert. `tries` counts the deliveries tried before this one."""

    id: str
    data: dict[str, Any]
    tries: int


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A connection's OAuth tokens, encrypted. `version` rises by one with each swap, from 1."""

    ciphertext: bytes = field(repr=False)
    version: int
