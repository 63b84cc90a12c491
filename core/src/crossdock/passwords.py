"""Passwords, tokens and what of them is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets

SHORTEST = 12
"""Characters of a password at least: it opens what writes invoices."""
PREFIX = "cdk_"
"""What an access token begins with, so that scanners for leaked secrets know one."""

_COST, _BLOCK, _LANES = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024
_SALT = 16
_LENGTH = 32


class PasswordError(ValueError):
    """A password that is not taken; one line for whoever chose it."""


def hashed(password: str) -> str:
    """What is kept of a password: `scrypt$cost$salt$hash`. Takes a tenth of a second on purpose.

    Raises `PasswordError` for one that is too short.
    """
    if len(password) < SHORTEST:
        raise PasswordError(f"a password has {SHORTEST} characters or more; a sentence is easy to remember")
    salt = os.urandom(_SALT)
    return f"scrypt${_COST}${_text(salt)}${_text(_scrypt(password, salt, _COST))}"


def matches(password: str, kept: str) -> bool:
    """Whether it is the password; takes as long for a wrong one."""
    try:
        _, cost, salt, wanted = kept.split("$")
        found = _scrypt(password, base64.b64decode(salt), int(cost))
        return hmac.compare_digest(found, base64.b64decode(wanted))
    except ValueError:
        return False


NOBODY = f"scrypt${_COST}${'A' * 22}==${'A' * 43}="
"""Is nobody's: an unknown name takes as long to refuse as a wrong password."""


def new_token() -> str:
    """A token for a program, to be shown once."""
    return PREFIX + secrets.token_urlsafe(32)


def new_session() -> str:
    """The value of a session's cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a token or a session: random enough that it needs no salt."""
    return hashlib.sha256(secret.encode()).digest()


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=_LENGTH)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
