"""What a person may do to a flow or a connection: stop it for a while, and let it go on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from crossdock.actors import Actor
from crossdock.journal.base import Act, Journal
from crossdock.words import did_you_mean


class PauseError(Exception):
    """It cannot be done; one line for the person who asked. `unknown`: there is no such thing."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Pausing:
    """Stops and resumes; all processes heed it within a second, and that of the dashboard or API at once.

    `known` are the names that there are of each kind.
    """

    journal: Journal
    by: Actor
    now: Callable[[], datetime]
    known: Callable[[str], Collection[str]]

    async def pause(self, kind: str, name: str, why: str | None = None) -> None:
        """Events are still taken in; what is at work comes to a rest. Raises `PauseError`."""
        if name not in self.known(kind):
            raise PauseError(f"no {kind} is called {name}{did_you_mean(name, self.known(kind))}", unknown=True)
        if not await self.journal.pauses.pause(self._act("pause", kind, name, why)):
            raise PauseError(f"{kind} {name} is paused already")

    async def resume(self, kind: str, name: str, why: str | None = None) -> None:
        """What has gathered goes on, a little apart. Raises `PauseError`."""
        if not await self.journal.pauses.resume(self._act("resume", kind, name, why)):
            raise PauseError(f"{kind} {name} is not paused by a person", unknown=name not in self.known(kind))

    def _act(self, action: str, kind: str, name: str, why: str | None) -> Act:
        return Act(self.now(), self.by, action, kind, name, why)
