"""The vendors, which outlive the crashes, and the processes that meet them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pickle
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from crash.child import FAILED_AT_ONCE, PATIENCE, REGISTRY, Orders, Place
from crossdock.journal.opening import open_journal
from crossdock.plugins import load_plugins
from crossdock.sandbox import Sandbox
from crossdock.testing import assert_nothing_lost, standing
from crossdock.testing.story import Story
from crossdock_sdk import WebhookRequest, jsonio
from crossdock_sdk.testing import Fault, serve
from starlette.requests import Request
from starlette.responses import Response

ROOT = Path(__file__).resolve().parents[3]
NAMES = {"crm": "pipedrive", "books": "quickbooks", "board": "asana", "alerts": "slack"}
DEAL = {
    "title": "Harbour",
    "currency": "USD",
    "custom": {"Discount": 15},
    "organization": {"name": "Acme"},
    "person": {"name": "Ann", "email": "ann@acme.test"},
    "products": [
        {"code": "CONSULT-DAY", "name": "Consulting", "quantity": 3, "unit_price": Decimal("10.10")},
        {"code": "SETUP", "name": "Setup", "quantity": 1, "unit_price": Decimal("100.00")},
    ],
    "value": Decimal("110.75"),
}


@dataclass
class Nursery:
    """Where the processes are born."""

    program: asyncio.subprocess.Process

    async def live(self, orders: Orders) -> int:
        """Let one live; its exit code."""
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(base64.b64encode(pickle.dumps(orders)) + b"\n")
        async with asyncio.timeout(3 * PATIENCE):
            return int(await self.program.stdout.readline())


@contextlib.asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    start = (sys.executable, "-c", "from crash.child import main; main()")
    program = await asyncio.create_subprocess_exec(*start, cwd=Path(__file__).parents[1], **pipes)
    try:
        yield Nursery(program)
    finally:
        program.stdin.close()
        await program.wait()


@dataclass
class World:
    """Every vendor of one firm, the deliveries that its CRM has sent, and where its journal is."""

    sandbox: Sandbox
    nursery: Nursery
    folder: Path
    deliveries: list[WebhookRequest] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    before: set[Any] = field(default_factory=set)

    async def win(self) -> None:
        """A deal is won; its delivery waits to be taken to a process."""
        self.told.clear()
        await self.sandbox.simulators["pipedrive"].trigger("deal.won", jsonio.loads(jsonio.dumps(DEAL)))
        async with asyncio.timeout(10):
            await self.told.wait()
        self.before = standing(self.vendors)

    @property
    def vendors(self) -> dict[str, Any]:
        return {name: self.sandbox.simulators[connector] for name, connector in NAMES.items()}

    def refuse_tasks(self) -> None:
        """The board wants no task, which takes everything back."""
        refused = Fault(kind="status", status=400, connector="asana", method="POST", path="*/tasks", times=None)
        refused.body = {"errors": [{"message": "project: Not a recognized ID: 1201"}]}
        self.sandbox.faults.append(refused)

    async def live(self, crash: Place | None = None, how: str = "kill") -> bool:
        """Let a process work until it rests or crashes, and tell it what was not taken yet.

        Returns whether it reached the place.
        """
        (self.folder / "crashed").unlink(missing_ok=True)
        (self.folder / "reached").unlink(missing_ok=True)
        missing = tuple(d for d in self.deliveries if d.body not in self._accepted())
        code = await self.nursery.live(Orders(self.folder, missing, crash, how))
        crashed = (self.folder / "crashed").exists()
        expected = {0} if not crashed else {-signal.SIGKILL} if how == "kill" else {0, FAILED_AT_ONCE}
        assert code in expected, f"the process ended with {code}; it logged:\n{self._log()}"
        return crashed

    def lost_its_token(self) -> bool:
        """Whether the books refuse us: a process died with the only refresh token that still was good."""
        with contextlib.closing(sqlite3.connect(self.folder / "crossdock.db")) as db:
            return bool(db.execute("SELECT 1 FROM connections WHERE status = 'paused'").fetchone())

    async def reconnect(self) -> None:
        """A person, who has been told once, connects the books anew."""
        (told,) = [m for m in self.sandbox.state()["slack"]["messages"] if "put its new refresh_token" in str(m)]
        assert told
        anew = await self.sandbox.simulators["quickbooks"].trigger("token.reconnect", {})
        path = self.folder / "crossdock.yaml"
        routing = yaml.safe_load(path.read_text())
        routing["connections"]["books"]["refresh_token"] = anew["refresh_token"]
        path.write_text(yaml.safe_dump(routing, sort_keys=False))

    def reached(self) -> list[Place]:
        """The places that the last process passed, in order."""
        lines = (self.folder / "reached").read_text().splitlines()
        return [Place(point, about, leg, int(nth)) for point, about, leg, nth in (line.split(",") for line in lines)]

    async def check(self) -> Story:
        """Hold every promise against the journal and the vendors; the one run."""
        journal = open_journal(f"sqlite:///{self.folder / 'crossdock.db'}", redact=str)
        await journal.open()
        try:
            source: Any = REGISTRY.sources["pipedrive"]
            told = {event.id: event for delivery in self.deliveries for event in source.parse(None, delivery)}
            stories = await assert_nothing_lost(
                journal,
                self.vendors,
                before=self.before,
                accepted=[("crm", event.subject) for event in told.values()],
                events=[("crm", event) for event in told],
                secrets=self._secrets(),
            )
        finally:
            await journal.close()
        (story,) = stories
        return story

    def _accepted(self) -> list[bytes]:
        path = self.folder / "accepted"
        return path.read_bytes().split(b"\n") if path.exists() else []

    def _log(self) -> str:
        path = self.folder / "log"
        return path.read_text()[-3000:] if path.exists() else "nothing"

    def _secrets(self) -> list[str]:
        settings = [self.sandbox.settings(connector) for connector in NAMES.values()]
        named = ("api_token", "client_secret", "refresh_token", "access_token")
        return [str(one[name]) for one in settings for name in named if name in one]

    async def take(self, scope: Any, receive: Any, send: Any) -> None:
        """Take in what the CRM tells, for the processes to come."""
        request = Request(scope, receive)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.deliveries.append(WebhookRequest("POST", "/webhooks/crm", headers, await request.body()))
        self.told.set()
        await Response()(scope, receive, send)


@contextlib.asynccontextmanager
async def firm(nursery: Nursery, folder: Path) -> AsyncIterator[World]:
    """A firm with all four legs of the example, and one deal won."""
    sandbox = Sandbox(load_plugins().simulators)
    books: Any = sandbox.simulators["quickbooks"]
    books.tokens.rotates_after = timedelta(0)
    world = World(sandbox, nursery, folder)
    async with serve(sandbox) as url, serve(world.take) as ear:
        sandbox.base_url = url
        text = (ROOT / "examples" / "deal-to-invoice.yaml").read_text().replace("${ASANA_PROJECT:-1201}", "1201")
        flows = {"deal-to-invoice": yaml.safe_load(text)["flows"]["deal-to-invoice"]}
        flow = flows["deal-to-invoice"]
        flow["legs"]["task"] |= {"enabled": True, "on_failure": "rollback"}
        connections = {name: sandbox.settings(connector) for name, connector in NAMES.items()}
        routing = {"version": 1, "connections": connections, "flows": flows}
        (folder / "crossdock.yaml").write_text(yaml.safe_dump(routing, sort_keys=False))
        sandbox.subscribe("pipedrive", f"{ear}/")
        await world.win()
        yield world
