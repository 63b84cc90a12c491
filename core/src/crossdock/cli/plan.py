"""`crossdock plan`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import FAILED, misused
from crossdock.cli.output import coloured, console, emit, safe

if TYPE_CHECKING:
    from crossdock_sdk import EventSpec, Redactor

    from crossdock.config.compiled import CompiledFlow
    from crossdock.config.load import Loaded
    from crossdock.forecast import Forecast
    from crossdock.plugins import Registry
    from crossdock.settings import Settings


def plan(
    flow: Annotated[str, typer.Argument(help="The flow's name.")],
    event: Annotated[
        Path | None,
        typer.Option("--event", help='Records as JSON, such as {"deal": {…}}; - reads standard input.'),
    ] = None,
    record: Annotated[str | None, typer.Option("--id", help="Read this record from the source.")] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Show every write that a deal would make, before anything is written."""
    from crossdock.config.load import load
    from crossdock.forecast import forecast
    from crossdock.plugins import load_plugins

    if (event is None) == (record is None):
        raise misused("give --id of a record at the source, or --event with records as JSON; one of the two")
    settings = options.settings(config)
    registry = load_plugins(simulators=False)
    loaded = load(settings.config, env=os.environ, registry=registry)
    compiled, spec = _flow(loaded, registry, flow)
    redactor = redactor_of(settings, loaded)
    if event is not None:
        records = _given(event, spec)
    else:
        records = asyncio.run(_read(settings, loaded, registry, compiled, spec, str(record), redactor))
    found = forecast(compiled, spec, records, redactor)
    if json:
        emit(found.shown())
    else:
        _show(compiled, found)
    if not found.ok:
        raise typer.Exit(FAILED)


def redactor_of(settings: Settings, loaded: Loaded) -> Redactor:
    """Knows every secret of the settings and the routing file."""
    from crossdock_sdk import Redactor
    from crossdock_sdk.contracts.connection import secrets_of

    redactor = Redactor()
    redactor.add(*settings.secrets())
    for connection in loaded.connections.values():
        redactor.add(*secrets_of(connection.config))
    return redactor


def _flow(loaded: Loaded, registry: Registry, name: str) -> tuple[CompiledFlow, EventSpec]:
    from crossdock.words import did_you_mean

    compiled = loaded.flows.get(name)
    if compiled is None:
        hint = did_you_mean(name, loaded.flows) or f"; there are {', '.join(loaded.flows) or 'none'}"
        raise misused(f"no flow is called {name}{hint}")
    connector = loaded.connections[compiled.flow.source].connector
    spec = registry.event(connector, compiled.flow.event)
    if spec is None:
        raise misused(f"no installed connector brings {compiled.flow.when}")
    return compiled, spec


def _given(file: Path, spec: EventSpec) -> dict[str, Any]:
    from crossdock.forecast import records_given

    try:
        return records_given(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes(), spec)
    except ValueError as error:
        raise misused(f"{file}: {error}") from None
    except OSError as error:
        raise misused(f"{file} cannot be read: {error.strerror}") from None


async def _read(
    settings: Settings,
    loaded: Loaded,
    registry: Registry,
    compiled: CompiledFlow,
    spec: EventSpec,
    record: str,
    redactor: Redactor,
) -> dict[str, Any]:
    from crossdock_sdk import Event, jsonio

    from crossdock.cli.reading import connected

    event = Event(spec.type, f"plan:{record}", record, known_data(spec, record))
    async with connected(settings, loaded, registry, redactor) as connections:
        records = await connections.source(compiled.flow.source).hydrate(event)
    read: dict[str, Any] = jsonio.plain({name: body.model_dump() for name, body in records.items()})
    return read


def known_data(spec: EventSpec, record: str) -> dict[str, Any]:
    """The data of an event about `record`: its id at the first path `….id` that every such event carries."""
    path = next((known for known in spec.known if known.endswith(".id")), None)
    if path is None:
        raise misused(f"{spec.type} is known by more than an id; give --event with the records instead")
    data: Any = record
    for name in reversed(path.split(".")):
        data = {name: data}
    return dict(data)


def _show(compiled: CompiledFlow, found: Forecast) -> None:
    out = console()
    out.print(f"[bold]{safe(compiled.flow.name)}[/]  {safe(compiled.flow.when)}", soft_wrap=True)
    if found.follow:
        told = f"follows {found.follow}: what a run of that made is known when the event comes"
        out.print(f"[dim]{safe(told)}[/]", soft_wrap=True)
    for leg in found.legs:
        off = "" if leg.enabled else "  [dim](not enabled)[/]"
        out.print(f"\n  [bold]{safe(leg.leg)}[/]  {safe(leg.do)}{off}", soft_wrap=True)
        for target, value in leg.fields():
            out.print(f"    {safe(target)} = {safe(value)}", soft_wrap=True)
        if leg.error:
            out.print(f"    [red]{safe(leg.error)}[/]", soft_wrap=True)
    out.print()
    for check in found.checks:
        out.print(f"  check {coloured(check.result)}: {safe(check.that)}  {safe(check.note)}", soft_wrap=True)
    for item in found.unmapped:
        out.print(f"  [red]nobody maps or ignores[/] {safe(item.path)} = {safe(item.value)}", soft_wrap=True)
    verdict = "[green]every leg could be written; nothing was[/]"
    out.print(f"\n{verdict if found.ok else f'[red]the run would stop before it writes:[/] {safe(found.problem)}'}")
