"""Tokens of buttons: signed here, for this connection, for a while."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from crossdock.tokens import GOOD_FOR, TokenError, Tokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def issued(tokens: Tokens) -> str:
    return tokens.issue("replay", "01run", "dead:7", "alerts")


def test_a_token_says_what_it_allows() -> None:
    tokens = Tokens([b"key"], lambda: NOW, nonce=lambda: "n")
    grant = tokens.read(issued(tokens), "alerts")
    assert (grant.action, grant.run, grant.state, grant.connection, grant.nonce) == (
        "replay",
        "01run",
        "dead:7",
        "alerts",
        "n",
    )
    assert grant.until == NOW + GOOD_FOR
    assert len(issued(tokens)) < 500


def test_no_two_tokens_are_the_same() -> None:
    tokens = Tokens([b"key"], lambda: NOW)
    assert issued(tokens) != issued(tokens)


@pytest.mark.parametrize("forged", ["", ".", "a.b", "é.é", "....", "=.=", "A" * 5000])
def test_what_was_not_made_here_is_refused(forged: str) -> None:
    with pytest.raises(TokenError, match="was not made by this installation"):
        Tokens([b"key"], lambda: NOW).read(forged, "alerts")


def test_a_changed_token_is_refused() -> None:
    tokens = Tokens([b"key"], lambda: NOW)
    head, _, mac = issued(tokens).partition(".")
    body = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    body[0] = "cancel"
    changed = base64.urlsafe_b64encode(json.dumps(body, separators=(",", ":")).encode()).decode().rstrip("=")
    with pytest.raises(TokenError, match="was not made by this installation"):
        tokens.read(f"{changed}.{mac}", "alerts")


def test_a_token_of_another_connection_is_refused() -> None:
    tokens = Tokens([b"key"], lambda: NOW)
    with pytest.raises(TokenError, match="belongs to connection alerts"):
        tokens.read(issued(tokens), "others")


def test_a_token_is_void_by_its_age() -> None:
    clock = Clock()
    tokens = Tokens([b"key"], clock)
    token = issued(tokens)
    clock.now = NOW + GOOD_FOR - timedelta(seconds=1)
    tokens.read(token, "alerts")
    clock.now = NOW + GOOD_FOR
    with pytest.raises(TokenError, match="older than 7 days"):
        tokens.read(token, "alerts")


def test_an_older_key_is_taken_while_it_is_there() -> None:
    old, both, new = (Tokens(keys, lambda: NOW) for keys in ([b"old"], [b"new", b"old"], [b"new"]))
    token = issued(old)
    both.read(token, "alerts")
    new.read(issued(both), "alerts")
    with pytest.raises(TokenError):
        new.read(token, "alerts")
