"""How fast and how wide a connection may call its vendor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock_sdk.errors import ThrottledError
from crossdock_sdk.http.layer import Layer, Request, Sender
from crossdock_sdk.http.reply import Reply

LONGEST_PAUSE = 3_600.0
"""Seconds: an absurd `Retry-After` must not close a connection for a day. The vendor is asked again after this, and may
say the same."""
LONGEST_NAP = 2.0
"""Seconds that a request may wait in memory; a longer wait goes to the journal, and no task sleeps on it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `concurrency` requests at once and, if set, `requests` in any `per` seconds."""

    concurrency: int = 10
    requests: int | None = None
    per: float = 60.0

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.per <= 0 or (self.requests is not None and self.requests < 1):
            raise ValueError(f"limits must be positive: {self}")


class Pace:
    """At most `requests` in any `per` seconds: a fifth of them at once, the rest evenly spread.

    The generic cell rate algorithm, so that waits stay short and even instead of one long stop per window.
    """

    def __init__(self, requests: int, per: float) -> None:
        burst = max(1, requests // 5)
        self._interval = per / (requests - burst + 1)
        self._slack = (burst - 1) * self._interval
        self._due = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave."""
        return max(0.0, self._due - self._slack - now)

    def take(self, now: float) -> None:
        """Book the next request, which leaves after `wait(now)`."""
        self._due = max(self._due, now + self.wait(now)) + self._interval


class Limited(Layer):
    """Holds requests to `limits`, and all of them back while the vendor has asked for a pause (`park`).

    A pause ends by `now`, the clock that also times the retries; the pace is kept by the monotonic clock.
    """

    def __init__(
        self,
        inner: Sender,
        limits: Limits,
        now: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._pace = Pace(limits.requests, limits.per) if limits.requests else None
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._pause: tuple[datetime, float] | None = None

    def park(self, seconds: float) -> None:
        """Hold back every request for `seconds` from now, unless a longer pause stands."""
        if seconds > self._rest():
            self._pause = (self._now(), min(seconds, LONGEST_PAUSE))

    @property
    def pause(self) -> float:
        """Seconds that are left of the pause that the vendor has asked for."""
        return self._rest()

    async def send(self, request: Request) -> Reply:
        async with self._slots:
            await self._turn(request)
            return await self._inner.send(request)

    async def _turn(self, request: Request) -> None:
        tick = self._monotonic()
        rest = self._rest()
        wait = max(rest, self._pace.wait(tick) if self._pace else 0.0)
        if wait > LONGEST_NAP:
            why = "the vendor asked for a pause" if rest == wait else "the connection's rate limit is used up"
            raise ThrottledError(f"{request.method} {request.host}: not sent, {why}", retry_after=wait)
        if self._pace:
            self._pace.take(tick)
        if wait:
            await self._sleep(wait)

    def _rest(self) -> float:
        if self._pause is None:
            return 0.0
        since, seconds = self._pause
        passed = self._now() - since
        # A clock that was set back must not make the pause longer than the vendor asked for.
        if passed < timedelta(0) or passed.total_seconds() >= seconds:
            self._pause = None
            return 0.0
        return seconds - passed.total_seconds()
