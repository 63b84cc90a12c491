"""Presses of a simulated Slack's buttons: signed calls to the app's request URL, and the answers that come back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

SIGNING_SECRET = "8f742231b10e-sandbox-signing-secret"  # noqa: S105  signs for this simulator only
_PATIENCE = 3.0
"""Seconds within which Slack wants its answer."""
_USES = 5
_GOOD_FOR = timedelta(minutes=30)

Json = dict[str, Any]


class Presses:
    """What people press, and what they are told. `request_url` is the app's, `base_url` the simulator's own."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.request_url: str | None = None
        self.base_url = ""
        self.answers: list[Json] = []
        self._urls: dict[str, tuple[datetime, int]] = {}

    async def press(self, messages: Sequence[Json], body: Json) -> Json:
        """Press a button as `SlackSimulator.trigger` says. Raises `ValueError` if there is none, or nobody to call."""
        if self.request_url is None:
            raise ValueError("press: the app has no interactivity request URL; subscribe one")
        message, button = _found(messages, body)
        content = urlencode({"payload": json.dumps(self.payload(message, button, body))}).encode()
        stamp = str(int(self._clock().timestamp()) - int(body.get("age", 0)))
        headers = signed(content, stamp) | {"content-type": "application/x-www-form-urlencoded"}
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as client:
            reply = await client.post(self.request_url, content=content, headers=headers)
        return {"status": reply.status_code, "body": reply.text}

    def payload(self, message: Json, button: Json, body: Json) -> Json:
        """A `block_actions` payload, as Slack documents it."""
        press = f"P{len(self._urls) + 1:06d}"
        self._urls[press] = (self._clock(), 0)
        user = str(body.get("user_id", "U0ANN"))
        action = {"type": "button", "block_id": "b", "action_id": button["action_id"], "text": button["text"]}
        action |= {"value": button["value"]} if "value" in button else {}
        return {
            "type": "block_actions",
            "user": {"id": user, "username": "ann", "name": str(body.get("user_name", "ann")), "team_id": "T0SANDBOX"},
            "api_app_id": "A0SANDBOX",
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"]},
            "team": {"id": "T0SANDBOX", "domain": "sandbox"},
            "channel": {"id": message["channel"], "name": "alerts"},
            "message": {"type": "message", "ts": message["ts"], "text": message["text"]},
            "response_url": f"{self.base_url}/actions/{press}",
            "actions": [action],
        }

    async def answered(self, request: Request) -> Response:
        """`POST` to a `response_url`: five times within half an hour."""
        press = request.path_params["press"]
        begun, uses = self._urls.get(press, (None, 0))
        if begun is None or self._clock() - begun > _GOOD_FOR:
            return PlainTextResponse("expired_url", 404)
        if uses >= _USES:
            return PlainTextResponse("used_url", 404)
        self._urls[press] = (begun, uses + 1)
        body = json.loads(await request.body())
        self.answers.append({"press": press, "text": body.get("text"), "alone": body.get("response_type")})
        return PlainTextResponse("ok")


def signed(content: bytes, stamp: str, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """The headers with which Slack signs a call (Slack docs, 'Verifying requests from Slack')."""
    base = b"v0:" + stamp.encode() + b":" + content
    mac = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={mac}"}


def buttons(message: Json) -> list[Json]:
    """The buttons of a message, in order."""
    actions = (block for block in message["blocks"] if block["type"] == "actions")
    return [element for block in actions for element in block["elements"]]


def _found(messages: Sequence[Json], body: Json) -> tuple[Json, Json]:
    wanted = str(body.get("action", "replay"))
    for message in reversed(messages):
        if body.get("ts") not in {None, message["ts"]} or message["deleted"]:
            continue
        for button in buttons(message):
            if button["action_id"] == wanted:
                return message, button
    raise ValueError(f"press: no message has the button {wanted!r}")
