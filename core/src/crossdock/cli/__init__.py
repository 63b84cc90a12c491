"""The command line. Commands import what they need when they run, so that the first answer is quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from crossdock import __version__
from crossdock.cli import (
    check,
    connectors,
    demo,
    doctor,
    hooks,
    pauses,
    plan,
    prune,
    runs,
    sandbox,
    serve,
    tokens,
    users,
)
from crossdock.cli.errors import CommandError, explained
from crossdock.cli.options import help_if_alone

app = typer.Typer(
    name="crossdock",
    help="Business records moved across systems exactly once, or not at all.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 wrong usage or configuration.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("plan")(plan.plan)
app.add_typer(runs.app, name="runs")
app.add_typer(hooks.app, name="hooks")
app.add_typer(users.app, name="users")
app.add_typer(tokens.app, name="tokens")
app.command("pause")(pauses.pause)
app.command("resume")(pauses.resume)
app.command("doctor")(doctor.doctor)
app.command("prune")(prune.prune)
app.command("connectors")(connectors.connectors)
app.command("sandbox")(sandbox.sandbox)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossdock {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    help_if_alone(context)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code. An expected error is one line on standard error."""
    try:
        code = app(args=arguments, prog_name="crossdock", standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:
        told = explained(error)
        if told is None:
            raise
        _tell(told)
        return told.code
    return code if isinstance(code, int) else 0


def _tell(error: CommandError) -> None:
    for line in error.lines:
        typer.echo(f"crossdock: {line}", err=True)


def main() -> None:
    """The entry point `crossdock`."""
    sys.exit(run())
