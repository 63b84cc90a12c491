"""Edits of records: exact, of the kind that was there, and nothing but what was named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock.edits import MOST, Change, Edit, EditError, applied, leaves, path_of, steps_of, typed, value_at
from hypothesis import given
from hypothesis import strategies as st

RECORDS: dict[str, Any] = {
    "deal": {
        "id": "812",
        "value": Decimal("306.15"),
        "close_date": None,
        "custom": {"a.b": "dotted", "/slash": 1},
        "products": [{"code": "A", "quantity": 3}, {"code": "B", "quantity": 1}],
        "native": {"code": "vendor's"},
    }
}
names = st.text(min_size=1, max_size=6)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def test_a_field_of_a_list_item_is_changed_and_nothing_else() -> None:
    edited, changes = applied(RECORDS, [Edit("deal.products.1.code", "C")])
    assert edited["deal"]["products"] == [{"code": "A", "quantity": 3}, {"code": "C", "quantity": 1}]
    assert changes == (Change("deal.products.1.code", "B", "C"),)
    assert RECORDS["deal"]["products"][1]["code"] == "B"


def test_an_edit_that_changes_nothing_is_none_and_one_of_another_kind_is_one() -> None:
    assert applied(RECORDS, [Edit("deal.products.0.quantity", 3)])[1] == ()
    [change] = applied(RECORDS, [Edit("deal.products.0.quantity", "3")])[1]
    assert (change.before, change.after) == (3, "3")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("deal.products.2.code", "there is no field deal.products.2; there are items 0 to 1"),
        ("deal.product.0", "there is no field deal.product; there are id, value, close_date"),
        ("deal.products.-1.code", "there is no field deal.products.-1"),
        ("deal..id", "is no path"),
        ("", "is no path"),
        ("deal.id.x", "there is no field deal.id.x"),
        ("deal.products", "has fields of its own"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(path: str, said: str) -> None:
    with pytest.raises(EditError, match=said.replace(".", r"\.")):
        applied(RECORDS, [Edit(path, "x")])


def test_very_many_edits_are_refused() -> None:
    with pytest.raises(EditError, match="is the most"):
        applied(RECORDS, [Edit("deal.id", str(n)) for n in range(MOST + 1)])


def test_names_with_dots_have_a_pointer() -> None:
    assert value_at(RECORDS, "/deal/custom/a.b") == "dotted"
    assert value_at(RECORDS, "/deal/custom/~1slash") == 1
    assert dict(leaves(RECORDS))["/deal/custom/a.b"] == "dotted"


def test_the_vendors_own_json_is_not_offered() -> None:
    assert "deal.native.code" not in dict(leaves(RECORDS))


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("A", "0012", "0012"),
        ("A", " ", " "),
        (3, "4", 4),
        (3, "4.50", Decimal("4.50")),
        (Decimal("10.10"), "10.1", Decimal("10.1")),
        (Decimal(1), "", None),
        (None, "", None),
        (None, "INV-7", "INV-7"),
        (None, "12.50", Decimal("12.50")),
        (True, "False", False),
    ],
)
def test_what_is_typed_is_of_the_kind_that_was_there(before: Any, text: str, after: Any) -> None:
    found = typed(before, text)
    assert (type(found), found) == (type(after), after)


@pytest.mark.parametrize(("before", "text"), [(3, "three"), (Decimal(1), "NaN"), (3, "Infinity"), (True, "yes")])
def test_what_is_no_number_is_refused(before: Any, text: str) -> None:
    with pytest.raises(EditError):
        typed(before, text)


@given(st.lists(names, min_size=1, max_size=5))
def test_a_path_reads_back(steps: list[str]) -> None:
    assert steps_of(path_of(steps)) == tuple(steps)


@given(st.dictionaries(names, plain, min_size=1, max_size=3), st.data())
def test_every_leaf_that_is_offered_can_be_edited_and_only_that_changes(records: dict[str, Any], data: Any) -> None:
    offered = leaves(records)
    if not offered:
        return
    path, before = data.draw(st.sampled_from(offered))
    edited, changes = applied(records, [Edit(path, "something quite else")])
    assert changes == (Change(path, before, "something quite else"),)
    assert applied(edited, [Edit(path, before)])[0] == records
