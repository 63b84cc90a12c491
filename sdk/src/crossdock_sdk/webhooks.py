"""Verification of webhook deliveries, over the raw bytes and in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from crossdock_sdk import jsonio
from crossdock_sdk.contracts.source import WebhookRequest
from crossdock_sdk.errors import PayloadError, VerificationError


class BasicWebhook(BaseModel):
    """`webhook: {user, password}` of a connection whose vendor sends HTTP Basic credentials."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    user: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class SignedWebhook(BaseModel):
    """`webhook: {verifier_token}` of a connection whose vendor signs the body."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    verifier_token: SecretStr = Field(min_length=1)


def verify_basic(request: WebhookRequest, expected: BasicWebhook) -> None:
    """Check HTTP Basic credentials. Raises `VerificationError`."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        given = b""
    wanted = f"{expected.user}:{expected.password.get_secret_value()}".encode()
    if not hmac.compare_digest(given, wanted):
        raise VerificationError("the delivery's Basic credentials are missing or wrong")


def verify_hmac(
    request: WebhookRequest,
    secret: SecretStr,
    *,
    header: str,
    digest: Literal["sha256", "sha1"] = "sha256",
    encoding: Literal["hex", "base64"] = "hex",
    prefix: str = "",
    signed: bytes | None = None,
) -> None:
    """Check an HMAC over `signed` (default: the raw body) in `header`. Raises `VerificationError`.

    An empty secret verifies nothing and is refused, so that a missing setting never opens the door.
    """
    key = secret.get_secret_value().encode()
    if not key:
        raise VerificationError("no signing secret is configured")
    given = request.headers.get(header.lower(), "")
    mac = hmac.new(key, request.body if signed is None else signed, getattr(hashlib, digest)).digest()
    wanted = prefix + (mac.hex() if encoding == "hex" else base64.b64encode(mac).decode())
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise VerificationError(f"the signature in {header} is missing or wrong")


def json_body(request: WebhookRequest) -> Any:
    """The body as JSON, numbers exact. Raises `PayloadError`."""
    try:
        return jsonio.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON: {error}") from None
