"""Whether a connection works: its vendor is asked its cheapest question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import AuthError, Checked, ConfigError, ConnectorError, Token

from crossdock.connections import Connections
from crossdock.doctor.findings import Finding, State, one_line

SKEW = timedelta(seconds=30)
"""A clock that is further off is wrong: signatures, assertions and tokens are judged by it, by minutes at most."""
UNASKED = "not asked: its connector has no question that nobody at the vendor would notice"
_FIXES: Mapping[type[ConnectorError], str] = {
    AuthError: "put new credentials into connections.{name} of the routing file",
    ConfigError: "mend connections.{name} of the routing file, or the account's set-up",
}


class UntoldError(ConfigError):
    """The tokens cannot be read or kept here, so the vendor was not asked: a refresh would lose the server's."""


class NoTokens:
    """A token store that holds nothing and keeps nothing; `why` is one line."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def load(self) -> Token | None:
        return None

    async def swap(self, token: Token, *, expected: int) -> bool:
        return False

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return self._refuse()

    @asynccontextmanager
    async def _refuse(self) -> AsyncIterator[None]:
        raise UntoldError(self._why)
        yield


@dataclass(frozen=True, slots=True)
class Answer:
    """How a check of a connection went. `skew` is how far our clock is off the vendor's, where its reply shows that."""

    connection: str
    state: State
    found: str
    fix: str
    took: timedelta
    asked: bool = True
    skew: timedelta | None = None
    error: Mapping[str, Any] | None = None

    def finding(self) -> Finding:
        took = f" ({self.took.total_seconds() * 1000:.0f} ms)" if self.asked and self.error is None else ""
        return Finding(f"connection {self.connection}", self.state, self.found + took, self.fix)

    def shown(self) -> dict[str, Any]:
        """For JSON; durations are seconds."""
        skew = None if self.skew is None else self.skew.total_seconds()
        return {
            "connection": self.connection,
            "state": self.state,
            "asked": self.asked,
            "found": self.found,
            "fix": self.fix or None,
            "error": None if self.error is None else dict(self.error),
            "took_seconds": round(self.took.total_seconds(), 3),
            "clock_skew_seconds": skew,
        }


async def ask(
    connections: Connections, name: str, now: Callable[[], datetime], seconds: float, redact: Callable[[str], str]
) -> Answer:
    """Check one connection, for at most so long. Raises nothing but `ConfigError`, for a name that is not there."""
    if name not in connections.names() and name not in connections.stopped:
        raise ConfigError(f"no connection is called {name}")
    begun, tick = now(), time.monotonic()
    checked: Checked | None = None
    error: ConnectorError | None = None
    try:
        async with asyncio.timeout(seconds):
            checked = await connections.check(name)
    except ConnectorError as told:
        error = told
    except TimeoutError:
        error = ConnectorError(f"no answer within {seconds:g} s", unanswered=True)
    except Exception as bug:
        error = ConnectorError(f"the connector failed: {type(bug).__name__}: {bug}")
    took = timedelta(seconds=time.monotonic() - tick)
    if error is not None:
        return _failed(name, error, took, redact)
    if checked is None:
        return Answer(name, "ok", UNASKED, "", took, asked=False)
    skew = None if checked.vendor_time is None else _skew(begun, begun + took, checked.vendor_time)
    return Answer(name, "ok", one_line(redact(checked.answer)), "", took, skew=skew)


def _failed(name: str, error: ConnectorError, took: timedelta, redact: Callable[[str], str]) -> Answer:
    facts = error.facts() | {"message": one_line(redact(error.message))}
    if isinstance(error, UntoldError):
        return Answer(name, "warning", facts["message"], "", took, asked=False, error=facts)
    fix = next((fix for kind, fix in _FIXES.items() if isinstance(error, kind)), None)
    told = fix or "see the way to the vendor and its status page; runs wait and go on by themselves"
    return Answer(name, "wrong", facts["message"], told.format(name=name), took, error=facts)


def _skew(begun: datetime, ended: datetime, vendor: datetime) -> timedelta:
    """How far ours is ahead (below zero: behind) at least: the vendor tells whole seconds, at any time meanwhile."""
    if begun >= vendor + timedelta(seconds=1):
        return begun - vendor - timedelta(seconds=1)
    return min(ended - vendor, timedelta())


def clock(answers: Mapping[str, Answer]) -> Finding:
    """What the vendors' clocks say of ours."""
    skews = {name: answer.skew for name, answer in answers.items() if answer.skew is not None}
    if not skews:
        return Finding("clock", "ok", "not compared: no vendor has shown its own")
    name, worst = max(skews.items(), key=lambda pair: abs(pair[1]))
    if abs(worst) <= SKEW:
        return Finding("clock", "ok", f"within {abs(worst).total_seconds():.0f} s of {', '.join(skews)}")
    way = "ahead of" if worst > timedelta() else "behind"
    told = f"{abs(worst).total_seconds():.0f} s {way} the clock of {name}"
    return Finding("clock", "wrong", told, "set this machine's clock, such as by NTP")
