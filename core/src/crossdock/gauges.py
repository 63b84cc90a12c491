"""What is read from the runtime each time that its metrics are asked for."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crossdock.journal.base import Poll
from crossdock.journal.opening import database_path
from crossdock.journal.pauses import CONNECTION
from crossdock.metrics import Gauge, Readings
from crossdock.readiness import readiness
from crossdock.state import FINAL, Status
from crossdock.vault import VaultError

if TYPE_CHECKING:
    from crossdock.runtime import Crossdock

STATES = ("active", "down", "paused", "paused_by_person", "stopped")


def watch(app: Crossdock) -> None:
    """Add the gauges of a runtime to its registry. All their labels come from the routing file or from the code."""
    for group in (_Work(app), _Sources(app), _Accounts(app), _Store(app), _Process(app)):
        for gauge in group.gauges():
            app.metrics.registry.add(gauge)


def expect(app: Crossdock) -> None:
    """Show as 0 what has not happened yet to what is in force, so that a rate sees the first of it."""
    for name, compiled in app.loaded.flows.items():
        for ending in FINAL:
            app.metrics.runs.expect(name, str(ending))
        for leg in compiled.flow.legs:
            app.metrics.retries.expect(name, leg.name)
    for name in app.connections.names():
        if app.connections.polling(name):
            app.metrics.polls.expect(name, "failed")


class _Group(ABC):
    def __init__(self, app: Crossdock) -> None:
        self._app = app

    @abstractmethod
    def gauges(self) -> Iterable[Gauge]: ...

    def _age(self, since: datetime) -> float:
        return max((self._app.now() - since).total_seconds(), 0.0)


class _Work(_Group):
    """Runs and alerts."""

    def gauges(self) -> Iterable[Gauge]:
        named = "crossdock_queue_depth"
        yield Gauge(named, "Runs that have not ended", ["flow", "status"], read=self._queue, unit="{run}")
        named, told = "crossdock_needs_person_runs", "Runs that need a person"
        yield Gauge(named, told, ["flow"], read=self._needing, unit="{run}")
        named, told = "crossdock_oldest_due_run_age_seconds", "How long the longest due run waits to be performed"
        yield Gauge(named, told, read=self._oldest_due)
        named, told = "crossdock_alerts_undelivered", "Alerts that have not arrived"
        yield Gauge(named, told, ["notifier"], read=self._alerts, unit="{alert}")
        named, told = "crossdock_alerts_undelivered_age_seconds", "How long the oldest alert has been on its way"
        yield Gauge(named, told, ["notifier"], read=self._alerts_age)

    async def _queue(self) -> Readings:
        found: dict[tuple[str, ...], float] = {(name, Status.QUEUED): 0 for name in self._app.loaded.flows}
        for flow, by_status in (await self._app.journal.counts()).items():
            found |= {(flow, status): number for status, number in by_status.items() if status not in FINAL}
        return found

    async def _needing(self) -> Readings:
        found = dict.fromkeys(self._app.loaded.flows, 0)
        found |= {name: flow.need_person for name, flow in (await self._app.journal.overview(0)).flows.items()}
        return {(name,): number for name, number in found.items()}

    async def _oldest_due(self) -> Readings:
        since = await self._app.journal.oldest_due(self._app.now())
        return {(): self._age(since) if since else 0.0}

    async def _alerts(self) -> Readings:
        waiting = dict.fromkeys(self._notifiers(), 0)
        waiting |= {each.notifier: each.number for each in await self._app.journal.condition.undelivered()}
        return {(name,): number for name, number in waiting.items()}

    async def _alerts_age(self) -> Readings:
        ages = dict.fromkeys(self._notifiers(), 0.0)
        undelivered = await self._app.journal.condition.undelivered()
        ages |= {each.notifier: self._age(each.oldest) for each in undelivered}
        return {(name,): age for name, age in ages.items()}

    def _notifiers(self) -> set[str]:
        return {name for compiled in self._app.loaded.flows.values() for name in compiled.flow.notify}


class _Sources(_Group):
    """What is heard of the vendors, by webhooks and by polls."""

    def gauges(self) -> Iterable[Gauge]:
        named, told = "crossdock_webhooks_registered", "Webhooks registered at the vendor from here"
        yield Gauge(named, told, ["connection"], read=self._registered, unit="{webhook}")
        named, told = "crossdock_last_delivery_timestamp_seconds", "When the newest authentic delivery known here came"
        yield Gauge(named, told, ["connection"], read=self._heard)
        named, told = "crossdock_last_poll_timestamp_seconds", "When a source was last read to its end"
        yield Gauge(named, told, ["connection"], read=self._read)
        yield Gauge(
            "crossdock_poll_failures", "Polls that failed in a row", ["connection"], read=self._failures, unit="{poll}"
        )

    async def _registered(self) -> Readings:
        registered = await self._app.journal.hooks.registered()
        names = filter(self._app.connections.brings_events, self._app.connections.names())
        return {(name,): registered[name].number if name in registered else 0 for name in names}

    async def _heard(self) -> Readings:
        heard, names = await self._app.intake.heard(), self._app.connections.names()
        return {(name,): heard[name].timestamp() for name in names if name in heard}

    async def _read(self) -> Readings:
        return {(poll.connection,): poll.read_at.timestamp() for poll in await self._polls() if poll.read_at}

    async def _failures(self) -> Readings:
        return {(poll.connection,): poll.failures for poll in await self._polls()}

    async def _polls(self) -> list[Poll]:
        polls = await self._app.journal.polls.all()
        return [poll for poll in polls if self._app.connections.polling(poll.connection) is not None]


class _Accounts(_Group):
    """Connections, their tokens and their vendors' limits."""

    def gauges(self) -> Iterable[Gauge]:
        named, told = "crossdock_connection_state", "1 for the state that a connection's circuit is in"
        yield Gauge(named, told, ["connection", "state"], read=self._states)
        named, told = "crossdock_connection_probing", "1 while one run tries whether a connection works again"
        yield Gauge(named, told, ["connection"], read=self._probing)
        named, told = "crossdock_connection_pause_seconds", "How long its vendor wants to be left alone, from now"
        yield Gauge(named, told, ["connection"], read=self._pauses)
        named, told = "crossdock_token_expiry_timestamp_seconds", "When a stored token ends, as far as the vendor tells"
        yield Gauge(named, told, ["connection", "token"], read=self._tokens)
        named, told = "crossdock_quota_remaining", "What is left of one of the vendor's limits, by its newest reply"
        yield Gauge(named, told, ["connection", "quota"], read=self._remaining)
        named, told = "crossdock_quota_limit", "One of the vendor's limits, by its newest reply"
        yield Gauge(named, told, ["connection", "quota"], read=self._limits)

    async def _states(self) -> Readings:
        now = dict.fromkeys(self._app.connections.names(), "active")
        now |= {state.name: state.status for state in await self._app.journal.closed_connections()}
        now |= {one.name: "paused_by_person" for one in await self._app.journal.pauses.all() if one.kind == CONNECTION}
        now |= dict.fromkeys(self._app.connections.stopped, "stopped")
        known = {*self._app.connections.names(), *self._app.connections.stopped}
        return {(name, state): float(state == at) for name, at in now.items() if name in known for state in STATES}

    async def _probing(self) -> Readings:
        scouts = {state.name: state.scout for state in await self._app.journal.closed_connections()}
        return {(name,): float(scouts.get(name) is not None) for name in self._app.connections.names()}

    async def _pauses(self) -> Readings:
        return {(name,): headroom.pause for name, headroom in self._app.connections.headrooms().items()}

    async def _tokens(self) -> Readings:
        found: dict[tuple[str, ...], float] = {}
        for name in self._app.connections.names():
            # One connection's tokens that cannot be opened hide no other's; the connection itself says what to do.
            with contextlib.suppress(VaultError):
                for token, at in (await self._app.vault.expiries(name)).items():
                    found[name, token] = at.timestamp()
        return found

    async def _remaining(self) -> Readings:
        rooms = self._app.connections.headrooms().items()
        return {(name, quota.name): quota.remaining for name, room in rooms for quota in room.quotas}

    async def _limits(self) -> Readings:
        rooms = self._app.connections.headrooms().items()
        limits = {(name, quota.name): quota.limit for name, room in rooms for quota in room.quotas}
        return {labels: limit for labels, limit in limits.items() if limit is not None}


