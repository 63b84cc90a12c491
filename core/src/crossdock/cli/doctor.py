"""`crossdock doctor`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from crossdock.cli import options
from crossdock.cli.errors import FAILED, misused
from crossdock.cli.output import coloured, console, emit, safe

if TYPE_CHECKING:
    from crossdock.doctor.findings import Finding


def doctor(
    url: Annotated[
        str | None, typer.Option("--url", help="A running server to look at as well.", envvar="CROSSDOCK_URL")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look only at what is on this machine.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that each check may take.", min=0.1, max=600)] = 15,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Look at everything that has to be well, and say what to do where it is not; ends with 1 if something is wrong.

    Nothing is changed, at the vendors neither: each connection asks its vendor one harmless question.
    """
    from crossdock.doctor.examine import Doctor
    from crossdock.plugins import load_plugins

    if url is not None and not url.startswith(("http://", "https://")):
        raise misused(f"--url: {url!r} is no URL; write something like http://127.0.0.1:8000")
    settings = options.settings(config)
    options.database(settings)
    patient = Doctor(settings, load_plugins(simulators=False), os.environ, url=url, offline=offline, seconds=timeout)
    found = asyncio.run(patient.examine())
    wrong = [each for each in found if each.state == "wrong"]
    if json:
        emit({"ok": not wrong, "checks": [_shown(each) for each in found]})
    else:
        _show(found)
    if wrong:
        raise typer.Exit(FAILED)


def _shown(each: Finding) -> dict[str, str | None]:
    return {"check": each.check, "state": each.state, "found": each.found, "fix": each.fix or None}


def _show(found: Sequence[Finding]) -> None:
    out = console()
    wide = max(len(each.check) for each in found)
    for each in found:
        fix = f"; to mend it: {safe(each.fix)}" if each.fix else ""
        gap = " " * (len("warning") - len(each.state))
        out.print(f"{coloured(each.state)}{gap}  {safe(each.check):<{wide}}  {safe(each.found)}{fix}", soft_wrap=True)
    states = {state: sum(each.state == state for each in found) for state in ("ok", "warning", "wrong")}
    out.print(", ".join(f"{number} {state}" for state, number in states.items() if number))
