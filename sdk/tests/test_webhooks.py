from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from typing import Literal

import pytest
from crossdock_sdk import PayloadError, VerificationError, WebhookRequest
from crossdock_sdk.webhooks import BasicWebhook, SignedWebhook, json_body, verify_basic, verify_hmac
from pydantic import SecretStr, ValidationError

SECRET = SecretStr("verifier-token-1")
BODY = b'{"total": 10.10}'


def request(body: bytes = BODY, **headers: str) -> WebhookRequest:
    return WebhookRequest("POST", "/", {k.replace("_", "-"): v for k, v in headers.items()}, body)


def signature(body: bytes = BODY, secret: SecretStr = SECRET, digest: str = "sha256") -> bytes:
    return hmac.new(secret.get_secret_value().encode(), body, getattr(hashlib, digest)).digest()


FORMS: list[tuple[Literal["sha256", "sha1"], Literal["hex", "base64"], str]] = [
    ("sha256", "hex", ""),
    ("sha256", "base64", ""),
    ("sha1", "hex", "sha1="),
    ("sha256", "hex", "v0="),
]


@pytest.mark.parametrize(("digest", "encoding", "prefix"), FORMS)
def test_the_right_signature_passes_and_every_other_is_refused(
    digest: Literal["sha256", "sha1"], encoding: Literal["hex", "base64"], prefix: str
) -> None:
    def told(raw: bytes) -> str:
        return prefix + (raw.hex() if encoding == "hex" else base64.b64encode(raw).decode())

    def verify(given: WebhookRequest) -> None:
        verify_hmac(given, SECRET, header="X-Signature", digest=digest, encoding=encoding, prefix=prefix)

    good = told(signature(digest=digest))
    verify(request(x_signature=good))
    other = told(signature(secret=SecretStr("another-token"), digest=digest))
    bad = [other, good[:-2], good + "=", "", prefix, "é" + good, told(b"")]
    for given in [request(x_signature=b) for b in bad] + [request(), request(BODY + b" ", x_signature=good)]:
        with pytest.raises(VerificationError, match="X-Signature"):
            verify(given)


def test_an_empty_secret_verifies_nothing() -> None:
    signed = signature(secret=SecretStr("")).hex()
    with pytest.raises(VerificationError, match="no signing secret"):
        verify_hmac(request(x_signature=signed), SecretStr(""), header="x-signature")


def test_more_than_the_body_can_be_signed() -> None:
    signed = signature(b"v0:123:" + BODY).hex()
    verify_hmac(request(x_signature=signed), SECRET, header="x-signature", signed=b"v0:123:" + BODY)
    with pytest.raises(VerificationError):
        verify_hmac(request(x_signature=signed), SECRET, header="x-signature")


def basic(text: str, scheme: str = "Basic") -> WebhookRequest:
    return request(authorization=f"{scheme} {base64.b64encode(text.encode()).decode()}")


def test_basic_credentials() -> None:
    expected = BasicWebhook(user="hook", password=SecretStr("pass:wörd"))
    verify_basic(basic("hook:pass:wörd"), expected)
    verify_basic(basic("hook:pass:wörd", "basic"), expected)
    wrong = [basic("hook:pass"), basic("hook2:pass:wörd"), basic("hook:pass:wörd", "Bearer"), basic(""), request()]
    for given in [*wrong, request(authorization="Basic %%%"), request(authorization="Basic")]:
        with pytest.raises(VerificationError):
            verify_basic(given, expected)


def test_an_empty_secret_is_refused_and_a_short_one_is_not() -> None:
    with pytest.raises(ValidationError, match="password"):
        BasicWebhook(user="hook", password=SecretStr(""))
    with pytest.raises(ValidationError, match="verifier_token"):
        SignedWebhook.model_validate({"verifier_token": ""})
    assert SignedWebhook.model_validate({"verifier_token": "tok"}).verifier_token.get_secret_value() == "tok"


def test_a_body_is_read_exactly_and_anything_else_is_a_payload_error() -> None:
    assert json_body(request())["total"] == Decimal("10.10")
    for body in (b"", b"a=1", b"{", b"\xff", b"[" * 100_000, b"1e99999999999999999999"):
        with pytest.raises(PayloadError, match="not JSON"):
            json_body(request(body))
