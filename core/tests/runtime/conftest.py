"""The whole runtime in this process, over a vendor that does what a test's script says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossdock.actors import at_terminal
from crossdock.operations import Operations
from crossdock.plugins import Registry, load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.state import Run, fold
from crossdock.testing.tables import read_tables
from crossdock_sdk import Alert, Event
from scripted import Plugin, Vendor

AT_REST = ("succeeded", "rolled_back", "dead", "ignored", "cancelled", "held", "in_doubt")


@dataclass
class House:
    """One application with the flow `f`, and others perhaps."""

    app: Crossdock
    vendor: Vendor
    routing: dict[str, Any]
    events: int = 0

    @property
    def operations(self) -> Operations:
        return Operations(self.app.journal, at_terminal("tester"), self.app.now, self.app.rng)

    def write(self) -> None:
        self.app.settings.config.write_text(yaml.safe_dump(self.routing, sort_keys=False))

    async def reload(self) -> None:
        self.write()
        assert await self.app.reload() == ()

    async def win(self, key: str = "1") -> str:
        return await self.happens("deal.won", key)

    async def happens(self, kind: str, subject: str) -> str:
        """Have an event delivered; the first run that it starts."""
        self.events += 1
        event = Event(kind, f"e{self.events}", subject, {kind.partition(".")[0]: {"id": subject}})
        taken = await self.app.intake.accept("v", [event], self.app.telemetry.new_trace())
        self.app.runner.wake()
        return taken.runs[0]

    async def replay(self, run: str) -> str:
        before = await self.app.journal.run(run)
        assert before is not None
        row = await self.operations.replay(run, self.app.loaded.flows[before.flow].plan_hash)
        self.app.runner.wake()
        return row.id

    async def rests(self, run: str, *statuses: str) -> Any:
        """The run's row once it is in one of these statuses and in nobody's hands."""
        async with asyncio.timeout(20):
            while True:
                row = await self.app.journal.run(run)
                assert row is not None
                if row.status in (statuses or AT_REST) and row.owner is None:
                    return row
                await asyncio.sleep(0.01)

    async def rests_with(self, made: str) -> None:
        """Wait until a run has written down that it made this."""
        async with asyncio.timeout(20):
            while True:
                if await self.app.journal.origin("v", "thing", made, "f") is not None:
                    return
                await asyncio.sleep(0.01)

    async def come_to(self, runs: Sequence[str], status: str) -> None:
        """Wait until all these runs have this status."""
        async with asyncio.timeout(60):
            for run in runs:
                await self.rests(run, status)

    async def fails(self, run: str, kind: str) -> Any:
        """The run's row once it waits with an error of this kind."""
        async with asyncio.timeout(20):
            while True:
                row = await self.app.journal.run(run)
                if row is not None and (row.error or {}).get("kind") == kind and row.owner is None:
                    return row
                await asyncio.sleep(0.01)

    async def state(self, run: str) -> Run:
        row = await self.app.journal.run(run)
        assert row is not None
        return fold(Run(id=run, root=row.root, replay_of=row.replay_of), await self.app.journal.steps(run))

    async def told(self, count: int) -> list[Alert]:
        async with asyncio.timeout(20):
            while len(self.vendor.alerts) < count:
                self.vendor.told.clear()
                await self.vendor.told.wait()
        return self.vendor.alerts

    async def delivered(self) -> None:
        """Wait until every alert has arrived and is noted as delivered."""
        async with asyncio.timeout(20):
            while True:
                if all(alert.delivered for alert in read_tables(self.app.journal.path).alerts):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def house(vendor: Vendor, tmp_path: Path) -> Callable[..., Any]:
    """`async with house({"a": leg("key.create")}, again="allow") as h`.

    `names` are its connections, `more` its other flows.
    """

    @asynccontextmanager
    async def opened(
        legs: dict[str, Any], names: tuple[str, ...] = ("v",), more: dict[str, Any] | None = None, **flow: Any
    ) -> Any:
        retry = {"attempts": 2, "first": "50ms", "factor": 1, "max": "100ms"}
        body = {"when": "v.deal.won", "key": "{{ deal.id }}", "legs": legs, "notify": ["v"], "retry": retry} | flow
        vendors = {"connector": "scripted", "base_url": "http://127.0.0.1:9", "group": "off"}
        connections = {name: dict(vendors) for name in names}
        routing = {"version": 1, "connections": connections, "flows": {"f": body} | (more or {})}
        settings = Settings(config=tmp_path / "crossdock.yaml", database_url=f"sqlite:///{tmp_path / 'c.db'}", watch=0)
        registry: Registry = load_plugins(extra=[Plugin(vendor)], entry_points=())
        h = House(Crossdock(settings, env={}, registry=registry), vendor, routing)
        h.write()
        await h.app.start()
        try:
            yield h
        finally:
            await h.app.stop()

    return opened
