"""From status codes to the error tree, where a vendor's own mapping does not say."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crossdock_sdk.errors import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    NotFoundError,
    RejectedError,
    TransientError,
    UnavailableError,
)
from crossdock_sdk.http.reply import Reply
from crossdock_sdk.redaction import Redactor

_EXCERPT = 200


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After` (RFC 9110, 10.2.3: seconds or an HTTP date); never negative."""
    if value is None or not value.strip():
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(value: str, now: datetime) -> float | None:
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(0.0, (instant - now).total_seconds())


def default_error(reply: Reply, now: datetime, redactor: Redactor) -> ConnectorError | None:
    """The error that a status alone means; None for a 2xx."""
    if 200 <= reply.status < 300:
        return None
    if reply.status < 400:
        return reply.unusable("a redirect; it is not followed, check base_url")
    kind = _kind(reply)
    excerpt = " ".join(redactor.text(reply.text).split())[:_EXCERPT]
    message = f"{reply.endpoint}: HTTP {reply.status}" + (f", {excerpt}" if excerpt else "")
    wait = retry_after(reply.headers.get("retry-after"), now)
    if not issubclass(kind, (TransientError, AmbiguousError)):
        wait = None
    return kind(message, status=reply.status, request_id=reply.request_id, retry_after=wait)


def _kind(reply: Reply) -> type[ConnectorError]:
    if _fate_unknown(reply):
        return AmbiguousError
    if reply.write and reply.status == 503:
        return UnavailableError
    if reply.status >= 500 or reply.status == 408:
        return TransientError
    if reply.status == 401:
        return AuthError
    if reply.status in (404, 410):
        return NotFoundError
    return TransientError if reply.status == 429 else RejectedError


def _fate_unknown(reply: Reply) -> bool:
    """Whether a write may have taken effect: a 503 says that the server did not act (RFC 9110, 15.6.4)."""
    return reply.write and (reply.status == 408 or (reply.status >= 500 and reply.status != 503))


def _doubtful(reply: Reply) -> type[ConnectorError] | None:
    """What a vendor's own transient error becomes where the reply proves less than that."""
    if _fate_unknown(reply):
        return AmbiguousError
    return UnavailableError if reply.write and reply.status == 503 else None


def settled(error: ConnectorError, reply: Reply, redactor: Redactor) -> ConnectorError:
    """A vendor's own error, redacted, with what the reply knows; it cannot call a doubtful write transient."""
    doubtful = _doubtful(reply)
    if type(error) is TransientError and doubtful is not None:
        error = doubtful(
            error.message,
            code=error.code,
            field=error.field,
            request_id=error.request_id,
            retry_after=error.retry_after,
        )
    error.message = redactor.text(error.message)
    error.args = (error.message, *error.args[1:])
    error.status = reply.status if error.status is None else error.status
    error.request_id = error.request_id or reply.request_id
    return error
