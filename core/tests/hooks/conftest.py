"""One server in this process, a vendor, and the command's side of a registration on a journal of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import beacon
import httpx
import pytest
import yaml
from crossdock.ids import owner_id
from crossdock.journal.sqlite import SqliteJournal
from crossdock.plugins import Registry, load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.subscribing import Subscriber
from crossdock.vault import Vault, parse_keys
from crossdock.web.app import create_app
from crossdock_sdk import Context
from crossdock_sdk.testing import serve
from lighthouse import Hook, Lighthouse, routing

KEY = "a-key-for-tests"


@dataclass
class Clock:
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Coast:
    """`app` is the server; `journal` another process's view of its file."""

    app: Crossdock
    url: str
    vendor: Lighthouse
    journal: SqliteJournal
    client: httpx.AsyncClient
    clock: Clock
    sources: list[Any] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.url}/webhooks/lamp"

    def subscriber(self, kind: type[Any] = beacon.BeaconSource, **changed: Any) -> Subscriber:
        connection = kind.connection_class(kind.connection_class.Config(base_url=self.vendor.url), Context(name="lamp"))
        self.sources.append(connection)
        made: dict[str, Any] = {
            "connection": "lamp",
            "source": kind(connection),
            "url": self.place,
            "journal": self.journal,
            "vault": Vault(self.journal, parse_keys(KEY), "command", self.clock),
            "owner": owner_id(),
            "now": self.clock,
        }
        return Subscriber(**(made | changed))

    async def synced(self, *events: str, **changed: Any) -> list[tuple[str, str, str | None]]:
        deeds = await self.subscriber(**changed).sync(events or ("light.on",))
        return [(deed.do, deed.subscription.topic, deed.error) for deed in deeds]

    async def states(self, *events: str, **changed: Any) -> list[tuple[str, str]]:
        lines = await self.subscriber(**changed).lines(events or ("light.on",))
        return [(line.state, line.subscription.topic) for line in lines]

    async def under_way(self, nonce: str = "n-1", lasts: timedelta = timedelta(minutes=5)) -> str:
        """A registration that a command has begun; the URL to which the vendor will speak."""
        now = self.clock()
        await self.journal.hooks.begin("lamp", nonce, "light.on", self.place, now + lasts, now)
        return f"{self.place}?hook={nonce}"

    def foreign(self, url: str, topic: str = "light.on", secret: str = "s") -> Hook:
        """A webhook that stands at the vendor, whoever made it."""
        hook = Hook(f"x{next(self.vendor.numbers)}", topic, url, secret)
        self.vendor.hooks.append(hook)
        return hook


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
async def coast(tmp_path: Path) -> AsyncIterator[Coast]:
    registry: Registry = load_plugins(extra=[beacon], entry_points=())
    file, database = tmp_path / "crossdock.yaml", tmp_path / "c.db"
    settings = Settings(config=file, database_url=f"sqlite:///{database}", watch=0, secret_key=KEY)
    clock = Clock()
    async with httpx.AsyncClient(trust_env=False) as client:
        vendor = Lighthouse(client)
        async with serve(vendor.app) as vendor.url:
            file.write_text(yaml.safe_dump(routing(vendor.url)))
            app = Crossdock(settings, env={}, registry=registry, clock=clock)
            async with (
                serve(create_app(runtime=app)) as url,
                SqliteJournal(database, redact=str) as journal,
            ):
                coast = Coast(app, url, vendor, journal, client, clock)
                yield coast
                for connection in coast.sources:
                    await connection.close()
