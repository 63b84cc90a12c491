"""What commands print: for a person on a terminal, or one JSON document for a program."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 160
_COLOURS = {
    "succeeded": "green",
    "stands": "green",
    "loaded": "green",
    "done": "green",
    "ok": "green",
    "missing": "red",
    "off": "red",
    "wrong url": "red",
    "unknown": "red",
    "unfinished": "yellow",
    "unwanted": "yellow",
    "running": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
    "held": "yellow",
    "in_doubt": "yellow",
    "in doubt": "yellow",
    "rolling_back": "yellow",
    "rolled_back": "yellow",
    "undone": "yellow",
    "skipped": "yellow",
    "dead": "red",
    "failed": "red",
    "incompatible": "red",
    "wrong": "red",
    "warning": "yellow",
}


def emit(value: Any) -> None:
    """Print one JSON document; numbers with a point stay exact."""
    import msgspec
    from crossdock_sdk import jsonio

    typer.echo(msgspec.json.format(jsonio.dumps(value), indent=2).decode())


def console() -> Console:
    """Standard output; colours on a terminal only, and no wrapping at 80 columns in a pipe."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def coloured(word: str) -> str:
    """A status or state as markup."""
    colour = _COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else safe(word)


def safe(value: object) -> str:
    """Text that may hold brackets, as markup that shows it as it is."""
    from rich.markup import escape

    return "" if value is None else escape(str(value))


@contextlib.contextmanager
def progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[..., None]]:
    """A bar on standard error while long work goes on, gone when it is done.

    Call what it gives with how much more was done, and with other words for it where those change.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not total, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more, told=what: bar.update(task, advance=more, description=told)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table; cells are markup."""
    from rich import box
    from rich.table import Table

    made = Table(*headers, box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for row in rows:
        made.add_row(*row)
    console().print(made)
