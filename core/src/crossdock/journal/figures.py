"""Figures for an overview: how many runs ended when and how long they took, who needs a person, what changed."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock.journal.codec import instant, instant_or_none, micros, run_row
from crossdock.journal.cursors import Cursors
from crossdock.journal.rows import RunRow
from crossdock.journal.statements import load

_SQL = load("figures")
_STORE = load("store")
_SECOND = 1_000_000
_FEED = {"feed": "changes"}
GRAINS = {60: timedelta(days=2), 900: timedelta(days=9), 86400: None}
"""Seconds of the pieces of time in which endings are counted, and how long they are kept; None: for good."""
MOST_BUCKETS = 1500
_PERCENTILES = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What ended from `start` on, `{flow: {status: number}}`, and how long successful runs took from their start.

    `p50` and `p95` are seconds, told from counts up to bounds that roughly double; None where none succeeded.
    """

    start: datetime
    runs: Mapping[str, Mapping[str, int]]
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Throughput:
    """Buckets of `bucket` from `since` to `until`, oldest first, the empty ones too, and all of them in one."""

    bucket: timedelta
    since: datetime
    until: datetime
    buckets: tuple[Bucket, ...]
    total: Bucket


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """The runs of a flow by status, how many need a person, and since when the oldest unfinished one is there."""

    runs: Mapping[str, int]
    need_person: int
    oldest_unfinished: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All flows that have runs, and the runs that have needed a person for longest."""

    flows: Mapping[str, FlowFigures]
    need_person: int
    oldest: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Runs that have changed, as they are now, each once, in the order of their last change.

    `cursor` is for the next question; `more`: it has an answer already. `missed`: the cursor was so old that changes
    are not known any more, so whoever follows them has to look at everything anew.
    """

    items: tuple[RunRow, ...]
    cursor: str
    more: bool = False
    missed: bool = False


def grain_of(bucket: timedelta) -> int:
    """The seconds of the coarsest pieces of time that make up such buckets. Raises `ValueError`."""
    seconds, rest = divmod(bucket, timedelta(seconds=1))
    fitting = [grain for grain in GRAINS if not rest and seconds > 0 and seconds % grain == 0]
    if not fitting:
        raise ValueError(f"a bucket is whole minutes, not {bucket}")
    return max(fitting)


def throughput(
    db: sqlite3.Connection, flow: str | None, since: datetime, until: datetime, bucket: timedelta
) -> Throughput:
    """Endings from the bucket of `since` to that of `until`. Raises `ValueError` for too many buckets."""
    grain, size = grain_of(bucket), bucket // timedelta(microseconds=1)
    first, end = micros(since) // size * size, -(-micros(until) // size) * size
    if not 0 < (end - first) // size <= MOST_BUCKETS:
        raise ValueError(f"from {since.isoformat()} to {until.isoformat()} there are not 1 to {MOST_BUCKETS} buckets")
    values = {"grain": grain, "bucket": size, "since": first, "until": end, "flow": flow}
    pieces = {at: _Piece() for at in range(first, end, size)}
    total = _Piece()
    for row in db.execute(_SQL["throughput"], values).fetchall():
        pieces[row["at"]].add(row)
        total.add(row)
    bounds = [row["upto"] for row in db.execute(_SQL["durations"]).fetchall()]
    buckets = tuple(piece.bucket(at, bounds) for at, piece in pieces.items())
    return Throughput(bucket, instant(first), instant(end), buckets, total.bucket(first, bounds))


class _Piece:
    def __init__(self) -> None:
        self.runs: dict[str, dict[str, int]] = {}
        self.took: Counter[int] = Counter()

    def add(self, row: sqlite3.Row) -> None:
        of_flow = self.runs.setdefault(row["flow"], {})
        of_flow[row["status"]] = of_flow.get(row["status"], 0) + row["runs"]
        if row["status"] == "succeeded":
            self.took[row["took"]] += row["runs"]

    def bucket(self, at: int, bounds: list[int]) -> Bucket:
        p50, p95 = (percentile(self.took, bounds, share) for share in _PERCENTILES)
        return Bucket(instant(at), self.runs, p50, p95)


def percentile(took: Mapping[int, int], bounds: list[int], share: float) -> float | None:
    """The seconds within which this share ended, evenly spread between bounds; beyond the last, the last."""
    wanted, passed = share * sum(took.values()), 0
    if not wanted:
        return None
    for upto in bounds:
        number = took.get(upto, 0)
        if number and passed + number >= wanted:
            below = bounds[bisect_left(bounds, upto) - 1] if upto != bounds[0] else 0
            return (below + (upto - below) * (wanted - passed) / number) / 1000
        passed += number
    return bounds[-1] / 1000


def forget_endings(db: sqlite3.Connection, now: datetime) -> None:
    """Drop fine counts that are older than `GRAINS` says."""
    for grain, kept in GRAINS.items():
        if kept is not None:
            db.execute(_SQL["forget_endings"], {"grain": grain, "before": micros(now - kept)})


def overview(db: sqlite3.Connection, limit: int) -> Overview:
    """All of it at one instant."""
    db.execute(_STORE["begin_reading"])
    try:
        tallies = db.execute(_SQL["flows"]).fetchall()
        needing = {row["flow"]: row["runs"] for row in db.execute(_SQL["needing"]).fetchall()}
        oldest = tuple(map(run_row, db.execute(_SQL["longest_needing"], {"limit": limit}).fetchall()))
    finally:
        db.execute(_STORE["rollback"])
    flows = {
        flow: _flow([row for row in tallies if row["flow"] == flow], needing.get(flow, 0))
        for flow in dict.fromkeys(row["flow"] for row in tallies)
    }
    return Overview(flows, sum(needing.values()), oldest)


_FINAL = frozenset({"succeeded", "rolled_back", "dead", "ignored", "cancelled"})


def _flow(tallies: list[sqlite3.Row], needing: int) -> FlowFigures:
    unfinished = [row["oldest"] for row in tallies if row["status"] not in _FINAL and row["oldest"] is not None]
    return FlowFigures(
        {row["status"]: row["runs"] for row in tallies}, needing, instant_or_none(min(unfinished, default=None))
    )


def changed_since(db: sqlite3.Connection, cursors: Cursors, cursor: str | None, limit: int) -> Changes:
    """Changes after the cursor, up to `limit` of them; without one none, and where they are now."""
    db.execute(_STORE["begin_reading"])
    try:
        oldest, newest = db.execute(_SQL["bounds_of_changes"]).fetchone()
        after = newest if cursor is None else cursors.read(cursor, _FEED)
        if after > newest or after + 1 < oldest:
            return Changes((), cursors.write(newest, _FEED), missed=True)
        last, number = db.execute(_SQL["end_of_changes"], {"after": after, "limit": limit}).fetchone()
        if last is None:
            return Changes((), cursors.write(after, _FEED))
        rows = db.execute(_SQL["changed_runs"], {"after": after, "last": last}).fetchall()
        return Changes(tuple(map(run_row, rows)), cursors.write(last, _FEED), more=number == limit)
    finally:
        db.execute(_STORE["rollback"])
