from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from crossdock_asana.fields import CustomFields, held
from crossdock_sdk import RejectedError
from hypothesis import given
from hypothesis import strategies as st

OPTIONS = [
    {"gid": "91", "name": "Invoiced", "enabled": True},
    {"gid": "92", "name": "Paid", "enabled": True},
    {"gid": "93", "name": "Lost", "enabled": False},
]
FIELDS = CustomFields(
    [
        {"gid": "1", "name": "Invoice number", "resource_subtype": "text"},
        {"gid": "2", "name": "Total", "resource_subtype": "number", "precision": 2},
        {"gid": "3", "name": "Margin", "resource_subtype": "number", "precision": 1, "format": "percentage"},
        {"gid": "4", "name": "Status", "type": "enum", "enum_options": OPTIONS},
        {"gid": "5", "name": "Tags", "resource_subtype": "multi_enum", "enum_options": OPTIONS},
        {"gid": "6", "name": "Due", "resource_subtype": "date"},
        {"gid": "7", "name": "Owners", "resource_subtype": "people"},
        {"gid": "8", "name": "Twin", "resource_subtype": "text"},
        {"gid": "9", "name": "twin", "resource_subtype": "text"},
        {"gid": "10", "name": "Formula", "resource_subtype": "reference"},
    ],
    "project 1201",
)


@pytest.mark.parametrize(
    ("name", "value", "gid", "written"),
    [
        ("invoice_number", "1042", "1", "1042"),
        ("Invoice number", 1042, "1", "1042"),
        ("1", Decimal("10.10"), "1", "10.10"),
        ("invoice_number", date(2026, 12, 1), "1", "2026-12-01"),
        ("total", Decimal("30.30"), "2", Decimal("30.30")),
        ("total", "30.300", "2", Decimal("30.3")),
        ("total", 1_000_000, "2", Decimal(1_000_000)),
        ("margin", Decimal("0.251"), "3", Decimal("0.251")),
        ("status", "Paid", "4", "92"),
        ("status", " paid", "4", "92"),
        ("status", "92", "4", "92"),
        ("status", None, "4", None),
        ("tags", ["Paid", "Invoiced"], "5", ["91", "92"]),
        ("tags", "Paid", "5", ["92"]),
        ("tags", None, "5", []),
        ("due", date(2026, 12, 1), "6", {"date": "2026-12-01"}),
        ("due", "2026-12-01", "6", {"date": "2026-12-01"}),
        ("due", datetime(2026, 12, 1, 9, tzinfo=UTC), "6", {"date_time": "2026-12-01T09:00:00.000Z"}),
        ("due", "2026-12-01T10:00:00+01:00", "6", {"date_time": "2026-12-01T09:00:00.000Z"}),
        ("owners", ["12", "11"], "7", ["11", "12"]),
        ("twin_8", "a", "8", "a"),
    ],
)
def test_values_become_what_asana_takes(name: str, value: Any, gid: str, written: Any) -> None:
    assert FIELDS.to_asana({name: value}) == {gid: written}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("total", "a lot", "takes a number"),
        ("total", True, "takes a number"),
        ("total", 1.5, "takes a number"),
        ("total", "NaN", "takes a number"),
        ("total", Decimal("1.005"), "keeps 2 digits after the point and would round 1.005"),
        ("margin", Decimal("0.2512"), "keeps 3 digits"),
        ("status", "Payed", "did you mean 'Paid'"),
        ("status", "Lost", "it has: Invoiced, Paid"),
        ("status", 92, "does not take 92"),
        ("tags", [1], "takes a list of texts"),
        ("due", "soon", "takes a date such as"),
        ("due", "2026-12-01T10:00:00", "no time zone"),
        ("due", 5, "does not take 5"),
        ("invoice_number", True, "does not take True"),
        ("formula", "x", "of type reference does not take"),
        ("invoice_numbr", "1", "did you mean invoice_number"),
        ("zzz", "1", "it has: invoice_number, total"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(RejectedError, match=said) as caught:
        FIELDS.to_asana({name: value})
    assert caught.value.field == f"custom.{name}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ({"resource_subtype": "text", "text_value": "1042"}, "1042"),
        ({"type": "number", "number_value": Decimal("1.50")}, Decimal("1.50")),
        ({"type": "enum", "enum_value": {"gid": "92"}}, "92"),
        ({"type": "enum", "enum_value": None}, None),
        ({"type": "multi_enum", "multi_enum_values": [{"gid": "92"}, {"gid": "91"}]}, ["91", "92"]),
        ({"type": "people", "people_value": [{"gid": "12"}]}, ["12"]),
        ({"type": "date", "date_value": {"date": "2026-12-01", "date_time": None}}, {"date": "2026-12-01"}),
        ({"type": "date", "date_value": {"date": "2026-12-01", "date_time": "t"}}, {"date_time": "t"}),
        ({"type": "date", "date_value": None}, None),
    ],
)
def test_values_are_read_in_the_form_in_which_they_are_written(field: dict[str, Any], value: Any) -> None:
    assert held(field) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4))
def test_a_number_is_kept_exactly_or_refused(number: Decimal) -> None:
    if Fraction(number) * 100 % 1:
        with pytest.raises(RejectedError, match="would round"):
            FIELDS.to_asana({"total": number})
    else:
        assert FIELDS.to_asana({"total": number}) == {"2": number}
