"""Options that several commands have, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossdock.cli.errors import MISUSED, misused

if TYPE_CHECKING:
    from crossdock.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="The routing file.  [default: $CROSSDOCK_CONFIG or crossdock.yaml]")
]


def help_if_alone(context: typer.Context) -> None:
    """Show the help of a group that was called without a command, and end as for wrong usage."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(MISUSED)


def settings(config: Path | None = None) -> Settings:
    """What the environment says, with the routing file of the command line. Raises `SettingsError`."""
    from crossdock.settings import Settings

    found = Settings.from_env()
    return found.model_copy(update={"config": config}) if config else found


def database(settings: Settings) -> Path:
    """The journal's file. Raises `CommandError` for a database URL that names none."""
    from crossdock.journal.base import JournalError
    from crossdock.journal.opening import database_path

    try:
        return database_path(settings.database_url)
    except JournalError as error:
        raise misused(str(error)) from None
