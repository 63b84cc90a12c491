"""`crossdock check`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import MISUSED, misused
from crossdock.cli.output import emit

if TYPE_CHECKING:
    from crossdock.config.load import Loaded


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The routing file.  [default: $CROSSDOCK_CONFIG or crossdock.yaml]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Find every mistake in a routing file that can be found without calling anyone."""
    from crossdock.config.load import load
    from crossdock.config.problems import ConfigProblems
    from crossdock.plugins import load_plugins

    path = options.settings(file).config
    try:
        loaded = load(path, env=os.environ, registry=load_plugins(simulators=False))
    except ConfigProblems as wrong:
        _warn(wrong.warnings)
        if json:
            emit({"ok": False, "file": str(path), "problems": [_shown(problem) for problem in wrong.problems]})
            raise typer.Exit(MISUSED) from None
        for problem in wrong.problems:
            typer.echo(str(problem))
        found = len(wrong.problems)
        raise misused(f"{path}: {found} mistake{'' if found == 1 else 's'}") from None
    _warn(loaded.warnings)
    if json:
        emit({"ok": True, "file": str(path), "problems": [], **_contents(loaded)})
    else:
        typer.echo(_summary(path, loaded))


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        typer.echo(f"crossdock: {warning}", err=True)


def _shown(problem: Any) -> dict[str, Any]:
    named = ("file", "line", "column", "path", "message", "hint")
    return {name: getattr(problem, name) for name in named} | {"text": str(problem)}


def _contents(loaded: Loaded) -> dict[str, Any]:
    flows = {
        name: {
            "when": compiled.flow.when,
            "follow": compiled.flow.follow,
            "legs": [{"name": leg.name, "do": leg.do, "enabled": leg.enabled} for leg in compiled.flow.legs],
        }
        for name, compiled in loaded.flows.items()
    }
    return {"flows": flows, "connections": {name: spec.connector for name, spec in loaded.connections.items()}}


def _summary(path: Path, loaded: Loaded) -> str:
    flows, connections = len(loaded.flows), len(loaded.connections)
    counted = f"{flows} flow{'' if flows == 1 else 's'}, {connections} connection{'' if connections == 1 else 's'}"
    lines = [f"{path}: ok, {counted}"]
    for name, compiled in loaded.flows.items():
        legs = (leg.name if leg.enabled else f"({leg.name})" for leg in compiled.flow.legs)
        after = f", after {compiled.flow.follow}" if compiled.flow.follow else ""
        lines.append(f"  {name}: {compiled.flow.when}{after} → {' → '.join(legs)}")
    return "\n".join(lines)
