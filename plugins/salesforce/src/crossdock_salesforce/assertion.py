"""The signed assertion of the JWT bearer flow (RFC 7523; Salesforce Help, 'OAuth 2.0 JWT Bearer Flow')."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crossdock_sdk import jsonio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LASTS = 150
"""Seconds; Salesforce takes assertions that end within three minutes."""


def rsa_key(pem: str) -> RSAPrivateKey:
    """The key in a PEM text, whose line breaks may be written as `\\n`. Raises `ValueError`."""
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (TypeError, ValueError):
        raise ValueError("private_key is to be an unencrypted RSA key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("private_key is to be an RSA key: the flow is signed with RS256")  # noqa: TRY004 - a setting
    return key


def jwt_bearer(
    key: RSAPrivateKey, *, issuer: str, subject: str, audience: str, now: Callable[[], datetime]
) -> Callable[[], Mapping[str, str]]:
    """The form of a token request, for `OAuth2Minted`; its assertion is signed anew each time."""

    def form() -> Mapping[str, str]:
        ends = int(now().timestamp()) + _LASTS
        claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": ends}
        return {"grant_type": GRANT, "assertion": _signed(key, claims)}

    return form


def _signed(key: RSAPrivateKey, claims: Mapping[str, Any]) -> str:
    head = _encoded(jsonio.dumps({"alg": "RS256", "typ": "JWT"}))
    told = f"{head}.{_encoded(jsonio.dumps(claims))}"
    return f"{told}.{_encoded(key.sign(told.encode(), PKCS1v15(), SHA256()))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
