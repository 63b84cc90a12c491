"""Which runs are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.codec import micros

FIRST = -(2**63)
LAST = 2**63 - 1
_LONGEST_TEXT = 400


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Runs that are all of what is given; without anything, all runs.

    `connection`, `error_kind` and `leg` find runs that stopped or wait there, ended or not: what goes well, or went
    well in the end, is at no connection. A run is at the connection of its leg, at its source's while it reads, and at
    the one it waits for.
    """

    flow: str | None = None
    statuses: tuple[str, ...] = ()
    """Any of these; empty: any."""
    key: str | None = None
    connection: str | None = None
    error_kind: str | None = None
    leg: str | None = None
    since: datetime | None = None
    """Created at this instant or later."""
    until: datetime | None = None
    """Created before this instant."""
    replay_of: str | None = None
    root: str | None = None
    """The first run of a chain of replays; it is one of them."""
    needs_person: bool = False
    """Held, in doubt, waiting for approval, or failed and neither replayed nor dismissed."""
    text: str | None = None
    """Words of the run's records, receipts or error, of which the last may be unfinished; its key; or the first six or
    more characters of its id."""

    def values(self) -> dict[str, Any]:
        """As statements are given it: instants as microseconds, statuses as JSON, what is not given as None."""
        return {
            "flow": _sound(self.flow),
            "statuses": jsonio.dumps(sorted({str(_sound(s)) for s in self.statuses})).decode()
            if self.statuses
            else None,
            "key": _sound(self.key),
            "connection": _sound(self.connection),
            "error_kind": _sound(self.error_kind),
            "leg": _sound(self.leg),
            "since": FIRST if self.since is None else micros(self.since),
            "until": LAST if self.until is None else micros(self.until),
            "replay_of": _sound(self.replay_of),
            "root": _sound(self.root),
            "needs_person": 1 if self.needs_person else None,
            "text": None if self.text is None else _sound(self.text[:_LONGEST_TEXT]),
        }

    @property
    def about_stops(self) -> bool:
        """Whether only runs that stopped or wait somewhere are wanted."""
        return self.needs_person or any(given is not None for given in (self.connection, self.error_kind, self.leg))


def _sound(text: str | None) -> str | None:
    """Without lone surrogates, which have no UTF-8."""
    return None if text is None else text.encode("utf-8", "replace").decode()


ALL_RUNS = RunFilter()
