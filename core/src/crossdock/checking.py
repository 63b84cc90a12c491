"""A connection checked because somebody wants to know now whether it works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock.connections import Connections
from crossdock.doctor.accounts import Answer, ask
from crossdock.journal.base import Journal

PATIENCE = 20.0
"""Seconds that a vendor has to answer."""
STANDS = timedelta(seconds=2)
"""So long an answer is given again: whoever presses on and on must not use up the vendor's limits."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """An answer, and when it came."""

    answer: Answer
    at: datetime


class Checker:
    """One question at a time for each connection."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        now: Callable[[], datetime],
        redact: Callable[[str], str],
        wake: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._now = now
        self._redact = redact
        self._wake = wake
        self._newest: dict[str, Checkup] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def check(self, name: str) -> Checkup | None:
        """What its vendor says; None if no connection is called so. What waits for it tries it at once if it works."""
        if name not in self._connections.names() and name not in self._connections.stopped:
            return None
        async with self._locks.setdefault(name, asyncio.Lock()):
            newest = self._newest.get(name)
            if newest is None or not timedelta() <= self._now() - newest.at < STANDS:
                newest = self._newest[name] = await self._asked(name)
            return newest

    async def _asked(self, name: str) -> Checkup:
        answer = await ask(self._connections, name, self._now, PATIENCE, self._redact)
        if answer.asked and answer.state == "ok":
            await self._journal.hasten_probe(name, self._now())
            self._wake()
        return Checkup(answer, self._now())
