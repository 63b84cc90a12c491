"""The settings of a connection, and what is refused in them."""

from __future__ import annotations

from typing import Any

import crossdock_email
import pytest
from crossdock_email import EmailConfig, EmailConnection, EmailNotifier
from crossdock_email.simulator import EmailSimulator
from crossdock_sdk import Context
from pydantic import ValidationError

GIVEN: dict[str, Any] = {"host": "smtp.example.com", "from": "Crossdock <c@example.com>", "to": ["ops@example.com"]}


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_from_the_security(security: str, port: int) -> None:
    assert EmailConfig.model_validate(GIVEN | {"security": security}).place == f"smtp.example.com:{port}"
    assert EmailConfig.model_validate(GIVEN | {"security": security, "port": 2525}).place == "smtp.example.com:2525"


def test_without_a_word_the_way_is_encrypted() -> None:
    assert EmailConfig.model_validate(GIVEN).security == "starttls"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"username": "u"}, "give username and password, or neither"),
        ({"password": "a-secret"}, "give username and password, or neither"),
        ({"username": "u", "password": "a-secret", "security": "none"}, "in plain text; use starttls or tls"),
        ({"to": []}, "at least 1"),
        ({"to": ["ops"]}, "must be an address such as"),
        ({"to": ["a@b.example\r\nBcc: x@y.example"]}, "must be an address such as"),
        ({"to": ["a@b.example, c@d.example"]}, "must be an address such as"),
        ({"from": "Crossdock\r\nBcc: x@y.example <c@example.com>"}, "must be an address such as"),
        ({"from": "ünï@example.com"}, "must be an address such as"),
        ({"reply_to": "<>"}, "must be an address such as"),
        ({"host": "smtp://smtp.example.com"}, "must be the name of a server"),
        ({"host": "smtp.example.com\r\nX"}, "must be the name of a server"),
        ({"base_url": "http://127.0.0.1:9"}, "base_url"),
        ({"security": "maybe"}, "'starttls', 'tls' or 'none'"),
        ({"port": 0}, "port"),
        ({"timeout": 60}, "timeout"),
        ({"hst": "x"}, "hst"),
    ],
)
def test_what_cannot_work_is_refused_and_shows_no_value(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        EmailConfig.model_validate(GIVEN | changed)
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_password_may_go_unencrypted_within_the_machine(host: str) -> None:
    EmailConfig.model_validate(GIVEN | {"host": host, "username": "u", "password": "secret", "security": "none"})


def test_accounts_are_told_apart() -> None:
    accounts = {
        EmailConnection(
            EmailConfig.model_validate(GIVEN | {"username": name, "password": "secret"}), Context("m")
        ).account
        for name in ("ann", "bob")
    }
    assert accounts == {"email:ann@smtp.example.com:587", "email:bob@smtp.example.com:587"}


def test_the_plugin_registers_its_notifier_and_simulator() -> None:
    assert crossdock_email.crossdock_notifiers() == [EmailNotifier]
    assert crossdock_email.crossdock_simulators() == [EmailSimulator]
