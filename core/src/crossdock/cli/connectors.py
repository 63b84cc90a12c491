"""`crossdock connectors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossdock.cli import options
from crossdock.cli.output import coloured, console, emit, safe, table

if TYPE_CHECKING:
    from crossdock.plugins import Plugin, Registry


def connectors(json: options.Json = False) -> None:
    """Show the installed plugins, and what each connector brings."""
    from crossdock.plugins import load_plugins

    registry = load_plugins()
    plugins = [_plugin(plugin) for plugin in registry.plugins]
    brought = [_connector(registry, name) for name in sorted({*registry.connections, *registry.simulators})]
    filters = sorted(registry.transforms)
    if json:
        emit({"plugins": plugins, "connectors": brought, "filters": filters})
    else:
        _show(plugins, brought, filters)


def _plugin(plugin: Plugin) -> dict[str, Any]:
    named = ("name", "distribution", "version", "status", "error", "connectors")
    return {name: getattr(plugin, name) for name in named}


def _connector(registry: Registry, name: str) -> dict[str, Any]:
    source, sink = registry.sources.get(name), registry.sinks.get(name)
    events = [{"type": event.type, "summary": event.summary} for event in source.events] if source else []
    actions = [
        {"name": action.name, "redo": str(action.redo), "summary": action.summary}
        for action in (sink.actions if sink else ())
    ]
    return {
        "connector": name,
        "events": events,
        "actions": actions,
        "notifier": name in registry.notifiers,
        "simulator": name in registry.simulators,
    }


def _show(plugins: list[dict[str, Any]], brought: list[dict[str, Any]], filters: list[str]) -> None:
    rows = [
        (safe(p["name"]), safe(p["distribution"]), safe(p["version"]), coloured(p["status"]), safe(p["error"]))
        for p in plugins
    ]
    table(("plugin", "distribution", "version", "status", "error"), rows)
    out = console()
    for connector in brought:
        parts = [part for part in ("notifier", "simulator") if connector[part]]
        out.print(f"[bold]{safe(connector['connector'])}[/]" + (f"  ({', '.join(parts)})" if parts else ""))
        for event in connector["events"]:
            out.print(f"  when {safe(event['type']):<28} {safe(event['summary'])}", soft_wrap=True)
        for action in connector["actions"]:
            out.print(
                f"  do   {safe(action['name']):<28} {action['redo']:<11} {safe(action['summary'])}", soft_wrap=True
            )
    if filters:
        out.print(f"[bold]filters[/] {safe(', '.join(filters))}")
