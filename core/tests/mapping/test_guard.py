"""The unmapped-field guard: nothing that carries a value is lost in silence."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock.mapping import compile_template, filter_box, unmapped
from crossdock_sdk import Deal

BOX = filter_box()
MODELS = {"deal": Deal}
DEAL = Deal.model_validate(
    {
        "id": "1",
        "title": "T",
        "status": "won",
        "value": "10",
        "organization": {"id": "2", "name": "O", "custom": {"vat_id": "DE1", "blank": " "}},
        "custom": {"discount": 5, "flag": False, "zero": 0, "none": None, "empty": [], "terms": {"days": 30}},
        "products": [
            {
                "id": "3",
                "name": "P",
                "quantity": 1,
                "unit_price": 5,
                "custom": {"color": "red"},
                "discount_percent": 10,
            },
            {"id": "4", "name": "Q", "quantity": 1, "unit_price": 5, "custom": {"color": "blue"}, "discount_amount": 0},
        ],
        "discounts": [{"amount": "1.50"}, {"percent": 0}],
    }
).model_dump()
LOUD = {
    "deal.organization.custom.vat_id",
    "deal.custom.discount",
    "deal.custom.flag",
    "deal.custom.zero",
    "deal.custom.terms",
    "deal.products.0.custom.color",
    "deal.products.1.custom.color",
    "deal.products.0.discount_percent",
    "deal.discounts.0.amount",
}


def left(value: Any = None, *ignore: str) -> set[str]:
    reads = compile_template(value, BOX, where="w").reads
    return {found.path for found in unmapped({"deal": DEAL}, MODELS, reads, ignore)}


def test_every_valued_custom_field_and_every_discount_is_reported() -> None:
    assert left() == LOUD


def test_a_report_carries_the_value() -> None:
    found = unmapped({"deal": DEAL}, MODELS, frozenset())
    assert {f.path: f.value for f in found}["deal.discounts.0.amount"] == Decimal("1.50")


@pytest.mark.parametrize(
    ("value", "covered"),
    [
        ("{{ deal.custom.discount }}", {"deal.custom.discount"}),
        ("{{ deal.custom['flag'] }}", {"deal.custom.flag"}),
        ("{{ 1 if deal.custom.flag else 2 }}", {"deal.custom.flag"}),
        ("{{ 1 if deal.custom else 2 }}", set()),
        ("{{ deal.custom | count }}", set()),
        ("{{ deal.custom.terms.days }}", {"deal.custom.terms"}),
        ("{{ 1 if deal.custom.terms else 2 }}", set()),
        ("{{ deal.custom }}", {p for p in LOUD if p.startswith("deal.custom.")}),
        ("{{ deal }}", LOUD),
        ("{{ deal.organization.name }}", set()),
        ("{{ deal.organization }}", {"deal.organization.custom.vat_id"}),
        ("{{ deal.products }}", {p for p in LOUD if p.startswith("deal.products.")}),
        ("{{ deal.products | count }}", set()),
        ("{{ deal.products | map('custom.color') | join }}", {p for p in LOUD if p.endswith("color")}),
        ("{{ deal.products[0].custom.color }}", {"deal.products.0.custom.color"}),
        ("{{ (deal.products | first).custom.color }}", {"deal.products.0.custom.color"}),
        ("{{ (deal.products | last).custom.color }}", {"deal.products.1.custom.color"}),
        ({"each": "{{ deal.products }}", "as": "p", "with": "{{ p.name }}"}, set()),
        (
            {"each": "{{ deal.products }}", "as": "p", "with": {"c": "{{ p.custom.color }}"}},
            {"deal.products.0.custom.color", "deal.products.1.custom.color"},
        ),
        (
            {"each": "{{ deal.products }}", "as": "p", "with": "{{ p.discount_percent }}"},
            {"deal.products.0.discount_percent"},
        ),
        ("{{ deal.discounts | sum('amount') }}", {"deal.discounts.0.amount"}),
        ("{{ deal.discounts | sum('percent') }}", set()),
    ],
)
def test_a_field_counts_as_mapped_only_if_it_is_really_read(value: Any, covered: set[str]) -> None:
    assert LOUD - left(value) == covered


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("deal.custom.discount", {"deal.custom.discount"}),
        ("deal.custom.*", {p for p in LOUD if p.startswith("deal.custom.")}),
        ("deal.custom", {p for p in LOUD if p.startswith("deal.custom.")}),
        ("deal.custom.d*", {"deal.custom.discount"}),
        ("deal.products.*.custom.*", {p for p in LOUD if p.endswith("color")}),
        ("deal.*.custom.*", {"deal.organization.custom.vat_id"}),
        ("deal.discounts", {"deal.discounts.0.amount"}),
        ("deal.custom.disco", set()),
    ],
)
def test_what_is_ignored_is_not_reported(pattern: str, covered: set[str]) -> None:
    assert LOUD - left(None, pattern) == covered


def test_records_are_judged_the_same_as_models_or_plain_data() -> None:
    as_model = unmapped({"deal": Deal.model_validate(DEAL)}, MODELS, frozenset())
    assert {found.path for found in as_model} == LOUD


def test_a_root_that_has_no_model_or_no_value_is_skipped() -> None:
    assert unmapped({"customer": {"custom": {"a": 1}}, "deal": None}, MODELS, frozenset()) == []
