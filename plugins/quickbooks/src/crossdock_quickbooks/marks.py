"""Our mark in the notes of what we make: whose creation a record is, for a second try."""

from __future__ import annotations

import re
from typing import Any

_ANY = re.compile(r"\[crossdock [0-9a-f-]{36}\]")


def mark(key: str) -> str:
    """The mark of one write."""
    return f"[crossdock {key}]"


def carries(row: dict[str, Any], name: str, key: str | None) -> bool:
    """Whether the notes in `name` have the mark of that key; without a key, any mark of ours."""
    notes = str(row.get(name) or "")
    return mark(key) in notes if key else _ANY.search(notes) is not None
