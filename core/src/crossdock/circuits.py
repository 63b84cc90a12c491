"""Connections that cannot be used: their credentials are refused, or their vendor does not answer.

The state is in the journal, for all processes. Runs that need such a connection wait and burn no tries; one run after
the other, the scout, tries it again; a person is told once, and when the vendor answers all of them go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crossdock.alerts import closed_about, connection_alert, outbox, reopened_note, tell_log
from crossdock.journal.base import ConnectionState, Journal, RunRow, connection_wait
from crossdock.journal.pauses import CONNECTION
from crossdock.saga import AUTH_PROBE, LONGEST_PAUSE

FIRST_PROBE = timedelta(seconds=5)
"""When a vendor that does not answer is tried again first; the pause doubles from there."""
LONGEST_PROBE = timedelta(minutes=5)
OUTAGE_FAILURES = 8
"""So many failures without one answer in between are an outage of the vendor, …"""
OUTAGE_RUNS = 3
"""… if so many runs had them: a single run's tries are its flow's to spend."""
LONG_WISH = timedelta(minutes=10)
"""A vendor that asks for such a pause is as good as down, and somebody should know."""

_UNANSWERED = frozenset({"transient", "unavailable", "ambiguous"})
_OWN_FAULT = frozenset({"throttled", "config", "mapping"})
"""Kinds of error for which the vendor was not asked."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    runs: set[str] = field(default_factory=set)


