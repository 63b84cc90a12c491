from __future__ import annotations

import logging
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from crossdock.redaction import Scrubber, install
from crossdock_sdk.redaction import MASK, Redactor

CANARY = "kanarie-5f3a9c"


@pytest.fixture
def scrubber() -> Scrubber:
    redactor = Redactor()
    redactor.add(CANARY)
    return Scrubber(redactor)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a {CANARY} b", f"a {MASK} b"),
        ("sent Authorization: Bearer eyJhbGciOi.J9", f"sent Authorization: {MASK}"),
        (
            "{'authorization': 'Basic aG9vazpwYXNz', 'accept': '*/*'}",
            f"{{'authorization': '{MASK}', 'accept': '*/*'}}",
        ),
        ("got bearer abcdefgh12345678 back", f"got bearer {MASK} back"),
        ("postgresql://app:pa55@db/x", f"postgresql://{MASK}@db/x"),
        (
            "GET /cb?code=AB11&state=xyz&realmId=9130 200",
            f"GET /cb?code={MASK}&state={MASK}&realmId=9130 200",
        ),
        (
            "https://acme.example/v1/deals?api_token=abc123#x",
            f"https://acme.example/v1/deals?api_token={MASK}#x",
        ),
        ("the bearer of this note pays", "the bearer of this note pays"),
        ("https://acme.example/a?limit=5&status=won", "https://acme.example/a?limit=5&status=won"),
        ("total = 10.10", "total = 10.10"),
    ],
)
def test_text_is_shown_without_credentials(scrubber: Scrubber, text: str, shown: str) -> None:
    assert scrubber.text(text) == shown


def test_scrubbing_twice_changes_nothing_more(scrubber: Scrubber) -> None:
    once = scrubber.text(f"authorization: Bearer {CANARY} https://u:p@h/?token=x")
    assert scrubber.text(once) == once


def test_values_under_secret_keys_are_masked_and_others_are_not(scrubber: Scrubber) -> None:
    given = {
        "access_token": "t-1",
        "clientSecret": "s-1",
        "X-Api-Token": "x-1",
        "http.request.header.set-cookie": "c-1",
        "nested": [{"password": "p-1", "name": "Ada"}],
        "token": None,
        "total": Decimal("10.10"),
        "tokens_used": "12",
        "key": "812",
    }
    assert scrubber.value(given) == given | {
        "access_token": MASK,
        "clientSecret": MASK,
        "X-Api-Token": MASK,
        "http.request.header.set-cookie": MASK,
        "nested": [{"password": MASK, "name": "Ada"}],
    }


@dataclass
class Hiding:
    token: str = field(default=CANARY, repr=False)


class BoomError(Exception):
    pass


def boom() -> None:
    raise BoomError(f"first {CANARY}")


def logged(redactor: Redactor, *args: Any, **kwargs: Any) -> tuple[str, logging.LogRecord]:
    """What a plain foreign handler would write, and the record that it was given."""
    kept: list[tuple[str, logging.LogRecord]] = []

    class Foreign(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append((logging.Formatter("%(message)s").format(record), record))

    handler = Foreign()
    install(redactor, handler)
    logger = logging.getLogger("crossdock.test.redaction")
    logger.addHandler(handler)
    try:
        logger.warning(*args, **kwargs)
    finally:
        logger.removeHandler(handler)
    return kept[0]


def whole(record: logging.LogRecord) -> str:
    return repr(vars(record)) + repr(record.exc_info and record.exc_info[1])


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(CANARY)
    return redactor


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"in the text {CANARY}", ()),
        ("as an argument %s", (CANARY,)),
        ("as a named argument %(a)s", ({"a": CANARY},)),
        ("in a container %r", ([{"deep": (CANARY,)}],)),
        ("of an exception %s", (BoomError(CANARY),)),
        ("split %s%s", (CANARY[:5], CANARY[5:])),
        ("unused", ({"a": CANARY},)),
        ("cut short %.9s", (CANARY,)),
        ("too few %s %s", (CANARY,)),
        (BoomError(CANARY), ()),
    ],
)
def test_no_message_shows_a_secret(redactor: Redactor, message: Any, arguments: tuple[Any, ...]) -> None:
    text, record = logged(redactor, message, *arguments)
    assert "kanarie" not in text + str(record.args)
    assert CANARY not in whole(record)


def test_no_exception_chain_shows_a_secret(redactor: Redactor) -> None:
    try:
        try:
            boom()
        except BoomError as cause:
            raise ExceptionGroup(f"second {CANARY}", [ValueError(CANARY)]) from cause
    except ExceptionGroup:
        text, record = logged(redactor, "failed", exc_info=True, stack_info=True)
    assert "ExceptionGroup" in text
    assert f"first {MASK}" in text
    assert CANARY not in text + whole(record)


def test_no_extra_field_shows_a_secret(redactor: Redactor) -> None:
    extra = {"payload": {"a": [CANARY]}, "who": Hiding(), "authorization": "Basic unregistered"}
    _, record = logged(redactor, "x", extra=extra)
    fields = vars(record)
    assert fields["payload"] == {"a": [MASK]}
    assert not isinstance(fields["who"], Hiding)
    assert fields["authorization"] == MASK


def test_a_harmless_record_is_left_as_it_is(redactor: Redactor) -> None:
    error = BoomError("plain")
    text, record = logged(redactor, "%d of %s: %s", 3, "four", error, exc_info=(BoomError, error, None))
    assert text.startswith("3 of four: plain")
    assert record.args == (3, "four", error)
    assert record.exc_info is not None
    assert record.exc_info[1] is error
