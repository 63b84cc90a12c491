"""`crossdock users add | list | role | passwd | disable | enable`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.actors import Role
from crossdock.cli import options
from crossdock.cli.errors import CommandError
from crossdock.cli.output import emit, safe, table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from crossdock.access import Access

app = typer.Typer(
    help="Who may use the dashboard and the API; with the first, everybody has to sign in.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
AsRole = Annotated[Role, typer.Option(help="viewer looks, operator acts on runs, admin lets others in.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.callback()
def _root(context: typer.Context) -> None:
    options.help_if_alone(context)


@app.command()
def add(
    name: Name,
    role: AsRole = Role.OPERATOR,
    password_stdin: FromStdin = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Let somebody in, by a password that is asked for."""
    password = _password(password_stdin)
    person = with_access(config, lambda access: access.add(name, role, password))
    _told(person, f"{name} may sign in as {role}", json)


@app.command("list")
def list_(config: options.Config = None, json: options.Json = False) -> None:
    """Everybody who is let in, or was."""
    found = with_access(config, lambda access: access.people())
    if json:
        emit({"items": found})
        return
    rows = [(safe(one["name"]), one["role"], "disabled" if one["disabled_at"] else "") for one in found]
    table(("name", "role", ""), rows)


@app.command()
def role(
    name: Name,
    to: Annotated[Role, typer.Argument(help="viewer, operator or admin.")],
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Give somebody another role; they have to sign in anew."""
    person = with_access(config, lambda access: access.change(name, role=to))
    _told(person, f"{name} is {to} now", json)


@app.command()
def passwd(
    name: Name, password_stdin: FromStdin = False, config: options.Config = None, json: options.Json = False
) -> None:
    """Give somebody another password; they have to sign in anew."""
    password = _password(password_stdin)
    person = with_access(config, lambda access: access.change(name, password=password))
    _told(person, f"{name} has another password", json)


@app.command()
def disable(name: Name, config: options.Config = None, json: options.Json = False) -> None:
    """Let somebody in no more; what they did stays told."""
    _told(with_access(config, lambda access: access.change(name, disabled=True)), f"{name} is let in no more", json)


@app.command()
def enable(name: Name, config: options.Config = None, json: options.Json = False) -> None:
    """Let somebody in again."""
    _told(with_access(config, lambda access: access.change(name, disabled=False)), f"{name} is let in again", json)


def with_access(config: options.Config, act: Callable[[Access], Awaitable[Any]]) -> Any:
    """Do it in the journal that the settings name. Raises `CommandError`."""

    async def done() -> Any:
        import getpass
        from datetime import UTC, datetime

        from crossdock.access import Access, AccessError
        from crossdock.actors import at_terminal
        from crossdock.cli.desk import open_journal_of

        async with open_journal_of(options.settings(config)) as journal:
            try:
                return await act(Access(journal, at_terminal(getpass.getuser()), lambda: datetime.now(UTC)))
            except AccessError as error:
                raise CommandError(str(error)) from None

    return asyncio.run(done())


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _told(person: dict[str, Any], said: str, json: bool) -> None:
    if json:
        emit(person)
    else:
        typer.echo(said)
