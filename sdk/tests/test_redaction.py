from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from crossdock_sdk import Redactor
from crossdock_sdk.redaction import MASK
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = 'pä$$ "w+rd/\\&1'

secrets = st.text(st.characters(codec="utf-8"), min_size=6, max_size=40)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        urlencode({"password": SECRET})[len("password=") :],
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_masked_in_every_usual_form(form: str) -> None:
    redactor = Redactor()
    redactor.add(SECRET)
    assert redactor.text(f"a {form} b").rstrip("= b").startswith(f"a {MASK}")
    assert form not in redactor.text(f"a {form} b")


@pytest.mark.parametrize("before", ["", "u", "us", "use"])
@pytest.mark.parametrize("after", ["", ":", ":x", ":xy"])
def test_a_secret_is_masked_inside_longer_base64(before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add(SECRET)
    encoded = base64.b64encode((before + SECRET + after).encode()).decode()
    shown = redactor.text(encoded)
    assert MASK in shown
    assert len(shown.replace(MASK, "")) <= 2 * 4 + len(after)


@settings(deadline=None)
@given(st.lists(secrets, min_size=1, max_size=5), st.text())
def test_no_registered_secret_is_ever_left(registered: list[str], around: str) -> None:
    redactor = Redactor()
    redactor.add(*registered)
    shown = redactor.text(around.join(["", *registered, ""]))
    assert all(secret not in shown.replace(MASK, "\0") for secret in registered)


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.add("secret-1", "secret-12345")
    assert redactor.text("secret-12345 secret-1") == f"{MASK} {MASK}"


def test_data_is_masked_in_keys_and_values_at_any_depth() -> None:
    redactor = Redactor()
    redactor.add("topsecret")
    given_data = {"a": ["x topsecret", {"topsecret": 1}], "n": 1, "t": ("topsecret",)}
    assert redactor.data(given_data) == {"a": [f"x {MASK}", {MASK: 1}], "n": 1, "t": [MASK]}
    assert given_data["t"] == ("topsecret",)


def test_short_values_are_left_alone_and_nothing_registered_changes_nothing() -> None:
    redactor = Redactor()
    assert redactor.text("anything") == "anything"
    assert redactor.data(["anything"]) == ["anything"]
    redactor.add("", "short")
    assert redactor.text("short") == "short"


def test_a_forgotten_secret_is_shown_and_the_others_are_not() -> None:
    redactor = Redactor()
    redactor.add("first-token", "second-token")
    redactor.forget("first-token", "never-registered")
    assert redactor.text("first-token second-token") == f"first-token {MASK}"
    redactor.forget("second-token")
    assert redactor.text("second-token") == "second-token"
