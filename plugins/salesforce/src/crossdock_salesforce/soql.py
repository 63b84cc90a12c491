"""Pieces of SOQL, quoted and formatted as the SOQL reference says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\f": r"\f", "\b": r"\b"})


def select(columns: Iterable[str], source: str, *clauses: str) -> str:
    """A statement, or in brackets a subquery. What comes from outside is quoted by `text` or a checked name."""
    return " ".join(("SELECT", ", ".join(columns), "FROM", source, *clauses))


def text(value: str) -> str:
    """A string literal ('Quoted String Escape Sequences')."""
    return f"'{value.translate(_ESCAPES)}'"


def literal(at: datetime) -> str:
    """A dateTime literal, which is not quoted ('Date Formats and Date Literals')."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(value: str | None) -> datetime | None:
    """An instant as REST writes it, `2026-05-01T07:25:37.000+0000`. Raises `ValueError`."""
    if not value:
        return None
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(f"{value!r} carries no zone")
    return at.astimezone(UTC)
