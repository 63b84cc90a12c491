"""JSON text is redacted and stays JSON; instants are exact."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from crossdock.journal.base import JournalError
from crossdock.journal.codec import JsonText, instant, micros
from crossdock_sdk import Redactor
from crossdock_sdk.jsonio import loads
from hypothesis import given
from hypothesis import strategies as st


def masking(*secrets: str) -> Callable[[str], str]:
    redactor = Redactor()
    redactor.add(*secrets)
    return redactor.text


def test_money_keeps_its_digits() -> None:
    text = JsonText(str)({"total": Decimal("10.10"), "tiny": Decimal("0.000000001")})
    assert loads(text) == {"total": Decimal("10.10"), "tiny": Decimal("0.000000001")}
    assert "10.10" in text


@pytest.mark.parametrize("secret", ["s3cr3t-value", 'with "quotes" in', "back\\slash\\es", "ünïcode-ß"])
def test_a_secret_is_masked_in_keys_and_values(secret: str) -> None:
    text = JsonText(masking(secret))({secret: 1, "b": [f"x {secret} y"], "c": Decimal("1.5")})
    assert loads(text) == {"[redacted]": 1, "b": ["x [redacted] y"], "c": Decimal("1.5")}


def test_a_secret_of_digits_inside_a_number_leaves_json() -> None:
    text = JsonText(masking("123456"))({"amount": Decimal("9123456.50"), "id": 123456, "n": 7, "ok": True})
    assert loads(text) == {"amount": "9[redacted].50", "id": "[redacted]", "n": 7, "ok": True}


def test_a_secret_that_spans_values_is_refused_rather_than_garbled() -> None:
    with pytest.raises(JournalError, match="masking would garble"):
        JsonText(masking('one","two'))({"a": "one", "two": 1})


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_an_instant_comes_back_to_the_microsecond(moment: datetime) -> None:
    back = instant(micros(moment))
    assert back == moment.astimezone(UTC)
    assert back.tzinfo is UTC


def test_zones_do_not_change_the_instant() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert micros(noon) == micros(datetime(2026, 1, 1, 10, tzinfo=UTC))
