from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_sdk import Customer, jsonio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

numbers = st.decimals(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(plain)
def test_what_is_written_is_read_back_equal(value: Any) -> None:
    assert jsonio.loads(jsonio.dumps(value)) == value


@pytest.mark.parametrize("text", ["10.10", "1.0", "0.1", "1E+5", "123456789012345678901234567890", "1E-30"])
def test_numbers_keep_every_digit(text: str) -> None:
    assert str(jsonio.loads(text)) == text
    assert jsonio.dumps({"n": jsonio.loads(text)}) == f'{{"n":{text}}}'.encode()


def test_no_float_comes_out() -> None:
    assert isinstance(jsonio.loads(b"[10.10]")[0], Decimal)


@pytest.mark.parametrize("text", ["", "{", "NaN", "Infinity", "[1,]", "1e99999999999999999999", "{}{}", b'"\xff"'])
def test_what_is_not_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        jsonio.loads(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), {"a": [Decimal("sNaN")]}])
def test_numbers_without_a_json_form_are_refused(value: Any) -> None:
    for write in (jsonio.dumps, jsonio.canonical):
        with pytest.raises(ValueError, match="no JSON form"):
            write(value)


def test_the_words_nan_and_infinity_in_a_text_are_fine() -> None:
    assert jsonio.dumps(["NaN", "Infinity"]) == b'["NaN","Infinity"]'


def test_dates_instants_models_and_secrets_have_a_form() -> None:
    value = {
        "day": date(2026, 3, 1),
        "at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "customer": Customer(name="Acme", custom={"score": Decimal("1.50")}),
        "token": SecretStr("very-secret"),
        "ids": ("a", "b"),
    }
    read = jsonio.loads(jsonio.dumps(value))
    assert (read["day"], read["at"]) == ("2026-03-01", "2026-03-01T12:00:00Z")
    assert (read["customer"]["name"], read["customer"]["custom"]) == ("Acme", {"score": Decimal("1.50")})
    assert read["token"] == "**********"
    assert read["ids"] == ["a", "b"]
    with pytest.raises(TypeError, match="object has no JSON form"):
        jsonio.dumps(object())


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_equal_canonical_bytes(value: dict[str, int]) -> None:
    turned = dict(reversed(value.items()))
    assert jsonio.canonical({"x": value}) == jsonio.canonical({"x": turned})
