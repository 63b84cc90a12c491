"""Custom values both ways, without HTTP."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_pipedrive.fields import FieldMap, custom_field
from crossdock_pipedrive.simulator.pricing import deal_value, line_sum, plain
from crossdock_pipedrive.values import CustomField, StaleFieldsError, exact, linked_id, same
from crossdock_sdk import RejectedError, jsonio
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = {"31": "Small", "32": "Large", "33": "31"}


def field(kind: str) -> CustomField:
    return CustomField("f" * 40, "Some field", "some_field", kind, OPTIONS)


@pytest.mark.parametrize(
    ("kind", "value", "raw"),
    [
        ("varchar", "INV-1", "INV-1"),
        ("varchar", 12, "12"),
        ("varchar", Decimal("1E+2"), "100"),
        ("varchar", date(2026, 1, 2), "2026-01-02"),
        ("text", "", ""),
        ("phone", "+49", "+49"),
        ("double", Decimal("0.1"), Decimal("0.1")),
        ("double", "12.50", Decimal("12.50")),
        ("int", Decimal("3.0"), 3),
        ("enum", "Large", 32),
        ("enum", " large ", 32),
        ("enum", 32, 32),
        ("enum", "31", 31),
        ("set", ["Small", 32], [31, 32]),
        ("set", "Small", [31]),
        ("set", [], []),
        ("date", date(2026, 1, 2), "2026-01-02"),
        ("date", "2026-01-02", "2026-01-02"),
        ("monetary", Decimal("9.90"), {"value": Decimal("9.90"), "currency": "EUR"}),
        ("monetary", {"value": "9.90", "currency": "USD"}, {"value": Decimal("9.90"), "currency": "USD"}),
        ("address", "Main St 1", {"value": "Main St 1"}),
        ("address", {"value": "Main St 1", "country": "US"}, {"value": "Main St 1", "country": "US"}),
        ("timerange", {"value": "10:00:00", "until": "11:00:00"}, {"value": "10:00:00", "until": "11:00:00"}),
        ("user", "17", 17),
        ("boolean", True, True),
        ("double", None, None),
    ],
)
def test_values_are_written_in_the_vendors_form(kind: str, value: Any, raw: Any) -> None:
    written = field(kind).write(value, "EUR")
    assert written == raw
    assert type(written) is type(raw)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("varchar", ["a"]),
        ("varchar", True),
        ("double", "a"),
        ("double", True),
        ("double", 1.5),
        ("double", "NaN"),
        ("double", {"value": 1}),
        ("int", Decimal("1.5")),
        ("enum", "Medium"),
        ("set", ["Small", "Medium"]),
        ("date", datetime(2026, 1, 2, tzinfo=UTC)),
        ("date", "tomorrow"),
        ("date", 7),
        ("monetary", {"value": 1}),
        ("monetary", "much"),
        ("daterange", "2026"),
        ("address", 7),
        ("user", "Bob"),
        ("user", 0),
    ],
)
def test_values_of_another_type_are_refused_by_the_fields_name(kind: str, value: Any) -> None:
    with pytest.raises(RejectedError, match="some_field") as caught:
        field(kind).write(value, "EUR")
    assert caught.value.field == "some_field"


def test_money_without_any_currency_is_refused() -> None:
    with pytest.raises(RejectedError, match="currency"):
        field("monetary").write(5)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("enum", 32, "Large"),
        ("set", [31, 32], ["Small", "Large"]),
        ("set", [], None),
        ("double", 5, Decimal(5)),
        ("monetary", {"value": 5, "currency": "EUR"}, {"value": Decimal(5), "currency": "EUR"}),
        ("monetary", {"value": None, "currency": None}, None),
        ("daterange", {"value": None, "until": None}, None),
        ("address", {"value": None, "country": None}, None),
        ("address", "Main St 1", "Main St 1"),
        ("org", 9, "9"),
        ("people", {"value": 9}, "9"),
        ("varchar", "x", "x"),
        ("enum", None, None),
    ],
)
def test_values_are_read_as_mappings_see_them(kind: str, raw: Any, value: Any) -> None:
    assert field(kind).read(raw) == value


def test_an_unknown_option_is_stale() -> None:
    with pytest.raises(StaleFieldsError):
        field("enum").read(99)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_numbers_survive_writing_the_wire_and_reading(number: Decimal) -> None:
    wire = jsonio.plain(field("double").write(number))
    assert field("double").read(wire) == number
    assert same("double", wire, number)


@given(st.sets(st.sampled_from(sorted(OPTIONS.values())), min_size=1))
def test_labels_survive_writing_and_reading(labels: set[str]) -> None:
    # The label "31" is also an option's id; an id wins, as a code does over a name.
    labels.discard("31")
    raw = field("set").write(sorted(labels))
    assert set(field("set").read(raw) or ()) == labels


@pytest.mark.parametrize(
    ("kind", "one", "other", "alike"),
    [
        ("varchar", None, "", True),
        ("set", [], None, True),
        ("varchar", "a", None, False),
        ("varchar", "a", "A", False),
        ("double", 5, Decimal("5.00"), True),
        ("double", 5, "5.0", True),
        ("set", [1, 2], [2, 1], True),
        ("set", [1, 2], [2], False),
        ("address", {"value": "a", "country": "X"}, {"value": "a"}, True),
        ("monetary", {"value": 1, "currency": "EUR"}, {"value": Decimal("1.0"), "currency": "EUR"}, True),
        ("monetary", {"value": 1, "currency": "EUR"}, {"value": 1, "currency": "USD"}, False),
        ("native", {"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_sameness(kind: str, one: Any, other: Any, alike: bool) -> None:
    assert same(kind, one, other) is alike
    assert same(kind, other, one) is alike


def test_fields_are_found_by_name_label_or_code() -> None:
    fields = FieldMap.named_by_label([field("varchar"), CustomField("a" * 40, "Other", "", "varchar")])
    assert [fields.find(name) is not None for name in ("some_field", "Some field", "f" * 40, "nothing")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_label_that_two_fields_share_names_neither() -> None:
    fields = FieldMap.named_by_label([CustomField(code * 40, "PO", "", "varchar") for code in "ab"])
    assert fields.find("PO") is None
    assert set(fields.by_name) == {"po_aaaaaa", "po_bbbbbb"}
    assert fields.nearest("po_aaaaab") == "po_aaaaaa"


def test_built_in_fields_are_not_custom() -> None:
    assert custom_field({"is_custom_field": False}) is None


@pytest.mark.parametrize("raw", [True, 1.5, None, [1], "x", "Infinity"])
def test_what_is_no_exact_number_is_refused(raw: Any) -> None:
    with pytest.raises(ValueError):
        exact(raw)


@pytest.mark.parametrize(("raw", "found"), [(None, None), (7, "7"), ("7", "7"), ({"value": 7}, "7"), ({}, None)])
def test_links(raw: Any, found: str | None) -> None:
    assert linked_id(raw) == found


money = st.decimals(min_value=0, max_value=10**7, places=2)


@given(st.lists(st.tuples(money, money), max_size=6), st.decimals(min_value=0, max_value=100, places=2))
def test_a_simulated_deals_value_is_its_lines_less_its_discount(lines: list[Any], percent: Decimal) -> None:
    sums = [line_sum(quantity, price, Decimal(0), "amount") for quantity, price in lines]
    rows: list[dict[str, Any]] = [{"sum": amount, "is_enabled": True} for amount in sums]
    value = deal_value(rows, [{"type": "percentage", "amount": percent}])
    if value is None:
        assert not rows
        return
    assert 0 <= value <= sum(sums)
    assert value == value.quantize(Decimal("0.01"))


def test_json_numbers_are_written_as_pipedrive_does() -> None:
    assert [jsonio.dumps(plain(Decimal(text))) for text in ("1200.00", "1199.50", "0")] == [b"1200", b"1199.5", b"0"]
