"""From QuickBooks' faults to the error tree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    NotFoundError,
    Redactor,
    RejectedError,
    Reply,
    TransientError,
    UnavailableError,
)
from crossdock_sdk.http.errors import default_error, retry_after

STALE = "5010"
GONE = "610"
DUPLICATE_NAME = "6240"
DUPLICATE_NUMBER = frozenset({"6140", "6210"})

_THROTTLED = "3001"
_PAUSE = 60.0
"""Seconds. The limits count requests per minute, and a `Retry-After` is not documented."""
_NO_ACCESS = frozenset({"120", "3100", "3200", "6190"})
_SYSTEM = frozenset({"10000"})
_AUTH_TYPES = frozenset({"authentication", "authenticationfault", "authorization", "authorizationfault"})
_SYSTEM_TYPES = frozenset({"service", "systemfault"})
_LONGEST = 400
"""Characters of one error's text; an unknown property is answered with the list of all known ones."""
_BUSY = ("unexpected error occurred while accessing or saving your data", "wait a few minutes")


def error_of(reply: Reply, now: datetime, redactor: Redactor) -> ConnectorError | None:
    """The error that a reply means, None for success. A fault counts whatever the status, 200 included.

    Intuit docs, 'Error codes' and 'Handle errors'; both casings of the body occur.
    """
    tid = reply.headers.get("intuit_tid") or reply.headers.get("intuit-tid")
    told, kind = _faults(reply)
    if reply.status == 429 or any(code == _THROTTLED for code, _, _ in told):
        asked = retry_after(reply.headers.get("retry-after"), now)
        said = told[0][1] if told else "too many requests"
        wait = _PAUSE if asked is None else asked
        return TransientError(f"QuickBooks: {said}", code=_THROTTLED, retry_after=wait, request_id=tid)
    if not told:
        error = default_error(reply, now, redactor)
        if error is not None:
            error.request_id = tid or error.request_id
        return error
    code, _, field = told[0]
    message = "QuickBooks: " + "; ".join(f"{said} (code {number})" for number, said, _ in told)
    return _kind(code, kind, message, reply)(message, code=code, field=field, request_id=tid)


def _kind(code: str, fault_type: str, message: str, reply: Reply) -> type[ConnectorError]:
    unsettled = AmbiguousError if reply.write else TransientError
    # Whatever a failing server names as the reason, it may have written before it failed.
    if reply.write and reply.status >= 500:
        return UnavailableError if reply.status == 503 else AmbiguousError
    if code in _NO_ACCESS or (fault_type in _AUTH_TYPES and reply.status in (401, 403)):
        return AuthError
    if code == GONE:
        return NotFoundError
    busy = code == "6000" and any(words in message.lower() for words in _BUSY)
    if busy or code in _SYSTEM or fault_type in _SYSTEM_TYPES or reply.status >= 500:
        return unsettled
    return RejectedError


def _faults(reply: Reply) -> tuple[list[tuple[str, str, str | None]], str]:
    """(code, text, element) of each error in the body, and the fault's type in lower case."""
    if not reply.content.lstrip().startswith(b"{"):
        return [], ""
    body = reply.json()
    fault = body.get("Fault") or body.get("fault") if isinstance(body, dict) else None
    if not isinstance(fault, dict):
        return [], ""
    listed = fault.get("Error") or fault.get("error") or [{}]
    errors = [_fault(each) for each in listed if isinstance(each, dict)]
    return errors or [("", "a fault without an error", None)], str(fault.get("type") or "").lower()


def _fault(error: dict[str, Any]) -> tuple[str, str, str | None]:
    code = str(error.get("code") or "")
    texts = [str(error.get(name) or "") for name in ("Message", "message", "Detail", "detail")]
    message, detail = texts[0] or texts[1], texts[2] or texts[3]
    said = detail if message and detail.startswith(message) else ": ".join(t for t in (message, detail) if t)
    return code, " ".join(said.split())[:_LONGEST] or "no reason given", error.get("element") or None
