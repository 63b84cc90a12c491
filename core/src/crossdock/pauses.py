"""Connections whose credentials are refused: paused for all runs, tried again by one, told to a person once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crossdock.alerts import connection_alert, outbox, tell_log
from crossdock.journal.base import Journal, RunRow, connection_wait
from crossdock.saga import AUTH_PROBE

_SAYS_NOTHING = frozenset({"transient", "throttled", "ambiguous", "unavailable", "config", "mapping"})
"""Kinds of error that tell nothing about credentials."""


class Pauses:
    """What this process knows of paused connections; the state that all processes share is in the journal.

    A pause begins with a refusal and ends with a success. In between it may be tried again, by time or since
    a person has loaded a new configuration; a further refusal is the same pause, and nobody is told again.
    """

    def __init__(self, journal: Journal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now
        self._scouts: dict[str, tuple[str, datetime]] = {}
        """Paused connection → the run of this process that tries it again, and since when."""
        self._unproven: set[str] = set()
        """Connections that are tried again and have not answered yet."""

    async def must_wait(self, connection: str, run_id: str) -> bool:
        """Whether the connection is paused and another run is the one that tries it again."""
        scout, since = self._scouts.get(connection, (run_id, self._now()))
        if scout == run_id or self._now() - since > 2 * AUTH_PROBE:
            return False
        if (await self._journal.connection_state(connection)).status == "paused":
            return True
        self._scouts.pop(connection, None)
        return False

    async def heed(
        self, connection: str, error: Mapping[str, Any] | None, row: RunRow, notify: tuple[str, ...]
    ) -> None:
        """Take in how a call went: `error` None is a success."""
        kind = error.get("kind") if error else None
        if error is not None and kind == "auth":
            self._scouts[connection] = (row.id, self._now())
            await self._pause(connection, dict(error), row, notify)
        elif (connection in self._scouts or connection in self._unproven) and kind not in _SAYS_NOTHING:
            self._scouts.pop(connection, None)
            self._unproven.discard(connection)
            await self._journal.set_connection_state(connection, "active", None, self._now())

    async def retry(self, connection: str) -> None:
        """Try a paused connection again now, for its credentials may be new."""
        state = await self._journal.connection_state(connection)
        if state.status == "active":
            return
        self._scouts.pop(connection, None)
        self._unproven.add(connection)
        await self._journal.set_connection_state(connection, "trying", state.reason, state.since or self._now())

    async def lifted(self, waits_for: str | None, connections: tuple[str, ...]) -> bool:
        """Whether a run waited for one of these connections, and it may be used again."""
        waited = next((name for name in connections if connection_wait(name) == waits_for), None)
        return waited is not None and (await self._journal.connection_state(waited)).status != "paused"

    async def _pause(self, connection: str, error: dict[str, Any], row: RunRow, notify: tuple[str, ...]) -> None:
        state = await self._journal.connection_state(connection)
        again = state.status == "trying"
        since = state.since if again and state.since else self._now()
        alert = connection_alert(connection, error, row, since)
        told = () if again else outbox(alert, notify, self._now())
        reason = str(error["message"])
        if await self._journal.set_connection_state(connection, "paused", reason, since, alerts=told) and not again:
            tell_log(alert)
