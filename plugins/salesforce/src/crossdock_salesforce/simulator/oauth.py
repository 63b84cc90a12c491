"""The org's token endpoint: refresh tokens, client credentials and JWT bearer; no reply tells a lifetime."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from crossdock_sdk import jsonio
from crossdock_sdk.testing.simulator import json_response
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.requests import Request
from starlette.responses import Response

from crossdock_salesforce.simulator.org import ORGANIZATION, USER

CLIENT_ID = "simulated-salesforce-consumer-key"
CLIENT_SECRET = "simulated-salesforce-consumer-no-secret"  # noqa: S105 - opens nothing but the simulator
USERNAME = "integration@simulated.example"
AUDIENCE = "https://login.salesforce.com"
_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SESSION = timedelta(hours=2)
_LONGEST_ASSERTION = 180


@cache
def key() -> RSAPrivateKey:
    """The key whose certificate the simulated app knows; made when first needed."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem() -> str:
    return key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def refresh_token(generation: int) -> str:
    """The refresh token of a generation; a restarted simulator knows it too, for a vault may outlive one."""
    text = f"simulated-refresh-{generation}"
    return f"{text}-{hmac.new(CLIENT_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]}"


class TokenServer:
    """`rotates`: each refresh token works once, and its use gives the next. `revoked`: none works."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.rotates = False
        self.revoked = False
        self.refreshes = 0
        self._generation = 0
        self._issued = 0
        self._sessions: dict[str, datetime] = {}

    def authenticated(self, authorization: str) -> bool:
        """Whether the header carries a session that stands; using it makes it last on."""
        scheme, _, token = authorization.partition(" ")
        until = self._sessions.get(token) if scheme.lower() in ("bearer", "oauth") else None
        if until is None or self._clock() >= until:
            return False
        self._sessions[token] = self._clock() + _SESSION
        return True

    def expire(self) -> None:
        """Every session ends now."""
        self._sessions.clear()

    def reconnect(self) -> str:
        """A person connects the app anew; returns the new refresh token."""
        self.revoked = False
        self._generation += 1
        return refresh_token(self._generation)

    def session(self) -> str:
        """A new session, for tools that are given one."""
        self._issued += 1
        token = f"{ORGANIZATION[:15]}!simulated-access-{self._generation}-{self._issued}"
        self._sessions[token] = self._clock() + _SESSION
        return token

    async def endpoint(self, request: Request) -> Response:
        """`POST /services/oauth2/token`."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        grants = {
            "refresh_token": self._refresh,
            "client_credentials": lambda form: _client(form),
            _BEARER: self._assertion,
        }
        grant = grants.get(form.get("grant_type", ""))
        if grant is None:
            return _refused("unsupported_grant_type", "grant type not supported")
        refused = grant(form)
        if refused is not None:
            return refused
        self.refreshes += 1
        here = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
        answer: dict[str, Any] = {
            "access_token": self.session(),
            "signature": "c2ltdWxhdGVk",
            "scope": "refresh_token api",
            "instance_url": here,
            "id": f"{here}/id/{ORGANIZATION}/{USER}",
            "token_type": "Bearer",
            "issued_at": str(int(self._clock().timestamp() * 1000)),
        }
        if form["grant_type"] == "refresh_token" and self.rotates:
            self._generation += 1
            answer["refresh_token"] = refresh_token(self._generation)
        return json_response(answer)

    def _refresh(self, form: dict[str, str]) -> Response | None:
        refused = _client(form)
        if refused is not None:
            return refused
        if self.revoked or not hmac.compare_digest(
            form.get("refresh_token", "").encode(), refresh_token(self._generation).encode()
        ):
            return _refused("invalid_grant", "expired access/refresh token")
        return None

    def _assertion(self, form: dict[str, str]) -> Response | None:
        head, _, signature = form.get("assertion", "").rpartition(".")
        try:
            key().public_key().verify(_decoded(signature), head.encode(), PKCS1v15(), SHA256())
            algorithm = jsonio.loads(_decoded(head.partition(".")[0]))["alg"]
            claims = jsonio.loads(_decoded(head.partition(".")[2]))
            left = claims["exp"] - self._clock().timestamp()
            known = (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT_ID, USERNAME, AUDIENCE)
        except (InvalidSignature, ValueError, LookupError, TypeError):
            return _refused("invalid_grant", "invalid assertion")
        if algorithm != "RS256" or not known or self.revoked:
            return _refused("invalid_grant", "user hasn't approved this consumer")
        return None if 0 < left <= _LONGEST_ASSERTION else _refused("invalid_grant", "expired authorization code")


def _client(form: dict[str, str]) -> Response | None:
    given = f"{form.get('client_id')}:{form.get('client_secret')}"
    if hmac.compare_digest(given.encode(), f"{CLIENT_ID}:{CLIENT_SECRET}".encode()):
        return None
    return _refused("invalid_client", "invalid client credentials")


def _refused(error: str, described: str) -> Response:
    return json_response({"error": error, "error_description": described}, 400)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
