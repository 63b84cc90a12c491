"""`crossdock runs list | show | replay | approve | reject | cancel | resolve | dismiss`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from crossdock.cli import options
from crossdock.cli.errors import CommandError, misused
from crossdock.cli.output import coloured, console, emit, safe, table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from crossdock.cli.desk import Desk

Answer = TypeVar("Answer")
app = typer.Typer(
    help="Look at runs; replay, cancel or settle one.", invoke_without_command=True, rich_markup_mode=None
)

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="CROSSDOCK_URL", help="Ask this server's API instead of opening the journal."),
]
Why = Annotated[str | None, typer.Option(help="Why, in your words; it is kept with what you did.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id, or the beginning of it.")]


@app.callback()
def _root(context: typer.Context) -> None:
    options.help_if_alone(context)


@app.command("list")
def list_(
    flow: Annotated[str | None, typer.Option(help="Only this flow.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Only this status, such as dead; several are given one by one.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only this key, such as a deal's id.")] = None,
    connection: Annotated[
        str | None, typer.Option(help="Only what stopped at this connection, or waits for it.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="Only this kind of error, such as rejected.")] = None,
    leg: Annotated[str | None, typer.Option(help="Only what stopped or waits at this leg.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Created then or later: 2h (ago), 2026-11-01, or an instant.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Created before; as --since.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Words of the records, receipts or error; a key; or how an id begins.")
    ] = None,
    needs_person: Annotated[
        bool, typer.Option("--needs-person", help="Only what waits for a person, or failed and was not seen to.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=500)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the page before ended.")] = None,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """List runs, newest first: those that are all of what is given."""
    from crossdock.cli.wanted import of_options

    words = {"flow": flow, "status": status, "key": key, "connection": connection, "error": error, "leg": leg}
    wanted = of_options(words | {"since": since, "until": until, "text": text, "needs_person": needs_person})
    wanted |= {"limit": limit, "cursor": cursor}
    page = _ask(url, config, lambda desk: desk.list(wanted))
    if json:
        emit(page)
        return
    table(("run", "flow", "key", "status", "leg", "updated", "error"), [_row(item) for item in page["items"]])
    if page.get("partial"):
        typer.echo("not all runs were searched: narrow it down, or go on with the cursor")
    if page["next_cursor"]:
        typer.echo(f"more: --cursor {page['next_cursor']}")


@app.command()
def show(run: RunId, url: Url = None, config: options.Config = None, json: options.Json = False) -> None:
    """Tell the story of one run: every step, what stands, and the vendor's error."""
    detail = _ask(url, config, lambda desk: _of_whole(desk, run, desk.show))
    if json:
        emit(detail)
    else:
        _show(detail)


@app.command()
def replay(
    run: Annotated[str | None, typer.Argument(metavar="[ID]", help="The run's id, or the beginning of it.")] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="NAME=VALUE", help="Many runs: flow, status, error, since … as `list` has them."
        ),
    ] = None,
    edit: Annotated[
        list[str] | None, typer.Option(metavar="PATH=VALUE", help="Change a field, such as deal.products.0.code=SETUP.")
    ] = None,
    why: Why = None,
    from_leg: Annotated[
        str | None,
        typer.Option("--from", metavar="LEG", help="Take back what this leg and later ones made, and make that again."),
    ] = None,
    reread: Annotated[bool, typer.Option("--reread", help="Read the records anew, also if they were edited.")] = False,
    cap: Annotated[int, typer.Option(help="Of many: so many at most, the oldest first.", min=1, max=10_000)] = 10_000,
    pace: Annotated[float, typer.Option(help="Of many: runs a second.", min=0.1, max=50)] = 5.0,
    stop_after: Annotated[int | None, typer.Option(help="Of many: stop when so many have failed.", min=1)] = None,
    yes: Yes = False,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Run an ended run's event again, or let a stopped run go on. What stands is not made twice."""
    typed = [_edit(one) for one in edit or ()]
    if filter_:
        from crossdock.cli.bulk import Many, replay_many

        if run is not None or reread or from_leg:
            raise misused("give the id of one run, or --filter for many; --reread and --from go with one")
        replay_many(Many(filter_, typed, cap, pace, stop_after, why, yes, json), url, config)
        return
    if run is None:
        raise misused("give the id of a run, or --filter for many, such as --filter status=dead")
    wish = {"why": why, "reread": reread, "from_leg": from_leg}
    whole, row = _ask(url, config, lambda desk: _replayed(desk, run, typed, wish))
    _acted(run, row, "goes on" if row["id"] == whole else f"is queued as {row['id']} ({row['status']})", json)


