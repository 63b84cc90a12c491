"""The words by which runs are found, kept up with the changes of runs in small pieces and off their way.

How far it has come is stored with each piece, so that it goes on after a restart, and so that of several processes
only one gets a piece in. It lags behind by the pace at which `round` is called.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from crossdock_sdk import jsonio

from crossdock.journal.hooks import Read, Write
from crossdock.journal.statements import load
from crossdock.journal.words import of_receipt, telling, words

_SQL = load("index")
_STORE = load("store")
BATCH = 400
"""Changes in one piece; a run has about ten."""
KEPT = 200_000
"""So many changes are kept for whoever follows them."""


class _Piece(NamedTuple):
    """Changes after `after`, up to `last`, and the words of the runs that they are about, as JSON."""

    after: int
    last: int
    documents: str


class Index:
    """Raises `JournalError` as the journal does. `redact` is applied to every text before it becomes words."""

    def __init__(self, write: Write, read: Read, redact: Callable[[str], str]) -> None:
        self._write = write
        self._read = read
        self._redact = redact

    async def round(self, limit: int = BATCH) -> bool | None:
        """Take in the next changes: True; False if another process has just done so; None if there are none."""
        piece: _Piece | None = await self._read(_next, limit, self._redact)
        if piece is None:
            return None
        stored: bool = await self._write(partial(_store, piece=piece))
        return stored


def _next(db: sqlite3.Connection, limit: int, redact: Callable[[str], str]) -> _Piece | None:
    db.execute(_STORE["begin_reading"])
    try:
        after = db.execute(_SQL["indexed"]).fetchone()[0]
        last = db.execute(_SQL["end_of_batch"], {"after": after, "limit": limit}).fetchone()[0]
        if last is None:
            return None
        documents = [
            {"no": run["no"], "emptied_at": run["emptied_at"], "words": words(map(redact, _texts(db, run)))}
            for run in db.execute(_SQL["runs_at_rest"], {"after": after, "last": last}).fetchall()
        ]
    finally:
        db.execute(_STORE["rollback"])
    return _Piece(after, last, jsonio.dumps(documents).decode())


def _store(db: sqlite3.Connection, piece: _Piece) -> bool:
    if db.execute(_SQL["set_indexed"], {"after": piece.after, "last": piece.last}).fetchone() is None:
        return False
    db.execute(_SQL["drop_documents"], {"documents": piece.documents})
    db.execute(_SQL["put_documents"], {"documents": piece.documents})
    db.execute(_SQL["drop_changes"], {"last": piece.last, "kept": KEPT})
    return True


def _texts(db: sqlite3.Connection, run: sqlite3.Row) -> Iterator[str]:
    """What people know of a run. What was made comes before what it was made of: there is an end to the words."""
    yield run["key"]
    yield run["subject"]
    records: list[Any] = [_read(run["data"])]
    for step in db.execute(_SQL["telling_steps"], (run["no"],)).fetchall():
        data = _read(step["data"])
        yield from of_receipt(data.get("receipt"))
        records.append(data.get("records"))
        origin = data.get("origin")
        if isinstance(origin, dict) and isinstance(origin.get("legs"), dict):
            for receipt in origin["legs"].values():
                yield from of_receipt(receipt)
    if run["emptied_at"] is None:
        yield str(_read(run["error"]).get("message", ""))
        for record in records:
            yield from telling(record)


def _read(text: str | None) -> dict[str, Any]:
    try:
        found: Any = jsonio.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