class _Store(_Group):
    """The database's file and the disk that it is on."""

    def gauges(self) -> Iterable[Gauge]:
        named, told = "crossdock_database_size_bytes", "Size of the database's files: database and wal"
        yield Gauge(named, told, ["file"], read=self._size)
        yield Gauge("crossdock_disk_free_bytes", "Free space where the database is", read=self._free)
        named, told = "crossdock_last_retention_timestamp_seconds", "When this process last did a round of retention"
        yield Gauge(named, told, read=self._retention)

    @property
    def _path(self) -> Path:
        return database_path(self._app.settings.database_url)

    async def _size(self) -> Readings:
        files = {"database": self._path, "wal": self._path.with_name(f"{self._path.name}-wal")}
        return await asyncio.to_thread(lambda: {(name,): _bytes(path) for name, path in files.items()})

    async def _free(self) -> Readings:
        usage = await asyncio.to_thread(shutil.disk_usage, self._path.absolute().parent)
        return {(): usage.free}

    async def _retention(self) -> Readings:
        last = self._app.keeper.last
        return {} if last is None else {(): last.timestamp()}


class _Process(_Group):
    """The application itself."""

    def gauges(self) -> Iterable[Gauge]:
        yield Gauge("crossdock_ready", "1 while the server makes progress, as /readyz says", read=self._ready)
        named, told = "crossdock_config_refused", "1 while the newest routing file is refused and an older one goes on"
        yield Gauge(named, told, read=self._refused)
        yield Gauge("process_start_time_seconds", "When it started, since 1970", read=self._start, otel="")

    async def _ready(self) -> Readings:
        return {(): float((await readiness(self._app)).ready)}

    async def _refused(self) -> Readings:
        return {(): float(bool(self._app.problems))}

    async def _start(self) -> Readings:
        return {(): self._app.begun.timestamp()}


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
