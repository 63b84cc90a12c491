"""From Salesforce's error replies to the error tree.

REST errors are a JSON array `[{"message", "errorCode", "fields"}]` (REST API Developer Guide, 'Status Codes and Error
Responses'); there is no 429 and no `Retry-After`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    NotFoundError,
    Quota,
    RejectedError,
    Reply,
    TransientError,
)

DELETED = "ENTITY_IS_DELETED"
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError)
"""What taking a reply apart raises when the reply is not as documented."""

_LIMIT = "REQUEST_LIMIT_EXCEEDED"
_LONG_REST = 900.0
"""Seconds: the daily allowance is counted over the last 24 hours, so that some of it comes back all the time."""
_SHORT_REST = 30.0
"""Seconds for too many long calls at once, which end by themselves."""
_PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "SERVER_UNAVAILABLE"})
"""Codes of what passes, and of which nothing took effect. The row lock arrives as HTTP 400."""
_UNSETTLED = frozenset({"UNKNOWN_EXCEPTION", "REQUEST_RUNNING_TOO_LONG"})
_NO_ACCESS = frozenset(
    {"INVALID_SESSION_ID", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "INVALID_AUTH_HEADER", "ORG_LOCKED"}
)
_GONE = frozenset({"NOT_FOUND", DELETED})
_NO_SUCH_KEY = "external id field does not exist"
_HINTS = {
    "DUPLICATES_DETECTED": "a duplicate rule of the org blocks it; mend the record, or the rule",
    "DUPLICATE_VALUE": "another record has this value in a unique field",
    "INVALID_SESSION_ID": "check base_url, the app's IP restrictions and the user's API permission",
    "INVALID_FIELD": "the field does not exist, or the integration user may not see it (field-level security)",
    "INSUFFICIENT_ACCESS": "the integration user lacks a permission",
    "INSUFFICIENT_ACCESS_OR_READONLY": "the integration user lacks a permission",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "the integration user may not see a record that it names",
}
_LONGEST = 400
_USAGE = re.compile(r"\bapi-usage=(\d{1,12})/(\d{1,12})\b")


def calls_left(reply: Reply) -> Iterator[Quota]:
    """Of the org's calls in 24 hours, by `Sforce-Limit-Info: api-usage=18/5000` (REST guide, 'Limit Info Header')."""
    found = _USAGE.search(reply.headers.get("sforce-limit-info", ""))
    if found:
        used, limit = int(found[1]), int(found[2])
        yield Quota("daily", max(0, limit - used), limit)


def error_of(reply: Reply) -> ConnectorError | None:
    """The error that a reply means, or None to leave it to the status."""
    if reply.status == 300:
        return _many(reply)
    if reply.status < 400:
        return None
    told = _listed(reply)
    if not told:
        return None
    code, _, fields = told[0]
    said = "; ".join(f"{text} ({number})" if number else text for number, text, _ in told)[:_LONGEST]
    hint = _HINTS.get(code)
    message = f"{reply.endpoint}: Salesforce says: {said}" + (f"; {hint}" if hint else "")
    if code == _LIMIT:
        rest = _SHORT_REST if "concurrent" in said.lower() else _LONG_REST
        return TransientError(message, code=code, retry_after=rest)
    return _kind(code, said, reply)(message, code=code, field=fields[0] if fields else None)


def _kind(code: str, said: str, reply: Reply) -> type[ConnectorError]:
    if code in _PASSING:
        return TransientError
    if code in _UNSETTLED or reply.status >= 500:
        return AmbiguousError if reply.write and reply.status != 503 else TransientError
    if code in _NO_ACCESS or reply.status == 401:
        return AuthError
    # A missing key field is a matter of set-up; as "not found" it would pass for a record that is gone.
    if code in _GONE and _NO_SUCH_KEY not in said.lower():
        return NotFoundError
    return RejectedError


def _many(reply: Reply) -> ConnectorError:
    """300: the external id names several records; the body lists their addresses, and nothing was written."""
    try:
        rows = [str(row).rpartition("/")[2] for row in reply.json()]
    except (ConnectorError, *MISSHAPEN):
        rows = []
    return RejectedError(
        f"{reply.endpoint}: the external id names several records ({', '.join(rows[:5]) or 'not told which'}); "
        "merge them, and make the field unique",
        code="MULTIPLE_CHOICES",
    )


def _listed(reply: Reply) -> list[tuple[str, str, list[str]]]:
    """(code, text, fields) of each error in the body; empty if it is not an array of errors."""
    if not reply.content.lstrip().startswith(b"["):
        return []
    body = reply.json()
    return [_one(entry) for entry in body if isinstance(entry, dict)] if isinstance(body, list) else []


def _one(entry: dict[str, Any]) -> tuple[str, str, list[str]]:
    fields = entry.get("fields")
    named = [str(name) for name in fields] if isinstance(fields, list) else []
    text = " ".join(str(entry.get("message") or "no reason given").split())
    return str(entry.get("errorCode") or entry.get("statusCode") or ""), text, named
