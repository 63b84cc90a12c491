"""Loading the routing file: all its mistakes at once, or a configuration that is known to fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossdock_sdk import ConnectionConfig, Redactor
from crossdock_sdk.redaction import MASK
from pydantic import ValidationError

from crossdock.config.check import check_flow
from crossdock.config.compiled import CompiledFlow
from crossdock.config.document import Document, read_yaml
from crossdock.config.explain import explained
from crossdock.config.interpolation import Interpolation
from crossdock.config.models import NAME, ConnectionEntry, Flow, RoutingFile
from crossdock.config.problems import ConfigProblems, Finding, Problem, finding
from crossdock.config.salvage import salvage_flow
from crossdock.plugins import Registry
from crossdock.words import did_you_mean

__all__ = ("ConfigProblems", "ConnectionSpec", "Loaded", "Problem", "Stopped", "load")

_KEYS = ("version", "connections", "flows")


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """A configured account: `config` is an instance of the connector's own `Config`."""

    name: str
    connector: str
    config: ConnectionConfig


@dataclass(frozen=True, slots=True)
class Stopped:
    """A connection that cannot be used, because its plugin did not load."""

    connector: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A routing file without mistakes."""

    routing: RoutingFile
    connections: Mapping[str, ConnectionSpec]
    flows: Mapping[str, CompiledFlow]
    stopped: Mapping[str, Stopped] = field(default_factory=dict)


def load(
    source: Path | str,
    *,
    env: Mapping[str, str],
    registry: Registry,
    file: str = "crossdock.yaml",
    lenient: bool = False,
) -> Loaded:
    """Load a `Path`, or the text itself (`file` then names it in messages). Raises `ConfigProblems`.

    `lenient`: a connection whose plugin did not load is `stopped`, not a mistake, so that it stops only the
    flows that need it.
    """
    if isinstance(source, Path):
        file = str(source)
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigProblems([Problem(file, 1, 1, "", f"cannot be read: {reason}")]) from None
    else:
        text = source
    return _Load(read_yaml(text), file, env, registry, lenient).run()


class _Load:
    def __init__(
        self, document: Document, file: str, env: Mapping[str, str], registry: Registry, lenient: bool
    ) -> None:
        self._document = document
        self._file = file
        self._registry = registry
        self._lenient = lenient
        self._stopped: dict[str, Stopped] = {}
        self._findings: list[Finding] = []
        self._interpolation = Interpolation(env, self._report)
        self._entries: dict[str, ConnectionEntry] = {}
        self._specs: dict[str, ConnectionSpec] = {}
        self._flows: dict[str, CompiledFlow] = {}

    def run(self) -> Loaded:
        raw = self._root()
        filled = self._interpolation.apply(raw)
        for name, body in self._section(filled, "connections").items():
            self._connection(name, body, raw["connections"][name])
        names = list(self._section(raw, "connections"))
        connectors = {n: self._entries[n].connector if n in self._entries else None for n in names}
        for name, body in self._section(filled, "flows").items():
            self._flow(name, body, connectors)
        problems = self._problems()
        if problems:
            raise ConfigProblems(problems)
        flows: dict[str, Flow] = {name: compiled.flow for name, compiled in self._flows.items()}
        routing = RoutingFile(version=1, connections=self._entries, flows=flows)
        return Loaded(routing, self._specs, self._flows, self._stopped)

    def _root(self) -> dict[str, Any]:
        data = self._document.data
        if not isinstance(data, dict):
            if not self._document.mistakes:
                self._report((), "the file must be a mapping with version, connections and flows")
            return {}
        for key in data:
            if key not in _KEYS:
                self._report((key,), f"unknown key {key}{did_you_mean(key, _KEYS)}")
        version = data.get("version")
        if "version" not in data:
            self._report((), "version is missing; begin the file with `version: 1`")
        elif version != 1 or isinstance(version, bool):
            self._report(("version",), "this runtime reads version 1 only; write `version: 1`")
        for key in _KEYS[1:]:
            if not isinstance(data.get(key) or {}, dict):
                self._report((key,), f"{key} must be a mapping of names")
        return data

    def _section(self, data: dict[str, Any], key: str) -> dict[str, Any]:
        section = data.get(key)
        return section if isinstance(section, dict) else {}

    def _named(self, section: str, name: str) -> bool:
        if re.match(NAME, name):
            return True
        self._report((section, name), f"{name!r} is no name; use letters, digits, _ and -")
        return False

    def _connection(self, name: str, body: Any, raw: Any) -> None:
        path = ("connections", name)
        if not self._named("connections", name):
            return
        if not isinstance(body, dict) or not isinstance(body.get("connector"), str):
            self._report(path, "a connection needs a connector, such as `connector: pipedrive`")
            return
        connector = body["connector"]
        kind = self._registry.connections.get(connector)
        if kind is None:
            why = self._no_connector(connector)
            if self._lenient and self._registry.broken(connector):
                self._stopped[name] = Stopped(connector, why)
            else:
                self._report((*path, "connector"), why)
            return
        settings = {key: value for key, value in body.items() if key != "connector"}
        shown = {key: value for key, value in raw.items() if key != "connector"}
        self._entries[name] = ConnectionEntry(name=name, connector=connector, settings=settings, raw=shown)
        try:
            self._specs[name] = ConnectionSpec(name, connector, kind.Config.model_validate(settings))
        except ValidationError as error:
            self._explain(error, kind.Config, path)
        except Exception as error:
            self._report(path, f"the connector {connector} failed over its settings: {type(error).__name__}")

    def _no_connector(self, connector: str) -> str:
        broken = self._registry.broken(connector)
        if broken:
            return f"the plugin {broken.name} of connector {connector} is {broken.status}: {broken.error}"
        hint = did_you_mean(connector, self._registry.connections)
        return f"unknown connector {connector}{hint or f'; install it: pip install crossdock-{connector}'}"

    def _explain(self, error: ValidationError, model: type[ConnectionConfig], path: tuple[str, ...]) -> None:
        for where, message in explained(error, model):
            place = (*path, *where)
            if place not in self._interpolation.broken:
                self._report(place, message)

    def _flow(self, name: str, body: Any, connectors: Mapping[str, str | None]) -> None:
        path = ("flows", name)
        if not self._named("flows", name):
            return
        salvaged = salvage_flow(name, body)
        for place, message in salvaged.mistakes:
            if (*path, *place) not in self._interpolation.broken:
                self._report((*path, *place), message)
        if salvaged.flow is None:
            return
        checked = check_flow(
            salvaged.flow, self._registry, connectors, lost=salvaged.lost, event_known=salvaged.event_known
        )
        if not self._stopped.keys() & _needed(salvaged.flow):
            self._findings += [Finding((*path, *f.path), f.message, f.hint) for f in checked.findings]
        self._flows[name] = checked.compiled

    def _report(self, path: tuple[str, ...], message: str) -> None:
        self._findings.append(finding(path, message))

    def _problems(self) -> list[Problem]:
        redactor = Redactor()
        redactor.add(*self._interpolation.values)
        whole_words = [rf"(?<!\w){re.escape(value)}(?!\w)" for value in self._interpolation.values]
        short = re.compile("|".join(whole_words) or r"(?!)")

        def masked(text: str) -> str:
            return short.sub(MASK, redactor.text(text))

        problems = [
            Problem(self._file, *mark, ".".join(path), message) for mark, path, message in self._document.mistakes
        ]
        for found in self._findings:
            mark = self._document.mark(found.path)
            hint = masked(found.hint) if found.hint else None
            problems.append(Problem(self._file, *mark, ".".join(found.path), masked(found.message), hint))
        return list(dict.fromkeys(problems))


def _needed(flow: Flow) -> set[str]:
    """The connections without which the flow cannot run."""
    return {flow.source, *(leg.connection for leg in flow.legs if leg.enabled)}
