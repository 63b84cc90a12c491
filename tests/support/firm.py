"""A whole firm on loopback: every vendor simulated over HTTP, and a real `crossdock serve` beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx
import yaml
from crossdock.journal.opening import open_journal
from crossdock.plugins import load_plugins
from crossdock.sandbox import Sandbox
from crossdock.testing import assert_nothing_lost, standing
from crossdock.testing.story import Place
from crossdock_sdk import WebhookRequest, jsonio
from crossdock_sdk.testing import serve

ROOT = Path(__file__).resolve().parents[2]
FINAL = {"succeeded", "rolled_back", "dead", "ignored", "cancelled"}
NAMES = {"crm": "pipedrive", "books": "quickbooks", "board": "asana", "alerts": "slack"}
PATIENCE = 60.0

LINES = (
    {"code": "CONSULT-DAY", "name": "Consulting", "quantity": 3, "unit_price": "10.10"},
    {"code": "SETUP", "name": "Setup", "quantity": 1, "unit_price": "100.00", "discount_percent": 10},
    {"code": "SUPPORT-MO", "name": "Support", "quantity": 12, "unit_price": "19.99"},
)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def worth(lines: Any, discount: Decimal) -> Decimal:
    """What the invoice must come to: each line rounded, then the discount of the whole, rounded."""
    subtotal = Decimal(0)
    for line in lines:
        gross = Decimal(line["quantity"]) * Decimal(line["unit_price"])
        subtotal += cents(gross * (100 - Decimal(line.get("discount_percent", 0))) / 100)
    return subtotal - cents(subtotal * discount / 100)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """`crossdock serve` as a process of its own, on a port that it keeps across restarts."""

    folder: Path
    env: dict[str, str]
    name: str = "server"
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None
    family: list[Server] = field(default_factory=list, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()

    async def start(self) -> None:
        command = (sys.executable, "-m", "crossdock", "serve", "--port", str(self.port))
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=self.env, stdout=log, stderr=log
            )
        async with httpx.AsyncClient(trust_env=False) as client:
            async with asyncio.timeout(PATIENCE):
                while True:
                    assert self.process.returncode is None, self.log
                    with contextlib.suppress(httpx.HTTPError):
                        if (await client.get(f"{self.url}/healthz")).status_code == 200:
                            return
                    await asyncio.sleep(0.02)

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        code = await self.process.wait()
        self.process = None
        return code

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    def beside(self, name: str, **env: str) -> Server:
        """Another process on the same folder, and so on the same journal and routing file."""
        other = Server(self.folder, self.env | env, name, family=self.family)
        self.family.append(other)
        return other

    async def end_all(self) -> None:
        """End this one and all beside it that still run, also those that a failed test left standing still."""
        for server in (self, *self.family):
            if server.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    server.process.send_signal(signal.SIGCONT)
                await server.end()


@dataclass
class Firm:
    """The vendors, the server, and what a test does with them."""

    sandbox: Sandbox
    server: Server
    client: httpx.AsyncClient
    routing: dict[str, Any]
    crm: str = NAMES["crm"]
    way_back: dict[str, Any] = field(default_factory=dict)
    """The example's other flows, by which status flows back."""
    before: set[Place] = field(default_factory=set)
    """What stood at the vendors before the first event, or was made there by hand since."""

    gone: set[Place] = field(default_factory=set)
    """What a person has taken away at the vendors."""

    checked: bool = True
    """False where a test spoils the journal itself."""

    @property
    def vendors(self) -> dict[str, Any]:
        return {name: self.sandbox.simulators[connector] for name, connector in (NAMES | {"crm": self.crm}).items()}

    def use_crm(self, connector: str, **settings: Any) -> None:
        """Let another CRM be the one in which deals are won; call it before the server's start."""
        self.crm = connector
        self.routing["connections"]["crm"] = self.sandbox.settings(connector) | settings
        self.by_hand()

    def by_hand(self) -> None:
        """Say that what stands at the vendors by now is no run's."""
        self.before |= standing(self.vendors)

    async def check(self, *, at_rest: bool = False) -> None:
        """Hold all promises against the journal and the vendors; the server may be running."""
        path = self.server.folder / "crossdock.db"
        if not self.checked or not path.exists():
            return
        journal = open_journal(f"sqlite:///{path}", redact=str)
        await journal.open()
        try:
            await assert_nothing_lost(
                journal, self.vendors, before=self.before, gone=self.gone, events=self._accepted(), at_rest=at_rest
            )
        finally:
            await journal.close()

    def _accepted(self) -> set[tuple[str, str]]:
        """The events of which the server has told the CRM that it has them, as the connector reads them."""
        source: Any = load_plugins().sources[self.crm]
        deliveries = [
            WebhookRequest("POST", url, {}, payload if isinstance(payload, bytes) else jsonio.dumps(payload))
            for url, payload in self.sandbox.simulators[self.crm].accepted
            if url == f"{self.server.url}/webhooks/crm"
        ]
        return {("crm", event.id) for one in deliveries for event in source.parse(None, one)}

    def write(self) -> None:
        """Write the routing file as it is in `routing` now."""
        path = self.server.folder / "crossdock.yaml"
        draft = path.with_suffix(".new")
        draft.write_text(yaml.safe_dump(self.routing, sort_keys=False))
        draft.replace(path)

    @property
    def flow(self) -> dict[str, Any]:
        flow: dict[str, Any] = self.routing["flows"]["deal-to-invoice"]
        return flow

    def subscribe(self) -> None:
        self.sandbox.subscribe("pipedrive", f"{self.server.url}/webhooks/crm")

    def fault(self, **fault: Any) -> None:
        from crossdock_sdk.testing import Fault

        self.sandbox.faults.append(Fault(**fault))

    async def win(
        self, title: str, *, customer: str = "Acme", lines: Any = LINES, discount: int = 15, **more: Any
    ) -> dict[str, Any]:
        """A deal is won at the CRM, with the value that its invoice must have unless `value` says otherwise."""
        deal = {
            "title": title,
            "currency": "USD",
            "custom": {"Discount": discount} | more.pop("custom", {}),
            "organization": {"name": customer},
            "person": {"name": f"Ann of {customer}", "email": f"ann@{customer.lower().replace(' ', '')}.test"},
            "products": [dict(line) for line in lines],
            "value": worth(lines, Decimal(discount)),
        } | more
        exact = jsonio.loads(jsonio.dumps(deal).decode())
        for line in exact["products"]:
            line["unit_price"] = Decimal(str(line["unit_price"]))
        won = await self.sandbox.simulators[self.crm].trigger("deal.won", exact)
        found: dict[str, Any] = won["deal"]
        return found

    async def get(self, path: str) -> Any:
        reply = await self.client.get(f"{self.server.url}/api/v1{path}")
        assert reply.status_code == 200, reply.text
        return jsonio.loads(reply.content)

    async def runs(self, **wanted: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            reply = await self.client.get(f"{self.server.url}/api/v1/runs", params={"limit": 500, **wanted, **cursor})
            assert reply.status_code == 200, reply.text
            page = jsonio.loads(reply.content)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    async def until(self, done: Callable[[list[dict[str, Any]]], bool], patience: float = PATIENCE) -> list[Any]:
        """The runs, once `done(runs)` holds; fails with what there is after `patience` seconds."""
        runs: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(patience):
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        runs = await self.runs()
                        if done(runs):
                            return runs
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = [(r["key"], r["status"], r["error"]) for r in runs]
            raise AssertionError(f"not so after {patience} s: {shown}\n{self.server.log[-3000:]}") from None

    async def ended(self, count: int = 1, patience: float = PATIENCE) -> list[Any]:
        """All runs, newest first, once `count` of them have ended."""
        return await self.until(lambda runs: sum(r["status"] in FINAL for r in runs) >= count, patience)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """`crossdock …` beside the running server; the exit code, and all that it said."""
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "crossdock", *arguments),
            cwd=self.server.folder,
            env=self.server.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await done.communicate()
        return done.returncode or 0, said.decode()

    async def told(self, count: int = 1) -> list[dict[str, Any]]:
        """The Slack messages, once there are `count`."""
        async with asyncio.timeout(PATIENCE):
            while len(self.messages) < count:
                await asyncio.sleep(0.02)
        return self.messages

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.sandbox.state()["slack"]["messages"]
        return messages

    @property
    def threads(self) -> list[dict[str, Any]]:
        """The Slack messages that are no answers: one for each trouble."""
        return [message for message in self.messages if message["thread_ts"] is None]

    async def told_in(self, thread: int, said: str) -> None:
        """Wait until this is said in an answer to the thread of this number."""
        async with asyncio.timeout(PATIENCE):
            while not any(m["thread_ts"] == self.threads[thread]["ts"] and said in m["text"] for m in self.messages):
                await asyncio.sleep(0.02)

    @property
    def invoices(self) -> list[dict[str, Any]]:
        invoices: list[dict[str, Any]] = self.sandbox.state()["quickbooks"]["invoices"]
        return invoices

    def customers(self, name: str | None = None) -> list[dict[str, Any]]:
        """The active customers, but for the one that was there before."""
        every = self.sandbox.state()["quickbooks"]["customers"]
        return [c for c in every if c["Active"] and c["Id"] != "1" and name in {None, c["DisplayName"]}]

    @property
    def tasks(self) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = self.sandbox.state()["asana"]["tasks"]
        return tasks

    def deal(self, id_: Any) -> dict[str, Any]:
        deals = self.sandbox.state()[self.crm]["deals"]
        return next(d for d in deals if str(d["id"]) == str(id_))


@contextlib.asynccontextmanager
async def open_firm(folder: Path, **env: str) -> AsyncIterator[Firm]:
    """A firm with `examples/deal-to-invoice.yaml`, subscribed to the CRM; the server is not started yet."""
    sandbox = Sandbox(load_plugins().simulators)
    async with serve(sandbox) as url, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        sandbox.base_url = url
        example = yaml.safe_load(
            (ROOT / "examples" / "deal-to-invoice.yaml").read_text().replace("${ASANA_PROJECT:-1201}", "1201")
        )
        connections = {name: sandbox.settings(connector) for name, connector in NAMES.items()}
        # The way back is switched on by the tests that are about it.
        there = {"deal-to-invoice": example["flows"].pop("deal-to-invoice")}
        routing = {"version": 1, "connections": connections, "flows": there}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CROSSDOCK_", "OTEL_"))}
        server = Server(folder, kept | {"CROSSDOCK_WATCH": "0.1"} | env)
        firm = Firm(sandbox, server, client, routing, way_back=example["flows"])
        firm.write()
        firm.subscribe()
        firm.before = standing(firm.vendors)
        try:
            yield firm
        finally:
            await server.end_all()
        await firm.check()