@app.command()
def cancel(
    run: RunId,
    keep: Annotated[bool, typer.Option("--keep", help="Leave what it made as it is.")] = False,
    why: Why = None,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Undo what a run made, newest first, and end it."""
    wish = {"keep": keep, "why": why}
    row = _ask(url, config, lambda desk: _of_whole(desk, run, lambda whole: desk.cancel(whole, wish)))
    _acted(run, row, f"is to be cancelled: {row['id']} ({row['status']})", json)


@app.command()
def approve(
    run: RunId,
    why: Why = None,
    yes: Yes = False,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Say yes to what a run would write; it is shown first."""
    _acted(run, _decided("approve", run, why, url, config, asking=not yes, showing=not json), "goes on", json)


@app.command()
def reject(
    run: RunId,
    why: Why = None,
    yes: Yes = False,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Say no to what a run would write: it ends, and nothing is written."""
    _acted(run, _decided("reject", run, why, url, config, asking=not yes, showing=not json), "ends", json)


@app.command()
def dismiss(
    run: RunId, why: Why = None, url: Url = None, config: options.Config = None, json: options.Json = False
) -> None:
    """Say that nothing more is to be done about a failed run: it needs nobody any more."""
    row = _ask(url, config, lambda desk: _of_whole(desk, run, lambda whole: desk.dismiss(whole, why)))
    if json:
        emit(row)
    else:
        typer.echo(f"run {run} needs nobody any more")


def _decided(
    verdict: str, run: str, why: str | None, url: str | None, config: options.Config, *, asking: bool, showing: bool
) -> dict[str, Any]:
    shown = _ask(url, config, lambda desk: _of_whole(desk, run, desk.show))
    approval = shown["approval"]
    if approval is None or shown["status"] != "awaiting_approval":
        raise CommandError(f"run {shown['id']} is {shown['status']}: it waits for nobody's yes")
    if showing:
        _show_writes(shown)
    if asking:
        typer.confirm(f"{verdict.capitalize()} it?", abort=True, err=not showing)
    return _ask(url, config, lambda desk: desk.decide(shown["id"], verdict, approval["plan"], why))


def _show_writes(run: dict[str, Any]) -> None:
    from crossdock_sdk import jsonio

    approval = run["approval"]
    typer.echo(f"{run['flow']} for {run['label'] or run['key']} waits for a yes: {approval['reason']}")
    for write in approval["writes"]:
        typer.echo(f"\n{write['leg']}: {write['do']} in {write['account']}\n{jsonio.pretty(write['input'])}")


@app.command()
def resolve(
    run: RunId,
    leg: Annotated[str, typer.Argument(help="The leg that is in doubt.")],
    exists: Annotated[str | None, typer.Option(metavar="OBJECT", help="It is there: its id at the vendor.")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="It is not there: write it again.")] = False,
    why: Why = None,
    url: Url = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Settle a write that is in doubt by what you saw at the vendor; the run goes on from there."""
    if (exists is None) != absent:
        raise misused("say either --exists OBJECT or --absent: what did you see at the vendor?")

    row = _ask(url, config, lambda desk: _of_whole(desk, run, lambda whole: desk.resolve(whole, leg, exists, why)))
    _acted(run, row, f"goes on from {leg}", json)


def _ask(url: str | None, config: options.Config, question: Callable[[Desk], Awaitable[Answer]]) -> Answer:
    from crossdock.cli.desk import open_desk

    async def ask() -> Answer:
        async with open_desk(options.settings(config), url) as desk:
            return await question(desk)

    return asyncio.run(ask())


async def _of_whole(desk: Desk, run: str, act: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    from crossdock.cli.desk import whole_id

    return await act(await whole_id(desk, run))


async def _replayed(
    desk: Desk, run: str, edits: list[tuple[str, str]], wish: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The whole id of what is replayed, and the run that works now: a successor, or the run itself."""
    from crossdock.cli.desk import whole_id
    from crossdock.edits import EditError, typed, value_at

    whole = await whole_id(desk, run)
    records = (await desk.show(whole))["records"] if edits else None
    if edits and records is None:
        raise CommandError(f"--edit: run {whole} has no records to edit: they were never read, or removed by retention")
    try:
        given = [{"path": path, "value": typed(value_at(records, path), text)} for path, text in edits]
    except EditError as error:
        raise CommandError(f"--edit: {error}") from None
    return whole, await desk.replay(whole, wish | {"edits": given})


def _edit(given: str) -> tuple[str, str]:
    path, equals, text = given.partition("=")
    if not equals or not path.strip():
        raise misused(f"--edit {given}: write it like deal.products.0.code=SETUP")
    return path.strip(), text


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    message = (item["error"] or {}).get("message", "")
    short = message if len(message) <= 60 else f"{message[:59]}…"
    cells = (item["id"], item["flow"], item["key"])
    return (*map(safe, cells), coloured(item["status"]), safe(item["leg"]), safe(item["updated_at"][:19]), safe(short))


def _acted(given: str, row: dict[str, Any], what: str, json: bool) -> None:
    if json:
        emit(row)
    else:
        typer.echo(f"run {given} {what}; a running server takes it up within a second")


def _show(run: dict[str, Any]) -> None:
    from crossdock.timeline import error_text, told

    out = console()
    out.print(f"[bold]{safe(run['flow'])}[/] for {safe(run['key'])}  {coloured(run['status'])}  {safe(run['id'])}")
    facts = {"replays": run["replay_of"], "replayed by": run["replayed_by"], "trace": run["trace_id"]}
    facts["follows"] = (run.get("origin") or {}).get("run")
    facts |= {"waits for": run["waits_for"], "next try": run["due_at"] if not run["ended_at"] else None}
    for name, value in facts.items():
        if value:
            out.print(f"  {name}: {safe(value)}")
    if run["error"]:
        where = f" in leg {run['leg']}" if run["leg"] else ""
        out.print(f"  [red]error{safe(where)}:[/] {safe(error_text(run['error']))}")
    out.print()
    for line in told(run):
        text = f"[red]{safe(line.text)}[/]" if line.bad else safe(line.text)
        out.print(f"  {line.after:9.3f} s  {safe(f'{line.leg:<12}')} {text}")
    rows = [
        (safe(leg["leg"]), coloured(leg["state"]), *(safe(leg.get(k)) for k in ("id", "url", "note")))
        for leg in run["legs"]
    ]
    table(("leg", "state", "id", "link", "note"), rows, title="\nWhat stands")
    if run["payload_removed_at"]:
        out.print(f"\npayload removed by retention on {safe(run['payload_removed_at'][:10])}; it cannot be replayed")
    elif run["payload"] is not None:
        _show_payload(run["payload"])


def _show_payload(payload: Any) -> None:
    """As it is: a table's markup and line breaks would spoil it for whoever copies it."""
    from crossdock_sdk import jsonio

    typer.echo(f"\nPayload\n{jsonio.pretty(payload)}")
