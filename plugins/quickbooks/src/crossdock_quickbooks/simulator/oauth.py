"""Intuit's token endpoint: HTTP Basic client, refresh tokens that change daily, access tokens of one hour."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from crossdock_sdk.testing.simulator import json_response
from starlette.requests import Request
from starlette.responses import Response

CLIENT_ID = "simulated-quickbooks-client"
CLIENT_SECRET = "simulated-quickbooks-client-secret"  # noqa: S105 - opens nothing but the simulator
ACCESS_SECONDS = 3600
REFRESH_SECONDS = 8_726_400
ROTATES_AFTER = timedelta(hours=24)


def refresh_token(generation: int) -> str:
    """The refresh token of a generation; a restarted simulator knows it too, for a vault may outlive one."""
    text = f"simulated-refresh-{generation}"
    return f"{text}-{hmac.new(CLIENT_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]}"


class TokenServer:
    """A refresh gives a new refresh token once the old one is a day old; the old one is `invalid_grant` then.

    `rotates_after` is that age: zero makes every refresh token work once.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.rotates_after = ROTATES_AFTER
        self._since: datetime | None = None
        self._expiry: dict[str, datetime] = {}
        self._generation = 0
        self._issued = 0
        self.revoked = False
        self.refreshes = 0

    def authenticated(self, authorization: str) -> bool:
        """Whether the header carries an access token that is still good."""
        scheme, _, token = authorization.partition(" ")
        expiry = self._expiry.get(token) if scheme.lower() == "bearer" else None
        return expiry is not None and self._clock() < expiry

    def expire(self) -> None:
        """Every access token stops working now, as after an hour."""
        self._expiry.clear()

    def reconnect(self) -> str:
        """A person connects the app anew; returns the new refresh token."""
        self.revoked = False
        self._generation += 1
        self._since = self._clock()
        return refresh_token(self._generation)

    async def endpoint(self, request: Request) -> Response:
        """`POST /oauth2/v1/tokens/bearer`."""
        if not _client_is_known(request.headers.get("authorization", "")):
            return json_response({"error": "invalid_client"}, 401)
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "refresh_token":
            return json_response({"error": "unsupported_grant_type"}, 400)
        generation = self._generation_of(form.get("refresh_token", ""))
        if self.revoked or generation is None or generation < self._generation:
            described = "Incorrect or invalid refresh token"
            return json_response({"error": "invalid_grant", "error_description": described}, 400)
        self._generation = generation
        self._rotate()
        return json_response(self._issue())

    def _rotate(self) -> None:
        now = self._clock()
        self._since = self._since or now
        if now - self._since >= self.rotates_after:
            self._generation += 1
            self._since = now

    def _generation_of(self, token: str) -> int | None:
        number = token.removeprefix("simulated-refresh-").partition("-")[0]
        known = number.isdecimal() and hmac.compare_digest(token.encode(), refresh_token(int(number)).encode())
        return int(number) if known else None

    def _issue(self) -> dict[str, Any]:
        self.refreshes += 1
        self._issued += 1
        access = f"simulated-access-{self._generation}-{self._issued}"
        self._expiry[access] = self._clock() + timedelta(seconds=ACCESS_SECONDS)
        return {
            "token_type": "bearer",
            "access_token": access,
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh_token(self._generation),
            "x_refresh_token_expires_in": REFRESH_SECONDS,
        }


def _client_is_known(authorization: str) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, f"{CLIENT_ID}:{CLIENT_SECRET}".encode())
