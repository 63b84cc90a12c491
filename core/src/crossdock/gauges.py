"""What is read when somebody asks for the metrics: how the installation stands now."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from crossdock_sdk.contracts.account import Quota

from crossdock.connections import Connections
from crossdock.intake import Intake
from crossdock.journal.base import Journal
from crossdock.metrics import Gauge, Readings, Registry
from crossdock.state import FINAL
from crossdock.vault import Vault, VaultError

STATES = ("active", "down", "paused", "paused_by_person", "stopped")


class Gauges:
    """Reads the journal, the vault and the disk. All label values come from the routing file."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        vault: Vault,
        intake: Intake,
        database: Path,
        refused: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._vault = vault
        self._intake = intake
        self._database = database
        self._refused = refused
        self._now = now

    def show_in(self, registry: Registry) -> None:
        """Add all of them to a page of metrics."""
        self._add(registry, "queue_depth", "Runs that have not ended", ("flow", "status"), self.queue_depth)
        self._add(registry, "oldest_due_run_age_seconds", "How long the longest due run waits", (), self.oldest_due)
        self._add(registry, "needs_person_runs", "Runs that need a person", ("flow",), self.needs_person)
        told = "1 for the state in which a connection is"
        self._add(registry, "connection_state", told, ("connection", "state"), self.connection_states)
        told = "Seconds until the stored access token ends; negative once it has"
        self._add(registry, "token_expiry_seconds", told, ("connection",), self.token_expiry)
        told = "What the newest reply to this process said is left of a vendor's limit"
        self._add(registry, "quota_remaining", told, ("connection", "quota"), self.quota_remaining)
        told = "What that limit is"
        self._add(registry, "quota_limit", told, ("connection", "quota"), self.quota_limit)
        told = "Seconds since the newest delivery that came to this process"
        self._add(registry, "last_delivery_age_seconds", told, ("connection",), self.last_delivery)
        told = "Seconds since a source was last read to its end"
        self._add(registry, "last_poll_age_seconds", told, ("connection",), self.last_poll)
        self._add(registry, "poll_failures", "Failed polls in a row", ("connection",), self.poll_failures)
        self._add(registry, "alerts_undelivered", "Alerts that have not arrived", ("notifier",), self.undelivered)
        self._add(registry, "database_bytes", "Size of the database's files", ("file",), self.database)
        self._add(registry, "disk_free_bytes", "What is free where the database is", (), self.disk_free)
        told = "1 while the newest routing file is refused and an older one goes on"
        self._add(registry, "config_refused", told, (), self.config_refused)
        self._add(registry, "journal_trouble", "1 while the journal takes no writes", (), self.journal_trouble)

    def _add(
        self, registry: Registry, name: str, told: str, labels: tuple[str, ...], read: Callable[[], Awaitable[Readings]]
    ) -> None:
        registry.add(Gauge(f"crossdock_{name}", told, labels, read=read))

    async def queue_depth(self) -> Readings:
        counts = await self._journal.counts()
        return {
            (flow, status): number
            for flow, by_status in counts.items()
            for status, number in by_status.items()
            if status not in FINAL
        }

    async def oldest_due(self) -> Readings:
        since = await self._journal.oldest_due(self._now())
        return {(): max((self._now() - since).total_seconds(), 0.0) if since else 0.0}

    async def needs_person(self) -> Readings:
        found = await self._journal.overview(0)
        return {(name,): flow.need_person for name, flow in found.flows.items()}

    async def connection_states(self) -> Readings:
        by_hand = {one.name for one in await self._journal.pauses.all() if one.kind == "connection"}
        found: dict[tuple[str, ...], float] = {}
        for name in self._connections.names():
            state = (await self._journal.connection_state(name)).status
            shown = "paused_by_person" if name in by_hand else state
            found |= {(name, one): float(one == shown) for one in STATES}
        for name in self._connections.stopped:
            found |= {(name, one): float(one == "stopped") for one in STATES}
        return found

    async def token_expiry(self) -> Readings:
        found: dict[tuple[str, ...], float] = {}
        for name in self._connections.names():
            try:
                token = await self._vault.load(name)
            except VaultError:
                # That it cannot be opened is told where it is needed; here it would hide the others.
                continue
            if token is not None and token.expires_at is not None:
                found[name,] = (token.expires_at - self._now()).total_seconds()
        return found

    async def quota_remaining(self) -> Readings:
        return {labels: quota.remaining for labels, quota in self._quotas()}

    async def quota_limit(self) -> Readings:
        return {labels: quota.limit for labels, quota in self._quotas() if quota.limit is not None}

    def _quotas(self) -> list[tuple[tuple[str, str], Quota]]:
        found = self._connections.headrooms().items()
        return [((name, quota.name), quota) for name, headroom in found for quota in headroom.quotas]

    async def last_delivery(self) -> Readings:
        return {(name,): self._since(at) for name, at in self._intake.heard.items()}

    async def last_poll(self) -> Readings:
        polls = await self._journal.polls.all()
        return {(poll.connection,): self._since(poll.read_at) for poll in polls if poll.read_at is not None}

    async def poll_failures(self) -> Readings:
        return {(poll.connection,): poll.failures for poll in await self._journal.polls.all()}

    async def undelivered(self) -> Readings:
        return {(one.notifier,): one.number for one in await self._journal.condition.undelivered()}

    async def database(self) -> Readings:
        files = {"database": self._database, "wal": self._database.with_name(f"{self._database.name}-wal")}
        return {(name,): file.stat().st_size for name, file in files.items() if file.exists()}

    async def disk_free(self) -> Readings:
        return {(): shutil.disk_usage(self._database.parent).free}

    async def config_refused(self) -> Readings:
        return {(): float(self._refused())}

    async def journal_trouble(self) -> Readings:
        return {(): float(self._journal.trouble is not None)}

    def _since(self, at: datetime) -> float:
        return max((self._now() - at).total_seconds(), 0.0)
