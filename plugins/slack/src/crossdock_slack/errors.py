"""What Slack's answers, and slack-sdk's exceptions, mean to us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConfigError,
    ConnectorError,
    NotFoundError,
    RejectedError,
    TransientError,
)
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

_AUTH = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "not_authed",
        "token_expired",
        "token_revoked",
        # Incoming webhooks: the address itself is the credential, and Slack no longer knows it.
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
    }
)
_CONFIG = frozenset(
    {
        "access_denied",
        "action_prohibited",
        "cannot_reply_to_message",
        "channel_is_archived",
        "channel_not_found",
        "ekm_access_denied",
        "invalid_channel",
        "is_archived",
        "method_not_supported_for_channel_type",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_in_channel",
        "posting_to_general_channel_denied",
        "restricted_action",
        "team_access_not_granted",
    }
)
_GONE = frozenset({"cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found"})
"""What a message says that is deleted, or that may be changed no more."""
_TRANSIENT = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited", "service_unavailable"})
_UNKNOWN_FATE = frozenset({"fatal_error", "internal_error", "request_timeout", "rollup_error"})
_HINTS = {
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "give the channel's id, and invite the bot if it is private",
    "missing_scope": "add the scope to the Slack app and install it again",
    "no_service": "make a new incoming webhook",
    "is_archived": "name another channel",
    "channel_is_archived": "name another channel",
}


def refusal(code: str, *, status: int, headers: Mapping[str, Any], what: str, detail: str = "") -> ConnectorError:
    """The error for one of Slack's own codes; `what` names the call, `detail` what Slack adds."""
    hint = _HINTS.get(code)
    message = f"Slack {what}: {code}" + (f" ({detail})" if detail else "") + (f"; {hint}" if hint else "")
    if code in _TRANSIENT or status == 429:
        return TransientError(message, code=code, status=status, retry_after=_wait(headers))
    if code in _UNKNOWN_FATE or status >= 500:
        return AmbiguousError(message, code=code, status=status, retry_after=_wait(headers))
    known = ((AuthError, _AUTH), (ConfigError, _CONFIG), (NotFoundError, _GONE))
    kind = next((kind for kind, codes in known if code in codes), RejectedError)
    return kind(message, code=code, status=status)


def translated(error: Exception, what: str) -> ConnectorError:
    """Any exception that slack-sdk or aiohttp lets out, in our terms and without their texts: those name URLs."""
    if isinstance(error, SlackApiError):
        return _api_error(error, what)
    name = type(error).__name__
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigError(f"Slack {what}: the address is not a URL")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return TransientError(f"Slack {what}: not sent, no connection ({name})", unanswered=True)
    return AmbiguousError(f"Slack {what}: sent, but the reply is lost or unreadable ({name})", unanswered=True)


def _api_error(error: SlackApiError, what: str) -> ConnectorError:
    response = error.response
    data = response.data if isinstance(response, AsyncSlackResponse) else None
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    headers: Mapping[str, Any] = getattr(response, "headers", None) or {}
    if isinstance(data, Mapping) and isinstance(data.get("error"), str):
        return refusal(data["error"], status=status, headers=headers, what=what, detail=_detail(data))
    if status == 429:
        return refusal("ratelimited", status=status, headers=headers, what=what)
    if 400 <= status < 500:
        return RejectedError(f"Slack {what}: HTTP {status} without an error code; check base_url", status=status)
    return AmbiguousError(
        f"Slack {what}: HTTP {status}, not what Slack documents", status=status, retry_after=_wait(headers)
    )


def _detail(data: Mapping[str, Any]) -> str:
    """What Slack says beside the code: the missing scope, or which block is wrong."""
    if isinstance(data.get("needed"), str):
        return f"needed: {data['needed']}"
    extra = data.get("response_metadata")
    messages = extra.get("messages") if isinstance(extra, Mapping) else None
    return "; ".join(str(m) for m in messages)[:300] if isinstance(messages, list) else ""


def _wait(headers: Mapping[str, Any]) -> float | None:
    """`Retry-After` in seconds (Slack docs, 'Rate limits'); a date is allowed for by HTTP."""
    value = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
