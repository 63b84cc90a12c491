"""An installation to be examined: real simulators over HTTP, a real database, a routing file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossdock.doctor.examine import Doctor
from crossdock.doctor.findings import Finding
from crossdock.plugins import Registry, load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk.testing import Simulator, serve

REGISTRY = load_plugins()
FLOW = {
    "when": "crm.deal.won",
    "legs": {"remark": {"do": "crm.note.create", "with": {"content": "{{ deal.title }}", "deal_id": "{{ deal.id }}"}}},
    "notify": ["say"],
}


@dataclass
class House:
    """`crm` is a simulated Pipedrive, `books` a simulated QuickBooks."""

    folder: Path
    simulators: dict[str, Simulator]
    connections: dict[str, Any]
    flows: dict[str, Any] = field(default_factory=lambda: {"f": FLOW})
    changed: dict[str, Any] = field(default_factory=dict)
    registry: Registry = REGISTRY

    @property
    def settings(self) -> Settings:
        named = {"config": self.folder / "crossdock.yaml", "database_url": f"sqlite:///{self.database}", "watch": 0}
        return Settings(**{**named, **self.changed})

    @property
    def database(self) -> Path:
        return self.folder / "c.db"

    def write(self) -> None:
        routing = {"version": 1, "connections": self.connections, "flows": self.flows}
        (self.folder / "crossdock.yaml").write_text(yaml.safe_dump(routing))

    @asynccontextmanager
    async def runtime(self) -> AsyncIterator[Crossdock]:
        """What a server has, at no work; makes the database and its key."""
        self.write()
        runtime = Crossdock(self.settings, env={}, registry=self.registry)
        await runtime.assemble()
        try:
            yield runtime
        finally:
            await runtime.connections.close()
            await runtime.journal.close()

    async def examined(self, **how: Any) -> list[Finding]:
        doctor = Doctor(self.settings, self.registry, {}, **how)
        return await doctor.examine()

    async def found(self, check: str, **how: Any) -> list[Finding]:
        """What one check says; it must say something."""
        found = [each for each in await self.examined(**how) if each.check == check]
        assert found
        return found

    async def one(self, check: str, **how: Any) -> Finding:
        [found] = await self.found(check, **how)
        return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    crm, books = REGISTRY.simulators["pipedrive"](), REGISTRY.simulators["quickbooks"]()
    crm.seed()
    books.seed()
    async with serve(crm) as at, serve(books) as beside:
        connections = {"crm": crm.settings(at), "books": books.settings(beside), "say": {"connector": "log"}}
        made = House(tmp_path, {"crm": crm, "books": books}, connections)
        made.write()
        yield made


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)
