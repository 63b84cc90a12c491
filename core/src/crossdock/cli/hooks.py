"""`crossdock hooks list | sync | remove`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import FAILED, CommandError, misused
from crossdock.cli.output import coloured, console, emit, safe, table

if TYPE_CHECKING:
    from crossdock_sdk import Redactor, Source

    from crossdock.config.load import Loaded
    from crossdock.hooks import Line
    from crossdock.plugins import Registry
    from crossdock.settings import Settings
    from crossdock.subscribing import Deed, Subscriber

app = typer.Typer(
    help="See and set up the webhooks that a vendor sends.", invoke_without_command=True, rich_markup_mode=None
)

ConnectionName = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection's name.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Where the vendor reaches this server, https://….  [default: $CROSSDOCK_PUBLIC_URL]"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what there is to do, and do nothing.")]
_DONE = {"keep": "stands", "register": "registered", "finish": "registered", "remove": "removed"}


@app.callback()
def _root(context: typer.Context) -> None:
    options.help_if_alone(context)


@app.command("list")
def list_(
    connection: ConnectionName, url: Url = None, config: options.Config = None, json: options.Json = False
) -> None:
    """Hold what stands at the vendor against what flows wait for; ends with 1 if sync has something to do."""
    desk = _desk(connection, url, config)
    if _told_without_api(desk, json):
        return
    lines = desk.ask(lambda subscriber: subscriber.lines(desk.events))
    if json:
        emit({"connection": connection, "url": desk.url, "webhooks": [_line(line) for line in lines]})
    else:
        table(("state", "topic", "url", "id", "note"), [_row(line) for line in lines])
    if any(line.wrong for line in lines):
        if not json:
            typer.echo(f"to put it right: crossdock hooks sync {connection}")
        raise typer.Exit(FAILED)


@app.command()
def sync(
    connection: ConnectionName,
    url: Url = None,
    dry_run: DryRun = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Register what is missing, and remove what is ours and of no use. Others' webhooks are left alone."""
    desk = _desk(connection, url, config)
    if _told_without_api(desk, json):
        return
    deeds = desk.ask(lambda subscriber: subscriber.sync(desk.events, dry_run=dry_run))
    _show(desk, deeds, dry_run=dry_run, json=json)


