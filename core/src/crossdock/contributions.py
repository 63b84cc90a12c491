"""What one plugin's hooks returned, checked before the runtime trusts any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossdock_sdk import (
    Action,
    Connection,
    ConnectionConfig,
    EventSpec,
    Notifier,
    Redo,
    Sink,
    Source,
    Transform,
)


class ContractError(Exception):
    """A plugin that does not keep the contract; the text is one line for its author."""


@dataclass(frozen=True)
class Contribution:
    """The classes of one plugin (or of several, merged), by connector; transforms by filter name."""

    connections: dict[str, type[Connection]] = field(default_factory=dict)
    sources: dict[str, type[Source]] = field(default_factory=dict)
    sinks: dict[str, type[Sink]] = field(default_factory=dict)
    notifiers: dict[str, type[Notifier]] = field(default_factory=dict)
    simulators: dict[str, type[Any]] = field(default_factory=dict)
    transforms: dict[str, Transform] = field(default_factory=dict)

    @property
    def connectors(self) -> tuple[str, ...]:
        return tuple(sorted(self.connections))

    @property
    def claims(self) -> tuple[str, ...]:
        """What no second plugin may bring: `connector acme`, `filter shout`."""
        connectors = sorted({*self.connections, *self.simulators})
        return (
            *(f"connector {name}" for name in connectors),
            *(f"filter {name}" for name in sorted(self.transforms)),
        )

    def merged(self, other: Contribution) -> Contribution:
        return Contribution(
            self.connections | other.connections,
            self.sources | other.sources,
            self.sinks | other.sinks,
            self.notifiers | other.notifiers,
            self.simulators | other.simulators,
            self.transforms | other.transforms,
        )


def contribution(answers: Mapping[str, list[object]]) -> Contribution:
    """Check and sort what the hooks returned, by hook name. Raises `ContractError`."""
    found = Contribution()
    for hook, returned in answers.items():
        for item in _flat(hook, returned):
            _ADD[hook](found, item)
    return found


def _flat(hook: str, returned: Iterable[object]) -> Iterable[type[Any]]:
    for answer in returned:
        if not isinstance(answer, (list, tuple)):
            raise ContractError(f"{hook} must return a list of classes, not {_say(answer)}")
        for item in answer:
            if not isinstance(item, type):
                raise ContractError(f"{hook} must return classes, not {_say(item)}")
            yield item


def _say(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _subclass(item: type[Any], base: type[Any], hook: str) -> None:
    if not issubclass(item, base):
        raise ContractError(f"{hook} returned {item.__name__}, which is no subclass of crossdock_sdk.{base.__name__}")
    _complete(item)


def _complete(item: type[Any]) -> None:
    missing = sorted(getattr(item, "__abstractmethods__", ()))
    if missing:
        raise ContractError(f"{item.__name__} leaves {', '.join(missing)} unwritten")


def _connector(found: Contribution, item: type[Any]) -> str:
    connection = getattr(item, "connection_class", None)
    if not (isinstance(connection, type) and issubclass(connection, Connection)):
        raise ContractError(f"{item.__name__}.connection_class must be a subclass of crossdock_sdk.Connection")
    config = getattr(connection, "Config", None)
    if not (isinstance(config, type) and issubclass(config, ConnectionConfig)):
        raise ContractError(f"{connection.__name__}.Config must be a subclass of crossdock_sdk.ConnectionConfig")
    name = _connector_name(connection)
    if found.connections.setdefault(name, connection) is not connection:
        other = found.connections[name].__name__
        raise ContractError(f"{connection.__name__} and {other} both call themselves connector {name}")
    return name


def _connector_name(owner: type[Any]) -> str:
    name = getattr(owner, "connector", None)
    if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
        raise ContractError(f"{owner.__name__}.connector must be a name such as acme, not {name!r}")
    return name


def _put(kind: str, names: dict[str, Any], name: str, item: Any) -> None:
    if name in names:
        raise ContractError(f"{name} has two {kind}s")
    names[name] = item


def _add_source(found: Contribution, item: type[Any]) -> None:
    _subclass(item, Source, "crossdock_sources")
    events = getattr(item, "events", None)
    if not isinstance(events, tuple) or not events or not all(isinstance(e, EventSpec) for e in events):
        raise ContractError(f"{item.__name__}.events must be a tuple of EventSpec")
    _unique(item, "event", [e.type for e in events])
    _put("source", found.sources, _connector(found, item), item)


def _add_sink(found: Contribution, item: type[Any]) -> None:
    _subclass(item, Sink, "crossdock_sinks")
    actions = getattr(item, "actions", None)
    if not isinstance(actions, tuple) or not actions:
        raise ContractError(f"{item.__name__}.actions must be a tuple of Action classes")
    for action in actions:
        _check_action(action)
    _unique(item, "action", [a.name for a in actions])
    _put("sink", found.sinks, _connector(found, item), item)


def _check_action(action: Any) -> None:
    if not isinstance(action, type) or not issubclass(action, Action):
        raise ContractError(f"actions must be subclasses of crossdock_sdk.Action, not {_say(action)}")
    _complete(action)
    name, redo = getattr(action, "name", None), getattr(action, "redo", None)
    if not isinstance(name, str) or not isinstance(redo, Redo):
        raise ContractError(f"{action.__name__} must state `name` and `redo`")
    try:
        action.input_model()
    except TypeError as error:
        raise ContractError(str(error)) from error
    needed = {Redo.LOOKUP: "recover", Redo.NATIVE_KEY: "exists"}.get(redo)
    if needed and getattr(action, needed) is getattr(Action, needed):
        raise ContractError(f"{action.__name__} declares redo {redo.value} and so must write {needed}")


def _unique(owner: type[Any], kind: str, names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ContractError(f"{owner.__name__} has two {kind}s {twice[0]}")


def _add_notifier(found: Contribution, item: type[Any]) -> None:
    _subclass(item, Notifier, "crossdock_notifiers")
    _put("notifier", found.notifiers, _connector(found, item), item)


def _add_simulator(found: Contribution, item: type[Any]) -> None:
    _complete(item)
    _put("simulator", found.simulators, _connector_name(item), item)


def _add_transform(found: Contribution, item: type[Any]) -> None:
    _subclass(item, Transform, "crossdock_transforms")
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ContractError(f"{item.__name__}.name must be a filter name such as shout, not {name!r}")
    _put("transform", found.transforms, name, item())


_ADD = {
    "crossdock_sources": _add_source,
    "crossdock_sinks": _add_sink,
    "crossdock_notifiers": _add_notifier,
    "crossdock_simulators": _add_simulator,
    "crossdock_transforms": _add_transform,
}
