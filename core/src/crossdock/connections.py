"""The live connections of one loaded configuration: made when first used, closed when no longer needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossdock_sdk import Action, Checked, ConfigError, Connection, Context, Headroom, Notifier, Source

from crossdock.config.load import ConnectionSpec, Stopped
from crossdock.config.polls import PollSettings
from crossdock.config.telling import Telling
from crossdock.plugins import Registry


class Connections:
    """Gives sources, actions and notifiers by connection name; one `Connection` object per name.

    Raises `ConfigError` for a name that the configuration no longer has.
    """

    def __init__(
        self,
        specs: Mapping[str, ConnectionSpec],
        registry: Registry,
        context_for: Callable[[str], Context],
        stopped: Mapping[str, Stopped] | None = None,
    ) -> None:
        self.stopped = stopped or {}
        self._specs = dict(specs)
        self._registry = registry
        self._context_for = context_for
        self._live: dict[str, Connection] = {}
        self._parts: dict[tuple[str, str], Any] = {}
        self._retired: list[Connection] = []

    def names(self) -> tuple[str, ...]:
        return tuple(self._specs)

    def connectors(self) -> dict[str, str]:
        """Connection name → connector name."""
        return {name: spec.connector for name, spec in self._specs.items()}

    def brings_events(self, name: str) -> bool:
        """Whether deliveries to this connection make sense, as far as one can know."""
        if name in self.stopped:
            return True
        return name in self._specs and self._specs[name].connector in self._registry.sources

    def source(self, name: str) -> Source:
        """The source of a connection."""
        return self._part(name, "source", self._registry.sources.get(self._spec(name).connector))  # type: ignore[no-any-return]

    def notifier(self, name: str) -> Notifier:
        """The notifier of a connection."""
        return self._part(name, "notifier", self._registry.notifiers.get(self._spec(name).connector))  # type: ignore[no-any-return]

    def action(self, name: str, action: str) -> Action[Any]:
        """An action of a connection's sink."""
        found = self._registry.action(self._spec(name).connector, action)
        return self._part(name, f"action {action}", found)  # type: ignore[no-any-return]

    def actions_making(self, name: str, object_: str) -> tuple[str, ...]:
        """The actions of a connection whose receipts name objects of this kind, such as `books.invoice.create`."""
        sink = self._registry.sinks.get(self._spec(name).connector)
        return tuple(f"{name}.{action.name}" for action in sink.actions if action.object == object_) if sink else ()

    def account(self, name: str) -> str:
        """Which account at the vendor a connection writes into, as far as its settings tell."""
        return self._connection(name).account

    def polling(self, name: str) -> PollSettings | None:
        """How a connection is polled; None if it is not, or cannot be used."""
        return self._specs[name].poll if name in self._specs and name not in self.stopped else None

    def telling(self, name: str) -> Telling:
        """How a notifier's connection wants to be told."""
        return self._specs[name].telling if name in self._specs else Telling()

    async def check(self, name: str) -> Checked | None:
        """Ask the vendor whose account it is; None if it can be asked no such thing. Raises `ConnectorError`."""
        return await self._connection(name).check()

    def headrooms(self) -> dict[str, Headroom]:
        """How far the connections in use are from their vendors' limits, as far as these have told."""
        return {name: live.headroom for name, live in self._live.items()}

    def of_account(self, name: str, account: str) -> str | None:
        """The connection of the same connector for this account, the named one before others; None if there is none."""
        connector = self._spec(name).connector
        alike = [other for other, spec in self._specs.items() if spec.connector == connector and other != name]
        return next((one for one in (name, *alike) if self.account(one) == account), None)

    def replace(self, specs: Mapping[str, ConnectionSpec], registry: Registry, stopped: Mapping[str, Stopped]) -> None:
        """Take a new configuration; a connection whose settings are as before stays open.

        One that changed is `retired`; it is to be closed once the runs now in hand are let go of.
        """
        for name, live in list(self._live.items()):
            if specs.get(name) != self._specs[name]:
                self._retired.append(live)
                del self._live[name]
                self._parts = {key: part for key, part in self._parts.items() if key[0] != name}
        self._specs, self._registry, self.stopped = dict(specs), registry, stopped

    def retired(self) -> tuple[Connection, ...]:
        """What earlier configurations had and this one has not, still open."""
        return tuple(self._retired)

    async def close_retired(self, connections: Sequence[Connection]) -> None:
        """Close these, once nothing uses them."""
        mine = [connection for connection in connections if connection in self._retired]
        self._retired = [connection for connection in self._retired if connection not in mine]
        await asyncio.gather(*(connection.close() for connection in mine))

    async def close(self) -> None:
        """Close all connections."""
        self._retired += self._live.values()
        self._live, self._parts = {}, {}
        await self.close_retired(self.retired())

    def _spec(self, name: str) -> ConnectionSpec:
        if name in self.stopped:
            raise ConfigError(f"connection {name}: {self.stopped[name].reason}")
        if name not in self._specs:
            raise ConfigError(f"connection {name} is no longer in the configuration; put it back, then replay")
        return self._specs[name]

    def _connection(self, name: str) -> Connection:
        if name not in self._live:
            spec = self._spec(name)
            kind = self._registry.connections.get(spec.connector)
            if kind is None:
                raise ConfigError(f"connection {name}: no connector {spec.connector} is installed")
            self._live[name] = _made(kind, name, spec.connector, spec.config, self._context_for(name))
        return self._live[name]

    def _part(self, name: str, what: str, kind: Callable[[Connection], Any] | None) -> Any:
        if kind is None:
            raise ConfigError(f"connection {name} ({self._spec(name).connector}) has no {what}")
        key = (name, what)
        if key not in self._parts:
            self._parts[key] = _made(kind, name, self._spec(name).connector, self._connection(name))
        return self._parts[key]


def _made(kind: Callable[..., Any], name: str, connector: str, *arguments: Any) -> Any:
    """An object of a connector's class. Raises `ConfigError` whatever its code raises."""
    try:
        return kind(*arguments)
    except ConfigError:
        raise
    except Exception as error:
        told = f"connection {name}: the connector {connector} failed to start: {type(error).__name__}: {error}"
        raise ConfigError(told) from error
