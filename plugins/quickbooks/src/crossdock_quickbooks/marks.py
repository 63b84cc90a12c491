"""Our mark in the notes of what we make: whose creation a record is, for a second try and for undo."""

from __future__ import annotations

import re
from typing import Any

from crossdock_sdk import Receipt, RejectedError

_ANY = re.compile(r"\[crossdock [0-9a-f-]{36}\]")


def mark(key: str) -> str:
    """The mark of one write."""
    return f"[crossdock {key}]"


def carries(row: dict[str, Any], name: str, key: str | None) -> bool:
    """Whether the notes in `name` have the mark of that key; without a key, any mark of ours."""
    notes = str(row.get(name) or "")
    return mark(key) in notes if key else _ANY.search(notes) is not None


def require_ours(row: dict[str, Any], name: str, receipt: Receipt, what: str) -> None:
    """Raises `RejectedError` for a record without the mark that the receipt's write left in `name`.

    The same id names somebody else's record where the connection points at another company by now.
    """
    key = receipt.undo.get("key")
    if not carries(row, name, key):
        raise RejectedError(
            f"{what} does not carry {mark(key) if key else 'our mark'} in its {name}, so it is not known to be ours "
            "and stays as it is; a person decides (does the connection still point at the same company?)",
            field=name,
        )
