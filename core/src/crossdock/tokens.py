"""Tokens of buttons: what one press may do, to which run as it stands, signed, for a while."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GOOD_FOR = timedelta(days=7)
"""How long a button can be pressed; after that the run's page has the same."""
_PURPOSE = b"crossdock buttons 1"


class TokenError(Exception):
    """A token is not one of ours, or void by its age; one line for whoever showed it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on one run while it stands where it stood (`state`), by whoever presses it at this connection."""

    action: str
    run: str
    state: str
    connection: str
    until: datetime
    nonce: str


class Tokens:
    """Signs with the first of the vault's `keys`, and takes what any of them signed."""

    def __init__(
        self,
        keys: Sequence[bytes],
        now: Callable[[], datetime],
        *,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(12),
    ) -> None:
        self._keys = [hmac.new(key, _PURPOSE, hashlib.sha256).digest() for key in keys]
        self._now = now
        self._nonce = nonce

    def issue(self, action: str, run: str, state: str, connection: str) -> str:
        """A new token, good once; some 250 characters that need no escaping anywhere."""
        until = int((self._now() + GOOD_FOR).timestamp())
        body = json.dumps([action, run, state, connection, until, self._nonce()], separators=(",", ":")).encode()
        return f"{_text(body)}.{_text(_mac(self._keys[0], body))}"

    def read(self, token: str, connection: str) -> Grant:
        """What a token allows at this connection. Raises `TokenError`."""
        head, _, tail = token.partition(".")
        body, mac = _bytes(head), _bytes(tail)
        if not any(hmac.compare_digest(_mac(key, body), mac) for key in self._keys):
            raise TokenError("this button was not made by this installation, or its secret key has changed since")
        action, run, state, theirs, until, nonce = json.loads(body)
        if theirs != connection:
            raise TokenError(f"this button belongs to connection {theirs}")
        grant = Grant(action, run, state, theirs, datetime.fromtimestamp(until, UTC), nonce)
        if self._now() >= grant.until:
            raise TokenError(f"this button is older than {GOOD_FOR.days} days; use the run's page")
        return grant


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
