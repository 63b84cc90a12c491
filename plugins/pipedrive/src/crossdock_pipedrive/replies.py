"""What Pipedrive's error replies mean for the next step.

Sources: Pipedrive docs, 'HTTP status codes' and 'Rate limiting'; the OpenAPI documents for the bodies:
v1 {success, error, error_info}, v2 {success, error, code}, webhooks {success, errors: {field: [text]}}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock_sdk import AuthError, ConnectorError, NotFoundError, Quota, RejectedError, Reply, TransientError

MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError)
"""What taking a reply apart raises when the reply is not as documented."""

_WINDOW = 2.0
_BLOCKED = 900.0
"""Seconds of rest for the whole connection: it is going on through 429 that leads to the firewall."""
_LONGEST_PARK = timedelta(hours=6)
_PARAMETER = re.compile(r"Parameter '([^']+)'")


class ErrorReplies:
    """The client's `errors`: maps a reply to the error to raise, or None to leave it to the client."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def __call__(self, reply: Reply) -> ConnectorError | None:
        body = _object(reply)
        code = body["code"] if isinstance(body.get("code"), str) else None
        if reply.status < 400:
            return reply.unusable(f"it says success is false: {_said(body)}") if body.get("success") is False else None
        if reply.status == 429:
            return self._throttled(reply, body)
        if reply.status == 403 and not body:
            return TransientError(
                f"{reply.endpoint}: Pipedrive's firewall refuses us (403, not JSON) after too many requests; "
                f"the connection rests for {_BLOCKED // 60:.0f} min; set burst to your plan's limit",
                retry_after=_BLOCKED,
            )
        if reply.status == 402:
            return AuthError(f"the Pipedrive account is closed or unpaid: {_said(body)}; see its billing page")
        if reply.status in (404, 410):
            return NotFoundError(f"{reply.endpoint}: there is no such record: {_said(body)}", code=code)
        if reply.status in (400, 403, 405, 409, 413, 415, 422):
            said = _said(body)
            named = _PARAMETER.search(said)
            field = named.group(1) if named else None
            return RejectedError(f"{reply.endpoint}: Pipedrive refuses: {said}", code=code, field=field)
        return None

    def _throttled(self, reply: Reply, body: dict[str, Any]) -> TransientError:
        if reply.headers.get("x-daily-ratelimit-token-remaining", "").strip() == "0":
            return TransientError(
                "the company's daily API token budget is used up; top it up or wait for its midnight",
                retry_after=self._until_tomorrow(),
            )
        asked = _seconds(reply.headers.get("retry-after")) or _seconds(reply.headers.get("x-ratelimit-reset"))
        return TransientError(
            f"more requests than the plan allows in two seconds: {_said(body)}",
            retry_after=_WINDOW if asked is None else asked,
        )

    def _until_tomorrow(self) -> float:
        """Seconds to midnight UTC, at most six hours: the budget resets at the midnight of an untold zone."""
        now = self._now().astimezone(UTC)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return max(60.0, min(midnight - now, _LONGEST_PARK).total_seconds())


def burst_left(reply: Reply) -> float | None:
    """Seconds until the window ends if this reply used up the last request in it; None otherwise.

    The headers can be missing (public report Gemma-Analytics/ewah#280).
    """
    if reply.headers.get("x-ratelimit-remaining", "").strip() != "0":
        return None
    return _seconds(reply.headers.get("x-ratelimit-reset")) or _WINDOW


def quotas_left(reply: Reply, now: datetime) -> Iterator[Quota]:
    """Requests of the two seconds' window, and tokens of the company's day, as far as the headers tell."""
    window = timedelta(seconds=_seconds(reply.headers.get("x-ratelimit-reset")) or _WINDOW)
    for name, prefix, until in (("burst", "x-ratelimit", now + window), ("daily", "x-daily-ratelimit-token", None)):
        remaining, limit = (_count(reply.headers.get(f"{prefix}-{what}")) for what in ("remaining", "limit"))
        if remaining is not None:
            yield Quota(name, remaining, limit, until)


def _count(header: str | None) -> int | None:
    return int(header) if header and header.isascii() and header.isdigit() else None


def _object(reply: Reply) -> dict[str, Any]:
    try:
        body = reply.json()
    except ConnectorError:
        return {}
    return body if isinstance(body, dict) else {}


def _said(body: dict[str, Any]) -> str:
    if isinstance(body.get("errors"), dict):
        return "; ".join(f"{field}: {_flat(texts)}" for field, texts in body["errors"].items())
    parts = [text for text in (body.get("error"), body.get("error_info")) if isinstance(text, str) and text]
    return "; ".join(parts) or "no reason given"


def _flat(texts: Any) -> str:
    return ", ".join(map(str, texts)) if isinstance(texts, list) else str(texts)


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86_400 else None
