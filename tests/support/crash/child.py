"""The process that is made to die: one application over simulated vendors, which takes deliveries and works to rest.

As a program it forks such processes, for to start an interpreter for each would take ten times as long.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import logging
import os
import pickle
import signal
import sqlite3
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mutants
from crossdock import logs
from crossdock.intake import RefusedError
from crossdock.journal.base import JournalError
from crossdock.plugins import load_plugins
from crossdock.runners import local
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import WebhookRequest, crashpoints

_log = logging.getLogger("crossdock.crash")
REGISTRY = load_plugins()
"""Made once, by the server from which all these processes are forked."""
PATIENCE = 30.0
STUCK = 7
"""Exit code of a process that did not come to rest."""
FAILED_AT_ONCE = 8
"""Exit code of a process that could not even start, for the crash struck then."""
_LOOK = 0.005
_EVERYWHERE = frozenset({"intake", "journal", "alert", "token"})
"""Rooms that belong to no leg, whatever the task that happens to be under way."""


@dataclass(frozen=True)
class Place:
    """A point as it is reached: what it is about, for which leg, and for the how manieth time in this process."""

    point: str
    about: str = ""
    leg: str = ""
    nth: int = 1

    def __str__(self) -> str:
        return "-".join(str(part) for part in (self.point, self.about, self.leg, self.nth) if part)


@dataclass(frozen=True)
class Orders:
    """What a process is to do: take `deliveries`, rest, and die at `crash` by `how` (`kill` or `raise`)."""

    folder: Path
    deliveries: tuple[WebhookRequest, ...]
    crash: Place | None = None
    how: str = "kill"

    @property
    def database(self) -> Path:
        return self.folder / "crossdock.db"


class CrashError(RuntimeError):
    """What a test raises at a point."""


@dataclass
class _Clock:
    """Time that is not waited for: it jumps to what is due next."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class _Hook:
    """Counts the points and notes each in a file, so that the note outlives a kill."""

    orders: Orders
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def __call__(self, point: str, about: str) -> None:
        leg = "" if point.partition(".")[0] in _EVERYWHERE else str(logs.bound().get("leg") or "")
        self.seen[(point, about, leg)] += 1
        place = Place(point, about, leg, self.seen[(point, about, leg)])
        with (self.orders.folder / "reached").open("a") as notes:
            notes.write(f"{point},{about},{leg},{place.nth}\n")
        if place != self.orders.crash:
            return
        (self.orders.folder / "crashed").touch()
        if self.orders.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise CrashError(f"at {place}")


def main() -> None:
    """Fork a process for each orders that come in, one line each, and answer with its exit code."""
    mutants.remove_guard()
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        orders: Orders = pickle.loads(base64.b64decode(line))
        pid = os.fork()
        if pid == 0:
            os._exit(_live(orders))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _live(orders: Orders) -> int:
    """Run to rest, or to the crash."""
    signal.alarm(int(2 * PATIENCE))
    logging.basicConfig(filename=orders.folder / "log", level=logging.WARNING)
    local.POLL = timedelta(seconds=0.02)
    crashpoints.arm(_Hook(orders))
    try:
        return asyncio.run(_work(orders))
    except Exception:
        _log.exception("the process failed")
        return FAILED_AT_ONCE if (orders.folder / "crashed").exists() else 1


async def _work(orders: Orders) -> int:
    clock = _Clock()
    settings = Settings(
        config=orders.folder / "crossdock.yaml", database_url=f"sqlite:///{orders.database}", watch=0, grace=5
    )
    app = Crossdock(settings, env={}, clock=clock, registry=REGISTRY)
    await app.start()
    for delivery in orders.deliveries:
        await _deliver(app, delivery, orders)
    try:
        async with asyncio.timeout(PATIENCE):
            await _rest(app, orders.database, clock)
    except TimeoutError:
        return STUCK
    crashpoints.arm(None)
    await app.stop()
    return 0


async def _deliver(app: Crossdock, delivery: WebhookRequest, orders: Orders) -> None:
    """Deliver as vendors do: again, if the answer is not a 2xx."""
    for _ in range(3):
        with contextlib.suppress(RefusedError, JournalError, CrashError):
            await app.intake.receive("crm", delivery)
            with (orders.folder / "accepted").open("ab") as accepted:
                accepted.write(delivery.body + b"\n")
            app.runner.wake()
            return


async def _rest(app: Crossdock, database: Path, clock: _Clock) -> None:
    """Return once every run has ended or waits for a person, be it for credentials, and all alerts are delivered."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        while True:
            now = clock() - datetime(1970, 1, 1, tzinfo=UTC)
            open_, due = db.execute(_LEFT, {"now": now // timedelta(microseconds=1)}).fetchone()
            if not open_:
                await app.runner.quiesced()
                return
            ahead = timedelta(microseconds=due or 0) - now
            if due is not None and ahead > timedelta() and not app.runner.busy:
                clock.ahead += ahead
            await asyncio.sleep(_LOOK)


_LEFT = """
SELECT
  (SELECT count(*) FROM runs WHERE ended_at IS NULL AND status NOT IN ('held', 'in_doubt') AND NOT (
      owner IS NULL AND ifnull(due_at > :now, TRUE) AND waits_for IN (
        SELECT 'connection:' || name FROM connections WHERE status = 'paused' AND probe_at > :now)))
    + (SELECT count(*) FROM alerts WHERE due_at IS NOT NULL),
  (SELECT min(at) FROM (
    SELECT min(ready_at) AS at FROM runs WHERE turn = 1 UNION ALL SELECT min(due_at) FROM alerts
    UNION ALL SELECT min(probe_at) FROM connections))
"""
