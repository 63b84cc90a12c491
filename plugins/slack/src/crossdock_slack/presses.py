"""Presses of buttons, as Slack sends them: verified over the raw body, then read.

Source: Slack docs, 'Verifying requests from Slack' and 'Handling user interaction'.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crossdock_sdk import Interaction, PayloadError, Press, VerificationError, WebhookRequest, jsonio
from crossdock_sdk.webhooks import verify_hmac
from pydantic import SecretStr

RECENT = timedelta(minutes=5)
"""A call that was signed longer ago may be a repetition by somebody who has seen it."""
_STAMP = "x-slack-request-timestamp"


def verify(request: WebhookRequest, secret: SecretStr, now: datetime) -> None:
    """Raise `VerificationError` unless Slack has signed this body within the last five minutes."""
    stamp = request.headers.get(_STAMP, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise VerificationError(f"{_STAMP} is missing or no number")
    signed = b"v0:" + stamp.encode() + b":" + request.body
    verify_hmac(request, secret, header="x-slack-signature", prefix="v0=", signed=signed)
    if abs(now.timestamp() - int(stamp)) > RECENT.total_seconds():
        raise VerificationError(f"it was signed more than {RECENT} ago, or this machine's clock is wrong")


def read(request: WebhookRequest) -> Interaction:
    """The presses in a verified call. Raises `PayloadError`."""
    payload = _payload(request)
    if payload.get("type") != "block_actions":
        return Interaction()
    user, url = payload.get("user"), payload.get("response_url")
    actions = payload.get("actions")
    if not isinstance(user, dict) or not isinstance(user.get("id"), str) or not isinstance(actions, list):
        raise PayloadError("block_actions without user.id or actions")
    presses = [
        Press(
            token=action["value"],
            action=action["action_id"],
            user_id=user["id"],
            user_name=str(user.get("name") or user.get("username") or user["id"]),
            answer_to={"url": url} if isinstance(url, str) else {},
        )
        for action in actions
        if isinstance(action, dict) and _is_text(action, "value") and _is_text(action, "action_id")
    ]
    return Interaction(tuple(presses))


def answers_there(url: str, base_url: str) -> bool:
    """Whether a `response_url` is one of Slack's, or of what stands for Slack at `base_url`."""
    place, base = urlsplit(url), urlsplit(base_url)
    if (place.scheme, place.netloc) == (base.scheme, base.netloc):
        return True
    return place.scheme == "https" and place.netloc == "hooks.slack.com"


def _is_text(action: dict[str, Any], name: str) -> bool:
    return isinstance(action.get(name), str) and bool(action[name])


def _payload(request: WebhookRequest) -> dict[str, Any]:
    try:
        form = parse_qs(request.body.decode(), strict_parsing=True, max_num_fields=10)
        payload = jsonio.loads(form["payload"][0])
    except (ValueError, KeyError, RecursionError) as error:
        raise PayloadError(f"not a form with one JSON `payload`: {type(error).__name__}") from None
    if not isinstance(payload, dict):
        raise PayloadError("`payload` is no JSON object")
    return payload