class Circuits:
    """What this process knows of the connections, and what it does about it."""

    def __init__(self, journal: Journal, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now
        self._closed: dict[str, ConnectionState] = {}
        self._failures: dict[str, _Failures] = defaultdict(_Failures)
        """Connection → its failures since it answered last."""
        self._stopped: frozenset[str] = frozenset()
        """The connections that a person has stopped."""

    async def must_wait(self, connection: str, run_id: str) -> bool:
        """Whether the connection cannot be used, and another run is the one that tries it again."""
        if not self._barred(connection, run_id):
            return False
        await self._reread(connection)
        return self._barred(connection, run_id)

    async def lifted(self, waits_for: str | None, run_id: str) -> bool:
        """Whether the run waited for a connection that may be used again, or is to be its scout."""
        prefix = connection_wait("")
        if waits_for is None or not waits_for.startswith(prefix):
            return False
        connection = waits_for.removeprefix(prefix)
        await self._reread(connection)
        return not self._barred(connection, run_id)

    def is_outage(self, connection: str, error: Mapping[str, Any]) -> bool:
        """Whether an error is one of a closed connection's vendor that does not answer, and so no try of the run."""
        return connection in self._closed and (_unanswered(error) or _wish(error) >= LONG_WISH)

    async def heed(
        self, connection: str, error: Mapping[str, Any] | None, row: RunRow, notify: tuple[str, ...]
    ) -> None:
        """Take in how a call went: `error` None is a success."""
        kind = error.get("kind") if error else None
        if error is not None and kind == "auth":
            await self._refused(connection, "paused", error, row, notify)
        elif error is not None and _wish(error) >= LONG_WISH:
            await self._refused(connection, "down", error, row, notify)
        elif error is not None and _unanswered(error):
            await self._unanswered(connection, error, row, notify)
        elif kind not in _OWN_FAULT:
            self._failures.pop(connection, None)
            if self._is_scout(connection, row.id):
                await self._open(connection, scouts=1)

    async def probe(self) -> bool:
        """Take in what other processes found out, and send scouts where it is time; whether there was one."""
        closed = {state.name: state for state in await self._journal.closed_connections()}
        for name in self._closed.keys() - closed.keys():
            self._failures.pop(name, None)
        self._closed = closed
        await self.look_for_pauses()
        now = self._now()
        sent = False
        for state in self._closed.values():
            if state.probe_at is not None and state.probe_at <= now and state.name not in self._stopped:
                following = now + _pause(state.status, state.probes)
                sent |= await self._journal.send_scout(state.name, now, following) is not None
        return sent

    async def look_for_pauses(self) -> None:
        """Heed at once what a person has stopped or resumed; `probe` does it for what other processes were told."""
        self._stopped = frozenset(one.name for one in await self._journal.pauses.all() if one.kind == CONNECTION)

    async def reloaded(self, names: Collection[str]) -> None:
        """Try every closed connection of a new configuration at once; what is not in it holds up nothing."""
        for state in await self._journal.closed_connections():
            if state.name in names:
                await self._journal.hasten_probe(state.name, self._now())
            else:
                await self._open(state.name)

    def _barred(self, connection: str, run_id: str) -> bool:
        return connection in self._stopped or (connection in self._closed and not self._is_scout(connection, run_id))

    def _is_scout(self, connection: str, run_id: str) -> bool:
        state = self._closed.get(connection)
        return state is not None and state.scout == run_id

    async def _reread(self, connection: str) -> None:
        if connection in self._stopped:
            await self.look_for_pauses()
        state = await self._journal.connection_state(connection)
        if state.status == "active":
            if self._closed.pop(connection, None):
                self._failures.pop(connection, None)
        else:
            self._closed[connection] = state

    async def _unanswered(
        self, connection: str, error: Mapping[str, Any], row: RunRow, notify: tuple[str, ...]
    ) -> None:
        failures = self._failures[connection]
        failures.count += 1
        failures.runs.add(row.id)
        enough = failures.count >= OUTAGE_FAILURES and len(failures.runs) >= OUTAGE_RUNS
        if connection in self._closed or enough:
            await self._refused(connection, "down", error, row, notify)

    async def _refused(
        self, connection: str, status: str, error: Mapping[str, Any], row: RunRow, notify: tuple[str, ...]
    ) -> None:
        now = self._now()
        wish = _wish(error)
        known = self._closed.get(connection)
        if known is None or (known.status, status) == ("down", "paused"):
            until = now + max(_pause(status, 0), wish)
            new = ConnectionState(connection, status, str(error["message"]), now, probe_at=until)
            alert = connection_alert(connection, status, dict(error), row, now)
            if await self._journal.close_connection(new, outbox(alert, notify, now)):
                tell_log(alert)
        elif known.scout == row.id:
            until = now + max(_pause(known.status, known.probes + 1), wish)
            await self._journal.postpone_probe(connection, row.id, until, str(error["message"]))
        else:
            return
        await self._reread(connection)

    async def _open(self, connection: str, *, scouts: int = 0) -> None:
        """Let it be used again, and say so to those who were told that it may not.

        `scouts` are the runs in hand that found it well, and so do not wait for it any more.
        """
        now, state = self._now(), await self._journal.connection_state(connection)
        note = reopened_note(state, await self._journal.waiting_for(connection) + scouts, now)
        heard = await self._journal.talks.recipients(closed_about(state))
        await self._journal.open_connection(connection, now, outbox(note, heard, now, note=True))
        self._closed.pop(connection, None)


def _pause(status: str, probes: int) -> timedelta:
    """Until the next try; credentials are a person's to mend, and a vendor locks out who insists."""
    return AUTH_PROBE if status == "paused" else min(FIRST_PROBE * 2 ** min(probes, 16), LONGEST_PROBE)


def _wish(error: Mapping[str, Any]) -> timedelta:
    seconds = error.get("retry_after")
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        return timedelta()
    return timedelta(seconds=min(float(seconds), LONGEST_PAUSE.total_seconds()))


def _unanswered(error: Mapping[str, Any]) -> bool:
    """Whether the vendor did not answer, or only that it cannot."""
    status = error.get("status")
    cannot = isinstance(status, int) and (status >= 500 or status == 408)
    return error.get("kind") in _UNANSWERED and (cannot or error.get("unanswered") is True)
