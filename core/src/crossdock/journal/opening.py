"""From a database URL to a journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from crossdock.journal.errors import JournalError
from crossdock.journal.sqlite import SqliteJournal, utc_now

_SQLITE = "sqlite:///"


def database_path(url: str) -> Path:
    """The file that a URL names: `sqlite:///crossdock.db` is relative, `sqlite:////var/x.db` absolute.

    Raises `JournalError` for a URL that names no file.
    """
    if url.startswith(("postgresql:", "postgres:")):
        raise JournalError(
            "this build stores in SQLite only; set CROSSDOCK_DATABASE_URL to something like sqlite:///crossdock.db"
        )
    name = url.removeprefix(_SQLITE)
    if name == url or not name:
        raise JournalError(
            "CROSSDOCK_DATABASE_URL names no database that this build knows;"
            " write sqlite:///crossdock.db, or sqlite:////absolute/path.db"
        )
    if name.startswith(":memory:") or "?" in name:
        raise JournalError(f"{url} is not a plain file, so nothing in it would last; write sqlite:///crossdock.db")
    return Path(name)


def open_journal(url: str, *, redact: Callable[[str], str], now: Callable[[], datetime] = utc_now) -> SqliteJournal:
    """The journal at a database URL, to be entered (`async with`) or opened with `await journal.open()`.

    `redact` is applied to every JSON text before it is written. Raises `JournalError` for an unusable URL.
    """
    return SqliteJournal(database_path(url), redact=redact, now=now)
