"""What the journal's file holds, read as it is and not by the code that writes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from crossdock_sdk import jsonio

from crossdock.journal.codec import instant

_FILES = ("", "-wal", "-journal")
"""What SQLite calls the files beside a database; what is in `-shm` is an index without texts."""


class Arrival(NamedTuple):
    """A stored event. Whoever accepts one starts its runs; `needed` is False once retention has been at it."""

    connection: str
    id: str
    subject: str
    runs: int
    needed: bool


class Told(NamedTuple):
    """A stored alert: `<what it is about>@<notifier>`."""

    about: str
    notifier: str
    alert: dict[str, Any]
    delivered: bool
    tries: int


class Closed(NamedTuple):
    """A connection that may not be used now."""

    name: str
    status: str
    since: datetime


@dataclass(frozen=True)
class Tables:
    """All of it at one instant. `whole`: retention has taken nothing yet, as far as rows can tell."""

    arrivals: tuple[Arrival, ...] = ()
    alerts: tuple[Told, ...] = ()
    closed: tuple[Closed, ...] = ()
    paused: tuple[tuple[str, datetime], ...] = ()
    """Connections that a person has stopped, and when: of that nobody has to be told."""
    whole: bool = True


def read_tables(path: Path) -> Tables:
    """Read the file; others may be writing to it."""
    with closing(_opened(path)) as db:
        db.execute("BEGIN")
        return Tables(
            tuple(Arrival(*row) for row in db.execute(_ARRIVALS)),
            tuple(_told(*row) for row in db.execute("SELECT id, data, due_at IS NULL, tries FROM alerts ORDER BY no")),
            tuple(Closed(name, status, instant(since)) for name, status, since in db.execute(_CLOSED)),
            tuple((name, instant(at)) for name, at in db.execute(_PAUSED)),
            bool(db.execute(_WHOLE).fetchone()[0]),
        )


def leaks(path: Path, secrets: Collection[str]) -> Iterator[str]:
    """No secret is in any column of any table, nor anywhere in the files."""
    forms = [(number, form) for number, secret in enumerate(secrets, 1) for form in _forms(secret)]
    if not forms:
        return
    with closing(_opened(path)) as db:
        db.text_factory = bytes
        tables = [name.decode() for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            yield from _leaks_of(db, table, forms)
    for suffix in _FILES:
        file = path.with_name(path.name + suffix)
        body = file.read_bytes() if file.exists() else b""
        for number in dict.fromkeys(number for number, form in forms if form in body):
            yield f"the file {file.name} holds secret number {number} in clear"


def _leaks_of(db: sqlite3.Connection, table: str, forms: Collection[tuple[int, bytes]]) -> Iterator[str]:
    rows = db.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - its name comes from the schema
    names = [column[0] for column in rows.description]
    for place, row in enumerate(rows, 1):
        for name, value in zip(names, row, strict=True):
            found = [number for number, form in forms if isinstance(value, bytes) and form in value]
            for number in dict.fromkeys(found):
                yield f"{table}.{name} in row {place} holds secret number {number} in clear"


def _forms(secret: str) -> set[bytes]:
    """The secret as text, and as it stands within JSON."""
    quoted = (json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (False, True))
    return {form.encode() for form in (secret, *quoted) if form}


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None)


def _told(id_: str, data: str, delivered: int, tries: int) -> Told:
    stored = jsonio.loads(data)
    about, _, notifier = id_.rpartition("@")
    return Told(about, notifier, stored.get("alert", {}), bool(delivered), tries)


_ARRIVALS = """
SELECT connection, id, subject, (SELECT COUNT(*) FROM runs WHERE event_seq = seq), emptied_at IS NULL
FROM events ORDER BY seq
"""
_CLOSED = "SELECT name, status, since FROM connections WHERE status <> 'active' ORDER BY name"
_PAUSED = "SELECT subject, at FROM audit WHERE kind = 'connection' AND action = 'pause' ORDER BY no"
_WHOLE = """
SELECT (SELECT COUNT(*) FROM runs) = COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'runs'), 0)
  AND NOT EXISTS (SELECT 1 FROM runs WHERE emptied_at IS NOT NULL)
"""
