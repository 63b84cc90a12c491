"""What a run that went wrong was about to write, as alerts and pages show it."""

from __future__ import annotations

from typing import Any

from crossdock.state import Run


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
