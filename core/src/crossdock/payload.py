"""What a run is about, and what it was about to write when it went wrong, as alerts and pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.state import Run

LONGEST_LABEL = 160


def payload_of(run: Run, leg: str | None) -> Any:
    """The last input of the leg at which the run went wrong; the records if there was none yet."""
    given = run.leg(leg).input if leg else None
    return _readable(given if given is not None else run.records)


def _readable(payload: Any) -> Any:
    """The payload with the vendor's own JSON last, so that what a mapping reads is seen first."""
    if isinstance(payload, dict):
        last = [name for name in ("custom", "native") if name in payload]
        order = [name for name in payload if name not in last] + last
        return {name: _readable(payload[name]) for name in order}
    return [_readable(item) for item in payload] if isinstance(payload, list) else payload


def label_of(records: Mapping[str, Any]) -> str | None:
    """What people call a run: the title, name or number of its first record that has one."""
    for record in records.values():
        for field in ("title", "name", "number"):
            found = record.get(field) if isinstance(record, Mapping) else None
            if isinstance(found, str) and found.strip():
                return " ".join(found.split())[:LONGEST_LABEL]
    return None
