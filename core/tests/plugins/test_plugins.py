"""Discovery: a broken plugin is shown with its reason and harms nobody else."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from crossdock.plugins import Plugin, Registry, load_plugins
from crossdock_sdk import (
    SDK_API,
    Action,
    Alert,
    Connection,
    ConnectionConfig,
    Customer,
    Event,
    EventSpec,
    Notifier,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Transform,
    WebhookRequest,
    hookimpl,
)


def connection(name: str) -> type[Connection]:
    return type("AnyConnection", (Connection,), {"connector": name, "Config": ConnectionConfig})


def notifier(name: str) -> type[Notifier]:
    class AnyNotifier(Notifier):
        connection_class: ClassVar[type[Connection]] = connection(name)

        async def notify(self, alert: Alert) -> None:
            """Nobody is told."""

    return AnyNotifier


class Good(Action[Customer]):
    name: ClassVar[str] = "customer.create"
    redo: ClassVar[Redo] = Redo.UPSERT

    async def apply(self, data: Customer, key: str) -> Receipt:
        return Receipt(id="1")

    async def undo(self, receipt: Receipt) -> None:
        """Nothing stands."""


class AnySource(Source):
    connection_class: ClassVar[type[Connection]] = connection("acme")
    events: ClassVar[tuple[EventSpec, ...]] = (EventSpec("deal.won", {}, ("deal.id",)),)

    def verify(self, request: WebhookRequest) -> None:
        """Nothing arrives."""

    def parse(self, request: WebhookRequest) -> list[Event]:
        return []

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {}


class AnySink(Sink):
    connection_class: ClassVar[type[Connection]] = AnySource.connection_class
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (Good,)


def plugin(name: str = "acme", **hooks: Any) -> types.ModuleType:
    """A module with those hook implementations; a value is what the hook returns, an exception is raised."""
    module = types.ModuleType(name)

    def implement(hook: str, value: Any) -> None:
        def implementation() -> Any:
            if isinstance(value, BaseException):
                raise value
            return value

        implementation.__name__ = hook
        setattr(module, hook, hookimpl(implementation))

    for hook, value in hooks.items():
        implement(hook, value)
    return module


GOOD = plugin("good", crossdock_notifiers=[notifier("pager")])


def load(*extra: object) -> tuple[Registry, list[Plugin]]:
    """The registry with these plugins and a good one after them, which must always load."""
    registry = load_plugins(extra=[*extra, GOOD], entry_points=[])
    assert registry.plugins[-1].status == "loaded"
    assert "pager" in registry.notifiers
    return registry, [p for p in registry.plugins if p.name not in ("good", "log")]


def test_what_a_plugin_brings_is_found_by_connector() -> None:
    registry, [found] = load(plugin(crossdock_sources=[AnySource], crossdock_sinks=[AnySink]))
    assert (found.status, found.connectors) == ("loaded", ("acme",))
    assert registry.action("acme", "customer.create") is Good
    assert registry.action("acme", "customer.delete") is None
    assert registry.action("nobody", "customer.create") is None
    assert registry.event("acme", "deal.won") is AnySource.events[0]
    assert registry.event("acme", "deal.lost") is None
    assert registry.connections["acme"] is AnySource.connection_class


def test_the_log_notifier_is_always_there() -> None:
    registry = load_plugins(entry_points=[])
    assert [p.name for p in registry.plugins] == ["log"]
    assert registry.connections["log"].Config.model_validate({}).base_url == ""
    assert "log" in registry.notifiers


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (plugin(crossdock_sorces=[AnySource]), "unknown hook crossdock_sorces; did you mean crossdock_sources?"),
        (plugin(crossdock_sinks=RuntimeError("no licence\nfound")), "RuntimeError: no licence found"),
        (plugin(crossdock_sinks=SystemExit(3)), "SystemExit: 3"),
        (plugin(crossdock_sinks=AnySink), "crossdock_sinks must return a list of classes, not the class AnySink"),
        (plugin(crossdock_sinks=["AnySink"]), "crossdock_sinks must return classes, not a str"),
        (plugin(crossdock_sinks=[AnySource]), "crossdock_sinks returned AnySource, which is no subclass"),
        (plugin(crossdock_sources=[type("Half", (Source,), {"events": AnySource.events})]), "Half leaves hydrate"),
        (plugin(crossdock_sinks=[type("S", (Sink,), {"actions": (Good,)})]), "S.connection_class must be"),
        (plugin(crossdock_sinks=[type("S", (AnySink,), {"actions": (Good, Good)})]), "two actions customer.create"),
        (plugin(crossdock_sinks=[AnySink, AnySink]), "acme has two sinks"),
        (plugin(crossdock_sinks=[type("S", (AnySink,), {"actions": ()})]), "S.actions must be a tuple"),
        (plugin(), "has no hook implementation"),
    ],
)
def test_a_broken_plugin_fails_alone_and_says_why(broken: object, reason: str) -> None:
    _, [found] = load(broken)
    assert found.status == "failed"
    assert found.error is not None
    assert reason in found.error
    assert "\n" not in found.error
    assert found.traceback


def test_an_action_must_be_able_to_ask_again_the_way_it_declares() -> None:
    forgetful = type("Forgetful", (Good,), {"redo": Redo.LOOKUP})
    sink = type("S", (AnySink,), {"actions": (forgetful,)})
    _, [found] = load(plugin(crossdock_sinks=[sink]))
    assert found.error == "Forgetful declares redo lookup and so must write recover"


def test_an_action_must_name_its_input() -> None:
    class Nameless(Action):  # type: ignore[type-arg]  # the mistake under test
        name: ClassVar[str] = "x"
        redo: ClassVar[Redo] = Redo.UPSERT

        async def apply(self, data: Any, key: str) -> Receipt:
            return Receipt(id="1")

        async def undo(self, receipt: Receipt) -> None:
            """Nothing stands."""

    _, [found] = load(plugin(crossdock_sinks=[type("S", (AnySink,), {"actions": (Nameless,)})]))
    assert "names no input model" in (found.error or "")


def test_the_second_plugin_for_one_connector_fails_and_names_the_first() -> None:
    registry, [first, second] = load(
        plugin("first", crossdock_sources=[AnySource]), plugin("second", crossdock_sinks=[AnySink])
    )
    assert first.status == "loaded"
    assert second.error == "connector acme is already taken by the plugin first: uninstall one of the two"
    assert "acme" not in registry.sinks


def test_the_second_transform_of_one_name_fails() -> None:
    class Shout(Transform):
        name: ClassVar[str] = "shout"

        def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
            return value

    registry, [_, second] = load(plugin("a", crossdock_transforms=[Shout]), plugin("b", crossdock_transforms=[Shout]))
    assert second.error == "filter shout is already taken by the plugin a: uninstall one of the two"
    assert isinstance(registry.transforms["shout"], Shout)


def test_a_plugin_for_another_api_is_incompatible_and_not_called() -> None:
    old = plugin(crossdock_sinks=RuntimeError("called"))
    old.CROSSDOCK_API = SDK_API + 1  # type: ignore[attr-defined]  # a module takes any name
    _, [found] = load(old)
    assert found.status == "incompatible"
    assert f"API {SDK_API + 1}" in (found.error or "")


def test_two_registries_in_one_process_do_not_meet() -> None:
    one, _ = load(plugin(crossdock_sinks=[AnySink]))
    two = load_plugins(entry_points=[])
    assert "acme" in one.sinks
    assert not two.sinks


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "crossdock")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("def (", "SyntaxError"),
    ],
)
def test_an_entry_point_that_cannot_be_imported_is_kept_with_its_error(
    on_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (on_path / "broken_plugin_module.py").write_text(source)
    monkeypatch.delitem(sys.modules, "broken_plugin_module", raising=False)
    registry = load_plugins(extra=[GOOD], entry_points=[entry("acme", "broken_plugin_module")])
    found = next(p for p in registry.plugins if p.name == "acme")
    assert found.status == "failed"
    assert reason in (found.error or "")
    assert "broken_plugin_module" in (found.traceback or "")
    assert "pager" in registry.notifiers
    assert registry.broken("acme") is found
    assert registry.broken("pager") is None


def test_an_entry_point_that_names_no_module_fails() -> None:
    registry = load_plugins(entry_points=[entry("ghost", "no_such_module_anywhere")])
    assert registry.plugins[-1].status == "failed"
