from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from crossdock_sdk import Customer, Deal, DealUpdate, Invoice, InvoiceLine, Note, Task
from crossdock_sdk.models import minor_units, round_money, slug, slugs, valued
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

CURRENCIES = ["EUR", "JPY", "KWD", "clf", None]
prices = st.decimals(-10_000, 1_000_000, places=4)
quantities = st.decimals(0, 10_000, places=3)
percents = st.none() | st.decimals(0, 100, places=2)


def line(**more: Any) -> InvoiceLine:
    return InvoiceLine(**({"sku": "A", "quantity": 1, "unit_price": "10.10"} | more))


def invoice(*lines: InvoiceLine, **more: Any) -> Invoice:
    return Invoice(customer_id="1", lines=lines, **more)


def test_ten_euros_ten_times_three_is_thirty_euros_thirty() -> None:
    made = invoice(line(quantity=3), currency="EUR")
    assert (made.subtotal, made.discount, made.total) == (Decimal("30.30"), Decimal("0.00"), Decimal("30.30"))


@pytest.mark.parametrize(
    ("more", "discount", "total"),
    [
        ({"discount_percent": 15}, "4.55", "25.75"),
        ({"discount_amount": "5.005"}, "5.01", "25.29"),
        ({"discount_percent": 100}, "30.30", "0.00"),
        ({"discount_percent": 0, "discount_amount": 0}, "0.00", "30.30"),
    ],
)
def test_the_invoices_own_discount(more: dict[str, Any], discount: str, total: str) -> None:
    made = invoice(line(quantity=3), currency="EUR", **more)
    assert (str(made.discount), str(made.total)) == (discount, total)


def test_line_discounts_come_off_before_rounding() -> None:
    assert line(quantity=3, discount_percent="33.333").amount_in("EUR") == Decimal("20.20")
    assert line(quantity=3, discount_percent=10, discount_amount="0.27").amount_in("EUR") == Decimal("27.00")
    assert line(discount_amount=1).discounted
    assert not line(discount_percent=0).discounted


def test_two_discounts_on_one_invoice_are_refused() -> None:
    with pytest.raises(ValidationError, match="not both"):
        invoice(line(), discount_percent=1, discount_amount=1)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("-0.005", "EUR", "-0.01"),
        ("-0.004", "EUR", "0.00"),
        ("2.5", "JPY", "3"),
        ("0.0005", "kwd", "0.001"),
        ("0.00005", "CLF", "0.0001"),
        ("1.005", None, "1.01"),
        ("999999999999999999.995", "EUR", "1000000000000000000.00"),
    ],
)
def test_money_is_rounded_half_up_to_the_coin(amount: str, currency: str | None, rounded: str) -> None:
    assert str(round_money(Decimal(amount), currency)) == rounded


@settings(deadline=None)
@given(st.lists(st.tuples(quantities, prices, percents), min_size=1, max_size=8), percents, st.sampled_from(CURRENCIES))
def test_an_invoice_is_the_sum_of_its_rounded_lines_less_its_rounded_discount(
    rows: list[tuple[Decimal, Decimal, Decimal | None]], percent: Decimal | None, currency: str | None
) -> None:
    lines = [line(quantity=q, unit_price=p, discount_percent=d) for q, p, d in rows]
    made = invoice(*lines, discount_percent=percent, currency=currency)
    coin = Decimal(1).scaleb(-minor_units(currency))
    exact = [q * p * (100 - (d or 0)) / 100 for q, p, d in rows]
    rounded = [value.quantize(coin, ROUND_HALF_UP) for value in exact]
    assert made.subtotal == sum(rounded)
    assert abs(made.discount - made.subtotal * (percent or 0) / 100) <= coin / 2
    assert made.total == made.subtotal - made.discount
    assert made.total.as_tuple().exponent == coin.as_tuple().exponent or made.total == 0
    assert all(abs(row.amount_in(currency) - e) <= coin / 2 for row, e in zip(lines, exact, strict=True))


@pytest.mark.parametrize("number", [10.1, 1.0, True, "NaN", "Infinity", "ten", "1e18", "1e999999", None])
def test_what_is_no_exact_number_never_carries_money(number: Any) -> None:
    with pytest.raises(ValidationError):
        line(unit_price=number)
    with pytest.raises(ValidationError):
        Deal(id="1", title="x", status="won", value=number)


@pytest.mark.parametrize("number", [10, "10.10", Decimal("10.10"), "999999999999999999.99", "-1", "1e5"])
def test_integers_decimals_and_texts_do(number: Any) -> None:
    assert line(unit_price=number).unit_price == Decimal(number)


def test_ids_are_texts() -> None:
    assert DealUpdate(id=812).id == "812"
    for bad in ("", True, None, 1.5):
        with pytest.raises(ValidationError):
            DealUpdate(id=bad)


def test_a_name_that_a_model_does_not_know_is_an_error() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Customer.model_validate({"name": "Acme", "colour": "red"})


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Customer(name="Acme").name = "Umbra"  # type: ignore[misc] # that is the point


def test_an_instant_needs_a_zone_and_is_no_calendar_date() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with pytest.raises(ValidationError, match="timezone"):
        Deal(id="1", title="x", status="won", value=1, won_at=noon.replace(tzinfo=None))
    with pytest.raises(ValidationError, match="business time zone"):
        Task(name="Call", due_date=noon)
    assert str(Task(name="Call", due_date="2026-03-01").due_date) == "2026-03-01"


def test_a_note_is_about_exactly_one_thing() -> None:
    assert Note(content="x", deal_id="1").deal_id == "1"
    for places in ({}, {"deal_id": "1", "person_id": "2"}):
        with pytest.raises(ValidationError, match="exactly one"):
            Note(content="x", **places)


@pytest.mark.parametrize("value", [0, False, "x", Decimal(0), [0], {"a": None}])
def test_what_a_mapping_could_lose_is_valued(value: Any) -> None:
    assert valued(value)


@pytest.mark.parametrize("value", [None, "", "  \n", [], {}, (), set()])
def test_what_is_empty_is_not(value: Any) -> None:
    assert not valued(value)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Invoice number", "invoice_number"),
        ("  VAT-ID (EU) ", "vat_id_eu"),
        ("Straße", "strasse"),
        ("Cafe\u0301", "café"),
        ("Fläche m²", "fläche_m2"),
        ("2nd contact", "_2nd_contact"),
        ("!!!", ""),
    ],
)
def test_labels_become_readable_names(label: str, name: str) -> None:
    assert slug(label) == name
    assert not name or name.isidentifier()


def test_labels_that_fold_alike_stay_apart() -> None:
    hashes = [("9dc80c50d78a15643bfc4ca79d76156a73a1ca0e", "Region"), ("4f1e", "region"), ("8a", "Score")]
    assert slugs(hashes) == {hashes[0][0]: "region_9dc80c", "4f1e": "region_4f1e", "8a": "score"}
    numbers = [("12000001", "Area"), ("12000002", "Area")]
    assert slugs(numbers) == {"12000001": "area_12000001", "12000002": "area_12000002"}


def test_a_label_without_a_letter_is_named_by_its_id() -> None:
    assert slugs([("ab12", "???"), ("€", "€")]) == {"ab12": "ab12", "€": "field"}


@settings(deadline=None)
@given(st.dictionaries(st.text("abc123", min_size=1), st.text("aB _-é€", max_size=4), max_size=12))
def test_no_two_fields_share_a_name(labels: dict[str, str]) -> None:
    names = slugs(labels.items())
    assert names.keys() == labels.keys()
    assert len(set(names.values())) == len(labels)
