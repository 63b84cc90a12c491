"""Who may call the simulated API, and how often (docs, 'Authentication', 'Rate limiting')."""

from __future__ import annotations

import hmac
import uuid
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, timedelta

from starlette.requests import Request

from crossdock_pipedrive.simulator.schema import RefusedError, v1_refused

_WINDOW = timedelta(seconds=2)
_SHOWN_LIMIT = 120
_SHOWN_BUDGET = 1_050_000


class Admission:
    """Checks the token, then the burst limit, then the company's daily budget; None for no limit."""

    def __init__(
        self, token: str, clock: Callable[[], datetime], *, burst: int | None, daily_tokens: int | None
    ) -> None:
        self._token = token
        self._clock = clock
        self.burst = burst
        self.daily_tokens = daily_tokens
        self._recent: deque[datetime] = deque()
        self._day: date | None = None
        self._spent = 0

    def admit(self, request: Request, cost: int) -> None:
        """Let the request through and book its cost, or raise `RefusedError`."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.headers.get("x-api-token") or bearer
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise RefusedError(401, {"success": False, "error": "unauthorized access", "errorCode": 401})
        now = self._clock()
        while self._recent and now - self._recent[0] >= _WINDOW:
            self._recent.popleft()
        if self.burst is not None and len(self._recent) >= self.burst:
            raise v1_refused(429, "Request over limit")
        if self._day != now.date():
            self._day, self._spent = now.date(), 0
        if self.daily_tokens is not None and self._spent + cost > self.daily_tokens:
            self._spent = self.daily_tokens
            raise v1_refused(429, "Daily API token budget exceeded")
        self._recent.append(now)
        self._spent += cost

    def headers(self) -> dict[str, str]:
        """The limit headers that every reply carries."""
        limit = self.burst or _SHOWN_LIMIT
        budget = _SHOWN_BUDGET if self.daily_tokens is None else self.daily_tokens
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - len(self._recent))),
            "x-ratelimit-reset": str(int(_WINDOW.total_seconds())),
            "x-daily-ratelimit-token-limit": str(budget),
            "x-daily-ratelimit-token-remaining": str(max(0, budget - self._spent)),
            "x-correlation-id": str(uuid.uuid4()),
        }
