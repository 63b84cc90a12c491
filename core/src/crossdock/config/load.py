"""Loading the routing file: all its mistakes at once, or a configuration that is known to fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crossdock_sdk import ConnectionConfig, Redactor
from crossdock_sdk.contracts.connection import named_secrets
from pydantic import ValidationError

from crossdock.config.check import check_flow
from crossdock.config.compiled import CompiledFlow
from crossdock.config.document import Document, read_yaml
from crossdock.config.explain import explained, one
from crossdock.config.interpolation import Interpolation
from crossdock.config.keys import meant_key, unknown_key
from crossdock.config.models import NAME, ConnectionEntry, Flow, Retention, RoutingFile
from crossdock.config.names import Names
from crossdock.config.polls import PollSettings, poll_settings
from crossdock.config.problems import ConfigProblems, Finding, Place, Problem, finding
from crossdock.config.salvage import Salvage, salvage_flow
from crossdock.config.secrets import Clear, too_short
from crossdock.config.telling import KEYS as TELLING
from crossdock.config.telling import Telling, telling
from crossdock.plugins import Registry
from crossdock.words import did_you_mean, nearest

__all__ = (
    "ConfigProblems",
    "ConnectionSpec",
    "Loaded",
    "Problem",
    "Stopped",
    "load",
    "load_connections",
    "load_retention",
)

_KEYS = ("version", "connections", "flows", "retention")


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """A configured account: `config` is an instance of the connector's own `Config`."""

    name: str
    connector: str
    config: ConnectionConfig
    poll: PollSettings | None = None
    """How it is polled; None: not at all."""
    telling: Telling = field(default_factory=Telling)
    """How it is told, if it is a notifier's."""


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
    warnings: tuple[str, ...] = ()
    """What works, and yet should be changed."""
    file: str = ""
    document: Document = field(default_factory=Document, repr=False)
    """The file as it was read, which knows the line of each thing; secrets that stand in it are in clear."""

    def line(self, *path: str) -> int:
        """The line of the file, from 1, in which the thing at this path stands, or what is around it."""
        return self.document.mark(path)[0]


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
    text = source
    if isinstance(source, Path):
        file, text = str(source), _read(source)
    return _Load(read_yaml(str(text)), file, env, registry, lenient).run()


def load_retention(source: Path, *, env: Mapping[str, str]) -> Retention:
    """How long the journal keeps what, whatever else is in the file. Raises `ConfigProblems`."""
    return _Load(read_yaml(_read(source)), str(source), env, Registry(), lenient=True).retention_alone()


def load_connections(source: Path, *, env: Mapping[str, str], registry: Registry) -> dict[str, ConnectionSpec]:
    """The connections that are right, whatever else is in the file. Raises `ConfigProblems` if it is no YAML."""
    return _Load(read_yaml(_read(source)), str(source), env, registry, lenient=True).connections_alone()


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigProblems([Problem(str(source), 1, 1, "", f"cannot be read: {_unread(error)}")]) from None


