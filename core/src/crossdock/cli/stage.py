"""Everything that the demo plays on: a sandbox and a server on free ports, in a folder that is thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import yaml
from crossdock_sdk import jsonio
from crossdock_sdk.testing import serve

from crossdock.cli.errors import CommandError, misused
from crossdock.cli.sandbox import ROLES
from crossdock.plugins import Registry
from crossdock.runtime import Crossdock
from crossdock.sandbox import Sandbox
from crossdock.settings import Settings
from crossdock.web.app import create_app
from crossdock.words import did_you_mean

EXAMPLE = "deal-to-invoice.yaml"
FLOW, WAY_BACK = "deal-to-invoice", "invoice-paid"
_POLL = 0.05
_SETTLE_SECONDS = 5.0
Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo. `connectors` maps the example's connection names to connectors."""

    url: str
    config: Path
    sandbox: Sandbox
    connectors: Mapping[str, str]
    client: httpx.AsyncClient

    async def ask(self, method: str, url: str, body: Any = None) -> Any:
        """One request of ours, numbers exact. Raises `CommandError` for a refusal."""
        content = None if body is None else jsonio.dumps(body)
        try:
            reply = await self.client.request(method, url, content=content)
        except httpx.HTTPError as error:
            raise CommandError(f"{method} {url}: {error or type(error).__name__}") from None
        if not reply.is_success:
            raise CommandError(f"{method} {url}: HTTP {reply.status_code} {reply.text[:200]}")
        return jsonio.loads(reply.content)

    async def state(self) -> Shown:
        """What stands in every system, by connection name."""
        found = await self.ask("GET", f"{self.sandbox.base_url}/_sandbox/state")
        return {role: found[connector] for role, connector in self.connectors.items()}

    async def happen(self, role: str, event: str, body: Shown) -> Shown:
        """Make something happen in a simulated account."""
        url = f"{self.sandbox.base_url}/_sandbox/{self.connectors[role]}/{event}"
        happened: Shown = await self.ask("POST", url, body)
        return happened

    async def runs(self, key: str, flow: str = FLOW) -> list[Shown]:
        """All runs of a key, newest first."""
        page = await self.ask("GET", f"{self.url}/api/v1/runs?flow={flow}&key={key}")
        items: list[Shown] = page["items"]
        return items

    async def follow(self, key: str, seconds: float, flow: str = FLOW) -> AsyncIterator[Shown]:
        """The newest run of a key, each time that it has got further, until one ends or the time is up.

        Those that are ignored do not count while there is another: of several events about a record one may hold.
        """
        seen: tuple[str, int] | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found = await self.runs(key, flow)
                    for item in ([one for one in found if one["status"] != "ignored"] or found)[:1]:
                        run: Shown = await self.ask("GET", f"{self.url}/api/v1/runs/{item['id']}")
                        if (run["id"], len(run["steps"])) != seen:
                            seen = run["id"], len(run["steps"])
                            yield run
                        if run["ended_at"] and run["status"] != "ignored":
                            return
                    await asyncio.sleep(_POLL)

    async def heard(self, before: int) -> None:
        """Wait for one more message to people than there were `before`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while True:
                    if len((await self.state())["alerts"]["messages"]) > before:
                        return
                    await asyncio.sleep(_POLL)

    async def settle(self) -> None:
        """Wait for webhooks on their way, so that what our own writes set off has arrived."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                for simulator in self.sandbox.simulators.values():
                    await simulator.settle()


@contextlib.asynccontextmanager
async def stage(registry: Registry, crm: str, *, with_task: bool) -> AsyncIterator[Stage]:
    """Set the stage; all of it is gone afterwards. Raises `CommandError` if a connector is missing."""
    connectors = _cast(registry, crm)
    sandbox = Sandbox({name: registry.simulators[name] for name in connectors.values()})
    with tempfile.TemporaryDirectory(prefix="crossdock-demo-") as folder:
        async with serve(sandbox) as sandbox.base_url:
            config = Path(folder) / EXAMPLE
            blocks = {role: sandbox.settings(name) for role, name in connectors.items()}
            config.write_text(routing_file(blocks, with_task=with_task), encoding="utf-8")
            settings = Settings(config=config, database_url=f"sqlite:///{folder}/crossdock.db", grace=2)
            runtime = Crossdock(settings, registry=registry, env=_environment())
            async with (
                serve(create_app(runtime=runtime)) as url,
                httpx.AsyncClient(timeout=10, trust_env=False) as client,
            ):
                for role in ("crm", "books"):
                    sandbox.subscribe(connectors[role], f"{url}/webhooks/{role}")
                yield Stage(url, config, sandbox, connectors, client)


def routing_file(connections: Mapping[str, Shown], *, with_task: bool) -> str:
    """The example with other connections; its comments stay, for people try things in it."""
    text = files("crossdock.cli").joinpath(EXAMPLE).read_text(encoding="utf-8")
    before, _, rest = text.partition("\nconnections:\n")
    _, mark, flows = rest.partition("\nflows:\n")
    block = yaml.safe_dump({"connections": dict(connections)}, sort_keys=False, allow_unicode=True)
    if with_task:
        flows = flows.replace("enabled: false", "enabled: true ", 1)
    return f"{before}\n{block}{mark}{flows}"


def _cast(registry: Registry, crm: str) -> dict[str, str]:
    connectors = {role: name for name, role in ROLES.items() if role != "crm"} | {"crm": crm}
    sources = [name for name in registry.simulators if registry.event(name, "deal.won")]
    if crm not in sources:
        hint = did_you_mean(crm, sources) or f"; there are {', '.join(sources) or 'none'}"
        raise misused(f"--crm: no simulated CRM is called {crm}{hint}")
    for name in connectors.values():
        if name not in registry.simulators:
            broken = registry.broken(name)
            why = f"its plugin is {broken.status}: {broken.error}" if broken else f'pip install "crossdock[{name}]"'
            raise CommandError(f"the demo needs the connector {name}; {why}")
    return connectors


def _environment() -> dict[str, str]:
    """Without what the example would read: the demo never reaches a real account."""
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
