"""Instants as people write them: `2h` ago, a day, or an ISO 8601 instant with its zone."""

from __future__ import annotations

from datetime import UTC, datetime, time

from crossdock.config.durations import parse_duration


def moment(text: str, now: datetime) -> datetime:
    """`2h` → two hours before `now`; `2026-11-01` → that day's midnight in UTC. Raises `ValueError`."""
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is not None and found.tzinfo is None and found.time() == time() and len(text) <= len("2026-11-01"):
        found = found.replace(tzinfo=UTC)
    if found is None or found.tzinfo is None:
        raise ValueError(
            f"{text[:40]!r} is no instant; write how long ago (2h, 30m, 7d), a day (2026-11-01), or an instant with its"
            " zone (2026-11-01T09:00Z)"
        )
    return found
