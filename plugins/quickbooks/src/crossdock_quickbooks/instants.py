"""QuickBooks' instants, as they stand in records, deliveries and queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def instant(text: Any) -> datetime | None:
    """An instant with its zone, in UTC; None for anything else.

    The forms met: `2026-11-23T01:30:00-08:00` in records, `…T09:30:00.123456789Z` in CloudEvents (what is finer than a
    microsecond is cut off), `…T01:30:00-0800` in deliveries of the old format.
    """
    try:
        read = datetime.fromisoformat(text) if isinstance(text, str) else None
        return read.astimezone(UTC) if read and read.tzinfo else None
    except (ValueError, OverflowError):
        return None


def second(at: datetime) -> str:
    """The whole second in UTC that an instant lies in, the finest that records show: `2026-11-23T09:30:00Z`."""
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def told_at(row: dict[str, Any], name: str = "LastUpdatedTime") -> datetime | None:
    """When a record was last changed, or made (`CreateTime`), by its own word."""
    meta = row.get("MetaData")
    return instant(meta.get(name)) if isinstance(meta, dict) else None
