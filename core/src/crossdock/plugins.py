"""Finding plugins, and keeping a broken one from harming the others."""

from __future__ import annotations

import importlib.metadata
import traceback as tracebacks
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy
from crossdock_sdk import SDK_API, Action, Connection, EventSpec, Notifier, Sink, Source, Transform

from crossdock import hookspecs, log_notifier
from crossdock.contributions import ContractError, Contribution, contribution
from crossdock.words import did_you_mean

GROUP = "crossdock"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin as found. `error` is one line for a person, `traceback` the whole story for its author."""

    name: str
    distribution: str | None = None
    version: str | None = None
    status: Literal["loaded", "failed", "incompatible"] = "loaded"
    error: str | None = None
    traceback: str | None = field(default=None, repr=False)
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registry:
    """All that the loaded plugins brought; the keys are connector names, or filter names for `transforms`."""

    plugins: tuple[Plugin, ...] = ()
    connections: Mapping[str, type[Connection]] = field(default_factory=dict)
    sources: Mapping[str, type[Source]] = field(default_factory=dict)
    sinks: Mapping[str, type[Sink]] = field(default_factory=dict)
    notifiers: Mapping[str, type[Notifier]] = field(default_factory=dict)
    simulators: Mapping[str, type[Any]] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)

    def action(self, connector: str, name: str) -> type[Action[Any]] | None:
        """The action `name` (such as `invoice.create`) of the connector's sink, or None."""
        sink = self.sinks.get(connector)
        return next((a for a in sink.actions if a.name == name), None) if sink else None

    def event(self, connector: str, type: str) -> EventSpec | None:  # noqa: A002 - the contract's word
        """The event `type` (such as `deal.won`) of the connector's source, or None."""
        source = self.sources.get(connector)
        return next((e for e in source.events if e.type == type), None) if source else None

    def broken(self, connector: str) -> Plugin | None:
        """The plugin that did not load and that, going by its name, would have brought `connector`."""
        names = {connector, f"crossdock-{connector}", f"crossdock_{connector}"}
        return next(
            (p for p in self.plugins if p.status != "loaded" and {p.name, p.distribution} & names),
            None,
        )


def load_plugins(
    *, extra: Sequence[object] = (), entry_points: Iterable[EntryPoint] | None = None, simulators: bool = True
) -> Registry:
    """Load every entry point of the group `crossdock`, then `extra`: modules (or objects) with hooks.

    Without `simulators` they are not asked for, and what only they need is not imported. No plugin makes this raise:
    one that cannot be loaded is in `Registry.plugins` with its error.
    """
    loader = _Loader(set() if simulators else {"crossdock_simulators"})
    loader.add("log", "crossdock", _version("crossdock"), lambda: log_notifier)
    found = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    for point in sorted(found, key=lambda p: (p.dist.name if p.dist else "", p.name)):
        dist = point.dist
        loader.add(point.name, dist.name if dist else None, dist.version if dist else None, point.load)
    for plugin in extra:
        loader.add(_name_of(plugin), None, None, lambda plugin=plugin: plugin)  # type: ignore[misc]  # bound per turn
    return loader.registry()


class _Loader:
    def __init__(self, unasked: Set[str]) -> None:
        self._unasked = unasked
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Plugin] = []
        self._owners: dict[str, str] = {}
        self._contributions: list[Contribution] = []

    def add(self, name: str, distribution: str | None, version: str | None, load: Callable[[], object]) -> None:
        try:
            brought = self._load(name, load)
        except _IncompatibleError as error:
            plugin = Plugin(name, distribution, version, "incompatible", str(error))
        except (Exception, SystemExit) as error:
            plugin = Plugin(name, distribution, version, "failed", _one_line(error), tracebacks.format_exc())
        else:
            self._contributions.append(brought)
            self._owners |= dict.fromkeys(brought.claims, name)
            plugin = Plugin(name, distribution, version, connectors=brought.connectors)
        self._plugins.append(plugin)

    def _load(self, name: str, load: Callable[[], object]) -> Contribution:
        plugin = load()
        api = getattr(plugin, "CROSSDOCK_API", SDK_API)
        if api != SDK_API:
            raise _IncompatibleError(
                f"written for plugin API {api}, this runtime has {SDK_API}: install a matching version"
            )
        key = f"{len(self._plugins)}:{name}"
        try:
            self._register(plugin, key)
            brought = contribution(self._call(plugin))
            self._refuse_taken(brought)
        except BaseException:
            if self._manager.has_plugin(key):
                self._manager.unregister(name=key)
            raise
        return brought

    def _register(self, plugin: object, key: str) -> None:
        try:
            self._manager.register(plugin, key)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ContractError(self._misspelt(plugin) or str(error).replace("\n", " ")) from error
        if not self._manager.get_hookcallers(plugin):
            raise ContractError("has no hook implementation: mark functions such as crossdock_sinks with @hookimpl")

    def _misspelt(self, plugin: object) -> str | None:
        callers = self._manager.get_hookcallers(plugin) or []
        wrong = [c.name for c in callers if not c.has_spec()]
        right = [name for name in dir(hookspecs) if name.startswith("crossdock_")]
        if not wrong:
            return None
        hint = did_you_mean(wrong[0], right) or "; the hooks are " + ", ".join(right)
        return f"unknown hook {wrong[0]}{hint}"

    def _call(self, plugin: object) -> dict[str, list[object]]:
        others = [p for p in self._manager.get_plugins() if p is not plugin]
        answers: dict[str, list[object]] = {}
        for caller in self._manager.get_hookcallers(plugin) or []:
            if caller.name not in self._unasked:
                answers[caller.name] = self._manager.subset_hook_caller(caller.name, others)()
        return answers

    def _refuse_taken(self, brought: Contribution) -> None:
        for claim in brought.claims:
            if claim in self._owners:
                owner = self._owners[claim]
                raise ContractError(f"{claim} is already taken by the plugin {owner}: uninstall one of the two")

    def registry(self) -> Registry:
        merged = Contribution()
        for brought in self._contributions:
            merged = merged.merged(brought)
        return Registry(
            plugins=tuple(self._plugins),
            connections=merged.connections,
            sources=merged.sources,
            sinks=merged.sinks,
            notifiers=merged.notifiers,
            simulators=merged.simulators,
            transforms=merged.transforms,
        )


class _IncompatibleError(Exception):
    pass


def _name_of(plugin: object) -> str:
    return str(getattr(plugin, "__name__", None) or type(plugin).__name__)


def _one_line(error: BaseException) -> str:
    if isinstance(error, ContractError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
