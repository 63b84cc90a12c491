"""`crossdock tokens create | list | revoke`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from crossdock.actors import Role, Scope
from crossdock.cli import options
from crossdock.cli.errors import misused
from crossdock.cli.output import emit, safe, table
from crossdock.cli.users import with_access

app = typer.Typer(
    help="Tokens that programs show to the API: Authorization: Bearer …",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def _root(context: typer.Context) -> None:
    options.help_if_alone(context)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as grafana.")],
    role: Annotated[Role, typer.Option(help="What it may do: viewer, operator or admin.")] = Role.VIEWER,
    expires: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day on which it ends, such as 2027-01-31.")
    ] = None,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="A part of the API to confine it to; may be given again. Without: none.")
    ] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Make a token; it is shown this once."""
    made = with_access(config, lambda access: access.make_token(name, role, _day(expires), scope or None))
    if json:
        emit(made)
    else:
        typer.echo(made["token"])


@app.command("list")
def list_(config: options.Config = None, json: options.Json = False) -> None:
    """All tokens, without themselves."""
    found = with_access(config, lambda access: access.tokens())
    if json:
        emit({"items": found})
        return
    rows = [
        (
            one["id"],
            safe(one["name"]),
            one["role"],
            ", ".join(one["scopes"] or ["all"]),
            _shown(one["used_at"]),
            "revoked" if one["revoked_at"] else _shown(one["expires_at"]),
        )
        for one in found
    ]
    table(("id", "name", "role", "scopes", "last used", "ends"), rows)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it.")],
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Make a token good for nothing, at once."""
    done = with_access(config, lambda access: access.revoke(token))
    if json:
        emit(done)
    else:
        typer.echo(f"token {token} opens nothing any more")


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise misused(f"--expires {text}: write a day like 2027-01-31") from None
    return day if day.tzinfo else day.replace(tzinfo=UTC)


def _shown(at: datetime | None) -> str:
    return at.isoformat(timespec="minutes") if at else ""
