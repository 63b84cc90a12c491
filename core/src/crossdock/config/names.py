"""What a flow may name: connections, their events and their actions; and the nearest right one for a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crossdock.plugins import Registry
from crossdock.words import did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class Named:
    """A name such as `crm.deal.wonn`: what is wrong with it, and what was meant, as far as one can tell."""

    wrong: tuple[str, ...] = ()
    right: str | None = None


class Names:
    """The names of one routing file. `connectors` has every connection; None where its connector is not known."""

    def __init__(self, registry: Registry, connectors: Mapping[str, str | None]) -> None:
        self.connectors = connectors
        self.known = {name: connector for name, connector in connectors.items() if connector is not None}
        self._registry = registry
        self.events = self._all(self._events)
        self.actions = self._all(self._actions)

    def event(self, when: str) -> Named:
        """The event of a `when`."""
        return self._find(when, "event", "brings no events", self._events, self.events)

    def only_event(self) -> Named:
        """What a flow without a readable `when` can only mean."""
        return Named((), self.events[0] if len(self.events) == 1 else None)

    def action(self, do: str) -> Named:
        """The action of a `do`."""
        return self._find(do, "action", "has no actions", self._actions, self.actions)

    def notifier(self, name: str) -> str | None:
        """What is wrong with a name under `notify`."""
        connector = self.connectors.get(name)
        if name not in self.connectors:
            return self._no_connection(name)
        if connector is None or connector in self._registry.notifiers:
            return None
        able = [n for n, c in self.known.items() if c in self._registry.notifiers]
        others = f"; these can: {', '.join(sorted(able))}" if able else ""
        return f"connection {name} ({connector}) cannot notify anyone{others}"

    def _find(
        self,
        full: str,
        what: str,
        none: str,
        brought: Callable[[str], Sequence[str] | None],
        every: Sequence[str],
    ) -> Named:
        name, _, rest = full.partition(".")
        if name not in self.connectors:
            wrong = self._no_connection(name, full, every)
            near = self._near(name)
            meant = Named((), nearest(full, every))
            if near:
                meant = self._find(f"{near}.{rest}", what, none, brought, every)
            return Named((wrong, *meant.wrong), meant.right)
        connector = self.connectors[name]
        if connector is None:
            return Named((), full)
        types = brought(connector)
        if types is None:
            wrong = f"connection {name} ({connector}) {none}{did_you_mean(full, every)}"
            return Named((wrong,), nearest(full, every))
        if rest in types:
            return Named((), full)
        names = [f"{name}.{type_}" for type_ in types]
        hint = did_you_mean(full, names) or f"; it has {', '.join(sorted(names))}"
        return Named((f"unknown {what} {full}{hint}",), nearest(full, names))

    def _no_connection(self, name: str, full: str = "", every: Sequence[str] = ()) -> str:
        near = self._near(name)
        hint = f"; did you mean {near}?" if near else did_you_mean(full, every)
        if not hint and name in self._registry.connections:
            hint = f"; add one under connections: `{name}: {{connector: {name}{self._more(name)}}}`"
        return f"unknown connection {name}{hint or '; add it under connections'}"

    def _near(self, name: str) -> str | None:
        """The connection that was meant: the one of that connector, for people name vendors, or one called alike."""
        return next((n for n, c in self.known.items() if c == name), None) or nearest(name, self.connectors)

    def _more(self, connector: str) -> str:
        """What else the entry of a connection needs."""
        try:
            self._registry.connections[connector].Config.model_validate({})
        except Exception:
            return ", …"
        return ""

    def _events(self, connector: str) -> Sequence[str] | None:
        source = self._registry.sources.get(connector)
        return [event.type for event in source.events] if source else None

    def _actions(self, connector: str) -> Sequence[str] | None:
        sink = self._registry.sinks.get(connector)
        return [action.name for action in sink.actions] if sink else None

    def _all(self, brought: Callable[[str], Sequence[str] | None]) -> list[str]:
        def names() -> Iterator[str]:
            for name, connector in self.known.items():
                yield from (f"{name}.{type_}" for type_ in brought(connector) or ())

        return list(names())