@app.command()
def remove(
    connection: ConnectionName,
    url: Url = None,
    dry_run: DryRun = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Remove all webhooks that lead to this server, and their secrets. Others' are left alone."""
    desk = _desk(connection, url, config)
    if _told_without_api(desk, json):
        return
    deeds = desk.ask(lambda subscriber: subscriber.remove(dry_run=dry_run))
    _show(desk, deeds, dry_run=dry_run, json=json)


@dataclass(frozen=True)
class _Desk:
    """What a command works on. `url` is where deliveries go; empty for a vendor that sends none."""

    connection: str
    url: str
    settings: Settings
    loaded: Loaded
    registry: Registry
    redactor: Redactor
    kind: type[Source]

    @property
    def events(self) -> tuple[str, ...]:
        from crossdock.hooks import waited_for

        return waited_for(self.connection, self.loaded.flows)

    def ask(self, question: Callable[[Subscriber], Awaitable[list[Any]]]) -> list[Any]:
        return asyncio.run(self._ask(question))

    async def _ask(self, question: Callable[[Subscriber], Awaitable[list[Any]]]) -> list[Any]:
        from datetime import UTC, datetime

        from crossdock_sdk import Subscribable

        from crossdock.cli.reading import opened
        from crossdock.ids import owner_id
        from crossdock.subscribing import BusyError, Subscriber

        async with opened(self.settings, self.loaded, self.registry, self.redactor) as parts:
            source = parts.connections.source(self.connection)
            assert isinstance(source, Subscribable)
            subscriber = Subscriber(
                self.connection, source, self.url, parts.journal, parts.vault, owner_id(), lambda: datetime.now(UTC)
            )
            try:
                return await question(subscriber)
            except BusyError as busy:
                raise CommandError(str(busy)) from None


def _desk(connection: str, url: str | None, config: Any) -> _Desk:
    from crossdock.cli.plan import redactor_of
    from crossdock.config.load import load
    from crossdock.plugins import load_plugins
    from crossdock.words import did_you_mean

    settings = options.settings(config)
    registry = load_plugins(simulators=False)
    loaded = load(settings.config, env=os.environ, registry=registry)
    if connection not in loaded.connections:
        hint = did_you_mean(connection, loaded.connections) or f"; there are {', '.join(loaded.connections) or 'none'}"
        raise misused(f"no connection is called {connection}{hint}")
    connector = loaded.connections[connection].connector
    kind = registry.sources.get(connector)
    if kind is None:
        raise misused(f"connection {connection}: the connector {connector} brings no events, so it has no webhooks")
    place = f"{_public(url, settings)}/webhooks/{connection}" if kind.webhooks else ""
    return _Desk(connection, place, settings, loaded, registry, redactor_of(settings, loaded), kind)


def _public(url: str | None, settings: Settings) -> str:
    from crossdock.public import PublicUrlError, public_url

    given = url or settings.public_url
    if given is None:
        raise misused(
            "where the vendor reaches this server is not known; give --url https://…, or CROSSDOCK_PUBLIC_URL"
        )
    try:
        return public_url(given)
    except PublicUrlError as error:
        raise misused(f"{'--url' if url else 'CROSSDOCK_PUBLIC_URL'}: {error}") from None


def _told_without_api(desk: _Desk, json: bool) -> bool:
    """Say what there is to do by hand, where a vendor has no API for webhooks, or none at all."""
    from crossdock_sdk import Subscribable

    if issubclass(desk.kind, Subscribable):
        return False
    shown = {"connection": desk.connection, "url": desk.url or None, "webhooks": None}
    if json:
        emit(shown | {"setup": desk.kind.setup or None, "polled": desk.kind.polling is not None})
    elif not desk.kind.webhooks:
        typer.echo(f"the vendor of {desk.connection} sends no webhooks; it is polled, and there is nothing to set up")
    else:
        how = desk.kind.setup or "its webhooks are registered by hand, as its connector's README says"
        typer.echo(f"the vendor of {desk.connection} has no API for webhooks: {how}\nthe URL to enter: {desk.url}")
    return True


def _bare(url: str) -> str:
    """The URL without its query: ours says nothing to a person, and another's may hold a secret."""
    return url.partition("?")[0]


def _line(line: Line) -> dict[str, Any]:
    each = line.subscription
    return {"state": line.state, "topic": each.topic, "url": _bare(each.url), "id": each.id, "note": line.note or None}


def _row(line: Line) -> tuple[str, ...]:
    each = line.subscription
    cells = [safe(cell) for cell in (each.topic, _bare(each.url), each.id, line.note)]
    if line.state == "other":
        return tuple(f"[dim]{cell}[/]" for cell in ("other", *cells))
    return (coloured(line.state), *cells)


def _show(desk: _Desk, deeds: Sequence[Deed], *, dry_run: bool, json: bool) -> None:
    if json:
        shown = {"connection": desk.connection, "url": desk.url, "dry_run": dry_run}
        emit(shown | {"actions": [_deed(deed, desk.redactor) for deed in deeds]})
    else:
        for deed in deeds:
            _tell(deed, desk.redactor, dry_run=dry_run)
        if not deeds:
            typer.echo(f"there is nothing to do for {desk.connection}")
    if any(deed.error for deed in deeds):
        raise typer.Exit(FAILED)


def _deed(deed: Deed, redactor: Redactor) -> dict[str, Any]:
    error = None if deed.error is None else redactor.text(deed.error)
    each = deed.subscription
    return {"do": deed.do, "topic": each.topic, "id": each.id, "why": deed.why or None, "error": error}


def _tell(deed: Deed, redactor: Redactor, *, dry_run: bool) -> None:
    what = safe(deed.subscription.topic) + (f" ({safe(deed.subscription.id)})" if deed.subscription.id else "")
    why = f": {safe(deed.why)}" if deed.why else ""
    if deed.error is not None:
        text = f"[red]not {_DONE[deed.do]}[/] {what}: {safe(redactor.text(deed.error))}"
    elif dry_run and deed.do != "keep":
        text = f"would {deed.do} {what}{why}"
    else:
        text = f"[green]{_DONE[deed.do]}[/] {what}{why}"
    console().print(text, soft_wrap=True)
