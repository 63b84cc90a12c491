"""`crossdock pause | resume flow|connection NAME`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from crossdock.cli import options
from crossdock.cli.errors import CommandError


class Kind(StrEnum):
    """What can be paused."""

    FLOW = "flow"
    CONNECTION = "connection"


What = Annotated[Kind, typer.Argument(help="flow or connection.")]
Name = Annotated[str, typer.Argument(help="Its name in the routing file.")]
Why = Annotated[str | None, typer.Option(help="Why, in your words; it is kept with what you did.")]


def pause(kind: What, name: Name, why: Why = None, config: options.Config = None) -> None:
    """Stop a flow or a connection for a while: events are taken in, and runs wait."""
    asyncio.run(_act("pause", kind, name, why, config))
    typer.echo(f"{kind} {name} is paused")


def resume(kind: What, name: Name, why: Why = None, config: options.Config = None) -> None:
    """Let a flow or a connection go on that a person has paused."""
    asyncio.run(_act("resume", kind, name, why, config))
    typer.echo(f"{kind} {name} goes on")


async def _act(what: str, kind: Kind, name: str, why: str | None, config: options.Config) -> None:
    import getpass
    from datetime import UTC, datetime

    from crossdock.actors import at_terminal
    from crossdock.cli.desk import names_of, open_journal_of
    from crossdock.pauses import PauseError, Pausing

    settings = options.settings(config)
    async with open_journal_of(settings) as journal:
        by = at_terminal(getpass.getuser())
        pausing = Pausing(journal, by, lambda: datetime.now(UTC), lambda kind: names_of(settings, f"{kind}s"))
        try:
            await getattr(pausing, what)(str(kind), name, why)
        except PauseError as error:
            raise CommandError(str(error)) from None