def _unread(error: OSError | UnicodeDecodeError) -> str:
    """Why, and what to do."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text; save it as UTF-8"
    if isinstance(error, FileNotFoundError):
        return f"{error.strerror}; write one, or name another on the command line or in CROSSDOCK_CONFIG"
    return f"{error.strerror}; name a file that this user may read"


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
        self._meant: dict[str, str | None] = {}
        self._written: dict[str, str] = {}
        self._unset: list[Finding] = []
        self._interpolation = Interpolation(env, lambda path, message: self._unset.append(finding(path, message)))
        self._entries: dict[str, ConnectionEntry] = {}
        self._specs: dict[str, ConnectionSpec] = {}
        self._flows: dict[str, CompiledFlow] = {}

    def run(self) -> Loaded:
        raw = self._root()
        filled = self._interpolation.apply(raw)
        for name, body in self._section(filled, "connections").items():
            self._connection(name, body, raw["connections"][name])
        for name in self._section(raw, "connections"):
            self._meant.setdefault(name, self._entries[name].connector if name in self._entries else None)
        names = Names(self._registry, self._meant)
        bodies = self._section(filled, "flows").items()
        salvaged = {name: salvage_flow(name, body, names) for name, body in bodies if self._named("flows", name)}
        known = {name: found.flow for name, found in salvaged.items()}
        for name, found in salvaged.items():
            self._flow(name, found, names, known)
        retention = self._retention(filled.get("retention"))
        secrets = self._secrets()
        problems = self._problems(secrets, self._in_clear(secrets, self._section(filled, "flows")))
        warnings = too_short(secrets)
        if problems:
            raise ConfigProblems(problems, warnings)
        flows: dict[str, Flow] = {name: compiled.flow for name, compiled in self._flows.items()}
        routing = RoutingFile(version=1, connections=self._entries, flows=flows, retention=retention)
        return Loaded(routing, self._specs, self._flows, self._stopped, warnings, self._file, self._document)

    def retention_alone(self) -> Retention:
        raw = self._root().get("retention")
        retention = self._retention(self._interpolation.apply(raw, ("retention",)))
        self._findings = [found for found in self._findings if found.path[:1] == ("retention",)]
        problems = self._problems({}, [])
        if problems:
            raise ConfigProblems(problems, ())
        return retention

    def connections_alone(self) -> dict[str, ConnectionSpec]:
        raw = self._root()
        for name, body in self._section(self._interpolation.apply(raw), "connections").items():
            self._connection(name, body, raw["connections"][name])
        wrong = {found.path[1:2] for found in (*self._findings, *self._unset) if found.path[:1] == ("connections",)}
        return {name: spec for name, spec in self._specs.items() if (name,) not in wrong}

    def _root(self) -> dict[str, Any]:
        data = self._document.data
        if not isinstance(data, dict):
            if not self._document.mistakes:
                self._report((), "the file must be a mapping with version, connections and flows")
            return {}
        right = {key: value for key, value in data.items() if key in _KEYS}
        for key in data:
            if key not in _KEYS:
                self._report((key,), unknown_key(key, _KEYS))
                meant = meant_key(key, _KEYS)
                if meant and meant not in right:
                    right[meant] = data[key]
                    self._written[meant] = key
        version = right.get("version")
        if "version" not in right:
            self._report((), "version is missing; begin the file with `version: 1`")
        elif version != 1 or isinstance(version, bool):
            self._report(("version",), "this runtime reads version 1 only; write `version: 1`")
        for key, what in zip(_KEYS[1:], ("names", "names", "durations"), strict=True):
            if not isinstance(right.get(key) or {}, dict):
                self._report((key,), f"{key} must be a mapping of {what}")
        return right

    def _retention(self, body: Any) -> Retention:
        try:
            return Retention.model_validate(body) if isinstance(body, dict) else Retention()
        except ValidationError as error:
            for place, message in explained(error, Retention):
                self._report(("retention", *place), message)
            return Retention()

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
        key = self._connector_key(body, path) if isinstance(body, dict) else None
        if key is None or not isinstance(body[key], str):
            self._report(path, "a connection needs a connector, such as `connector: pipedrive`")
            return
        connector = body[key]
        kind = self._registry.connections.get(connector)
        if kind is None:
            self._unknown_connector(name, body, key)
            return
        ours = {key, "poll", *(TELLING if connector in self._registry.notifiers else ())}
        settings = {k: value for k, value in body.items() if k not in ours}
        poll, told = self._poll(connector, body, path), self._telling(connector, body, path)
        shown = {k: value for k, value in raw.items() if k != key}
        self._entries[name] = ConnectionEntry(name=name, connector=connector, settings=settings, raw=shown)
        try:
            self._specs[name] = ConnectionSpec(name, connector, kind.Config.model_validate(settings), poll, told)
        except ValidationError as error:
            self._explain(error, kind.Config, path)
        except Exception as error:
            self._report(path, f"the connector {connector} failed over its settings: {type(error).__name__}")

    def _poll(self, connector: str, body: dict[str, Any], path: tuple[str, ...]) -> PollSettings | None:
        """How the connection is polled."""
        source = self._registry.sources.get(connector)
        declared, given = source.polling if source else None, body.get("poll")
        if declared is None and "poll" in body and given not in {False, "off"}:
            why = "brings no events" if source is None else "tells of events by webhooks alone"
            self._report((*path, "poll"), f"{connector} {why}; leave poll out")
        try:
            return poll_settings(given, declared)
        except ValidationError as error:
            for place, message in explained(error, PollSettings):
                # `poll: 60s` has no `every` of its own to point at.
                self._report((*path, "poll", *(place if isinstance(given, dict) else ())), message)
            return None

    def _telling(self, connector: str, body: dict[str, Any], path: tuple[str, ...]) -> Telling:
        """How a notifier's connection is told."""
        try:
            return telling(body) if connector in self._registry.notifiers else Telling()
        except ValidationError as error:
            for place, message in explained(error, Telling):
                self._report((*path, *place), message)
            return Telling()

    def _connector_key(self, body: dict[str, Any], path: tuple[str, ...]) -> str | None:
        """Under which key the connector stands, misspelt perhaps."""
        if "connector" in body:
            return "connector"
        key = next((key for key in body if meant_key(key, ["connector"])), None)
        if key is not None:
            self._report((*path, key), unknown_key(key, ["connector"]))
        return key

    def _unknown_connector(self, name: str, body: dict[str, Any], key: str) -> None:
        """Hold what is written against the connector that was meant; what is missing may be right for another."""
        connector, path = body[key], ("connections", name)
        why, broken = self._no_connector(connector), self._registry.broken(connector)
        if self._lenient and broken:
            self._stopped[name] = Stopped(connector, why)
            return
        self._report((*path, key), why)
        meant = None if broken else nearest(connector, self._registry.connections)
        if meant is None:
            return
        self._meant[name] = meant
        kind = self._registry.connections[meant]
        try:
            kind.Config.model_validate({k: value for k, value in body.items() if k != key})
        except ValidationError as error:
            self._explain(error, kind.Config, path, written=True)
        except Exception:
            return

    def _no_connector(self, connector: str) -> str:
        broken = self._registry.broken(connector)
        if broken:
            return f"the plugin {broken.name} of connector {connector} is {broken.status}: {broken.error}"
        hint = did_you_mean(connector, self._registry.connections)
        return f"unknown connector {connector}{hint or f'; install it: pip install crossdock-{connector}'}"

    def _explain(
        self, error: ValidationError, model: type[ConnectionConfig], path: Place, *, written: bool = False
    ) -> None:
        """Report what is wrong with settings; with `written`, only with those that are there."""
        for item in error.errors(include_url=False):
            if not written or (item["loc"] and item["type"] != "missing"):
                self._report((*path, *map(str, item["loc"])), one(dict(item), model, ("poll", *TELLING)))

    def _flow(self, name: str, salvaged: Salvage, names: Names, flows: Mapping[str, Flow | None]) -> None:
        findings = [finding(place, message) for place, message in salvaged.mistakes]
        if salvaged.flow is not None:
            checked = check_flow(salvaged.flow, salvaged, self._registry, names, flows)
            self._flows[name] = checked.compiled
            if not self._stopped.keys() & _needed(salvaged.flow):
                findings += checked.findings
        for found in findings:
            self._findings.append(replace(found, path=("flows", name, *salvaged.written(found.path))))

    def _report(self, path: Place, message: str) -> None:
        self._findings.append(finding(path, message))

    def _secrets(self) -> dict[str, str]:
        return {
            f"connections.{name}.{key}": value
            for name, spec in self._specs.items()
            for key, value in named_secrets(spec.config).items()
        }

    def _in_clear(self, secrets: Mapping[str, str], flows: Mapping[str, Any]) -> list[Finding]:
        clear, found = Clear(secrets), list[Finding]()
        for name, body in flows.items():
            compiled = self._flows.get(name)
            found += clear.findings(name, body, compiled.flow if compiled else None)
        return found

    def _problems(self, secrets: Mapping[str, str], in_clear: Sequence[Finding]) -> list[Problem]:
        redactor, names = Redactor(), Redactor()
        redactor.add(*self._interpolation.values, *secrets.values())
        names.add(*secrets.values())

        def placed(found: Finding, message: str, hint: str | None) -> Problem:
            path = (self._written.get(found.path[0], found.path[0]), *found.path[1:]) if found.path else ()
            shown = map(names.text, path) if found.path[:1] == ("flows",) else path
            return Problem(self._file, *self._document.mark(path), ".".join(shown), message, hint)

        problems = [
            Problem(self._file, *mark, ".".join(path), message) for mark, path, message in self._document.mistakes
        ]
        # A text whose variable is not set is not judged any further.
        judged = (found for found in self._findings if found.path not in self._interpolation.broken)
        for found in (*self._unset, *judged):
            hint = redactor.text(found.hint) if found.hint else None
            problems.append(placed(found, redactor.text(found.message), hint))
        # What is said of these has no value in it, and a secret may well be `password`.
        problems += [placed(found, found.message, found.hint) for found in in_clear]
        return list(dict.fromkeys(problems))


def _needed(flow: Flow) -> set[str]:
    """The connections without which the flow cannot run."""
    return {flow.source, *(leg.connection for leg in flow.legs if leg.enabled)}
