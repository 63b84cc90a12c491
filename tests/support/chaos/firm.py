"""The whole installation in one process and without a socket: the real runtime, the real connectors, faulty vendors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import httpx
import yaml
from chaos.story import GHOST, NAMES, Story, Won
from crossdock.config.load import Loaded, load
from crossdock.journal.store import Store
from crossdock.plugins import load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import Context, WebhookRequest, jsonio
from crossdock_sdk.testing import FaultTransport, Simulator
from starlette import routing

T = TypeVar("T")
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "deal-to-invoice.yaml"


class Clock:
    """The time of the whole installation; nobody waits, it is set forward."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)


class Lethal(httpx.AsyncBaseTransport):
    """Ends the performer that asks, now and then: before the request, or before its reply."""

    def __init__(self, inner: httpx.AsyncBaseTransport, rng: random.Random, chance: float) -> None:
        self.chance = chance
        self.kills: list[str] = []
        self._inner = inner
        self._random = rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        drawn = self._random.random()
        if drawn < self.chance / 2:
            self._kill("before", request)
        response = await self._inner.handle_async_request(request)
        if drawn < self.chance:
            self._kill("after", request)
        return response

    def _kill(self, when: str, request: httpx.Request) -> None:
        self.kills.append(f"killed {when} {request.method} {request.url.path}")
        raise asyncio.CancelledError


@dataclass
class Firm:
    """The installation of one seed. `inbox` holds the CRM's deliveries that nobody has brought yet."""

    story: Story
    app: Crossdock
    clock: Clock
    simulators: dict[str, Simulator]
    faults: dict[str, FaultTransport]
    lethal: dict[str, Lethal]
    db: sqlite3.Connection
    inbox: list[WebhookRequest] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """The runs that deliveries were answered with."""
    deals: dict[str, Won] = field(default_factory=dict)
    """By the CRM's id."""
    ends: Counter[str] = field(default_factory=Counter)
    """How many runs ended how, and how many faults there were."""

    def plan(self) -> str:
        """All that was injected, vendor by vendor."""
        lines = [f"  {NAMES[name]} {one}" for name, chaos in self.faults.items() for one in chaos.plan()]
        lines += [f"  {NAMES[name]} {one}" for name, lethal in self.lethal.items() for one in lethal.kills]
        return "\n".join(lines) or "  nothing"

    def calm(self) -> None:
        for name, chaos in self.faults.items():
            chaos.calm()
            self.lethal[name].chance = 0.0

    async def reconnect(self) -> None:
        """A person connects the books anew, for a refresh token that was spent in a lost reply is gone."""
        connected = await self.simulators["books"].trigger("token.reconnect", {})
        path = self.app.settings.config
        routing = json.loads(path.read_text())
        routing["connections"]["books"] |= connected
        path.write_text(json.dumps(routing))
        assert await self.app.reload() == ()
        while background := tuple(self.app._background):
            await asyncio.gather(*background)

    def select(self, statement: str, *values: Any) -> list[Any]:
        return self.db.execute(statement, values).fetchall()


# What is the same for every seed is made once: reading the routing file alone would be half the time of a seed.
registry = cache(load_plugins)
routing.compile_path = cache(routing.compile_path)


def _simulators(clock: Clock, *, oauth: bool, webhook: bool) -> dict[str, Simulator]:
    made: dict[str, Simulator] = {}
    for name, connector in NAMES.items():
        more = {"board": {"oauth": oauth}, "alerts": {"webhook": webhook}}.get(name, {})
        made[name] = registry().simulators[connector](clock=clock, **more)
        made[name].seed()
    crm: Any = made["crm"]
    crm.world.add_product(GHOST, "Ghost", Decimal(5))
    return made


@cache
def _routing(*, oauth: bool, webhook: bool) -> str:
    """The example with its task leg on, pointed at the simulators; JSON, which is YAML too."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("${ASANA_PROJECT:-1201}", "1201")
    flows = {"deal-to-invoice": yaml.safe_load(text)["flows"]["deal-to-invoice"]}
    flows["deal-to-invoice"]["legs"]["task"]["enabled"] = True
    simulators = _simulators(Clock(), oauth=oauth, webhook=webhook)
    connections = {
        name: simulator.settings(f"http://{simulator.connector}.test") | {"connector": simulator.connector}
        for name, simulator in simulators.items()
    }
    return json.dumps({"version": 1, "connections": connections, "flows": flows})


@cache
def _loaded(text: str) -> Loaded:
    return load(text, env={}, registry=registry())


async def _at_once(store: Store, work: Callable[[sqlite3.Connection], T]) -> T:
    """In this thread: with one thing at a time nothing is gained by a hop to another."""
    return work(store._conn)


@contextlib.asynccontextmanager
async def firm(story: Story, folder: Path) -> AsyncIterator[Firm]:
    """Assemble it in `folder`; nothing works by itself."""
    clock = Clock()
    simulators = _simulators(clock, oauth=story.oauth, webhook=story.webhook)
    books: Any = simulators["books"]
    books.keeps_request_ids = not story.forgetful
    books.tokens.rotates_after = timedelta(0)
    rng = random.Random(story.seed)
    faults = {
        name: FaultTransport(
            simulators[name],
            seed=rng.getrandbits(64),
            rate=story.weather[name].rate,
            write_rate=story.weather[name].write_rate,
            kinds=story.weather[name].kinds,
        )
        for name in NAMES
    }
    lethal = {name: Lethal(chaos, rng, story.kill if name != "alerts" else 0.0) for name, chaos in faults.items()}

    def adjust(context: Context) -> Context:
        return replace(context, transport=lambda: lethal[context.name], sleep=clock.sleep)

    config = folder / "crossdock.yaml"
    config.write_text(_routing(oauth=story.oauth, webhook=story.webhook))
    settings = Settings(config=config, database_url=f"sqlite:///{folder}/c.db", watch=0, secret_key="chaos")
    app = Crossdock(settings, env={}, registry=registry(), clock=clock, rng=random.Random(story.seed), adjust=adjust)
    alike = mock.patch("crossdock.runtime.load", lambda path, **_: _loaded(path.read_text()))
    with alike, mock.patch.object(Store, "perform", _at_once):
        await app.assemble()
        with contextlib.closing(sqlite3.connect(f"file:{folder}/c.db?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            made = Firm(story, app, clock, simulators, faults, lethal, db)
            _subscribe(made)
            try:
                yield made
            finally:
                await app.stop()


def _subscribe(made: Firm) -> None:
    """Webhooks of the CRM land in the inbox."""
    crm: Any = made.simulators["crm"]

    def deliver(url: str, payload: Any, *, auth: tuple[str, str], **_: Any) -> None:
        basic = base64.b64encode(":".join(auth).encode()).decode()
        headers = {"authorization": f"Basic {basic}", "content-type": "application/json"}
        made.inbox.append(WebhookRequest("POST", "/webhooks/crm", headers, jsonio.dumps(payload)))

    crm.deliver = deliver
    crm.subscribe("http://crossdock.test/webhooks/crm", crm.settings("http://pipedrive.test"))
