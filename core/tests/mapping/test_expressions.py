"""What expressions give, what they refuse, and what stops the ones that want too much."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock.mapping import ExpressionError, MappingError, Pending, Unknown, compile_template, filter_box

BOX = filter_box(zone="Europe/Berlin", tables={"terms": {"net 30": "3"}})
SCOPE: dict[str, Any] = {
    "deal": {
        "id": "812",
        "title": "Website",
        "value": Decimal("10.10"),
        "count": 3,
        "won": True,
        "won_at": datetime(2026, 1, 31, 23, 30, tzinfo=UTC),
        "close_date": date(2026, 2, 1),
        "organization": None,
        "person": {"name": "Ann", "email": None},
        "products": (
            {"code": "A", "quantity": 3, "unit_price": Decimal("10.10"), "custom": {}},
            {"code": "B", "quantity": 1, "unit_price": Decimal("1"), "custom": {}},
        ),
        "custom": {"discount": 5, "a-b": "dash", "2nd": "x"},
    },
    "invoice": Unknown("invoice"),
}


def give(value: Any, scope: dict[str, Any] = SCOPE) -> Any:
    return compile_template(value, BOX, where="here").evaluate(scope)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{{ deal.value * 3 }}", Decimal("30.30")),
        ("{{ 0.1 + 0.2 }}", Decimal("0.3")),
        ("{{ 1.10 }}", Decimal("1.10")),
        ("{{ 12345678901234567890.12 }}", Decimal("12345678901234567890.12")),
        ("{{ deal.count / 2 }}", Decimal("1.5")),
        ("{{ deal.count + 1 }}", Decimal(4)),
        ("{{ -7 // 2 }}", Decimal(-4)),
        ("{{ -7 % 3 }}", Decimal(2)),
        ("{{ 0x1e }}", 30),
        ("{{ 1_000 }}", 1000),
        ("{{ deal.title }}", "Website"),
        ("{{ deal.won }}", True),
        ("{{ deal.person.email }}", None),
        ("{{ deal.close_date }}", date(2026, 2, 1)),
        ("{{ deal.products[0].code }}", "A"),
        ("{{ deal.products[-1].code }}", "B"),
        ('{{ deal.custom["a-b"] }}', "dash"),
        ("{{ (deal.products | last).code }}", "B"),
        ("{{ 'big' if deal.value > 10 else 'small' }}", "big"),
        ("{{ deal.value == 10.1 }}", True),
        ("{{ deal.count == 3.00 }}", True),
        ("{{ 1 < 2 < 3 }}", True),
        ("{{ 1 < 2 < 2 }}", False),
        ("{{ 'A' in ['A', 'B'] }}", True),
        ("{{ 'site' in deal.title }}", True),
        ("{{ 'discount' in deal.custom }}", True),
        ("{{ 3 not in [1, '3'] }}", True),
        ("{{ deal.organization == none }}", True),
        ("{{ deal.person != none and not deal.organization }}", True),
        ("{{ deal.organization or deal.title }}", "Website"),
        ("{{ 'a' ~ 1 ~ deal.value }}", "a110.10"),
        ("{{ {'a': [1, deal.id]} }}", {"a": [1, "812"]}),
        ("{{ 'a\\'b\\n' }}", "a'b\n"),
        ("{{ '{{' }}", "{{"),
        ("  {{ deal.value }}\n", Decimal("10.10")),
    ],
)
def test_one_expression_gives_its_value_with_its_type(source: str, result: Any) -> None:
    given = give(source)
    assert given == result
    assert type(given) is type(result)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("plain", "plain"),
        ("Deal {{ deal.id }}: {{ deal.value }}", "Deal 812: 10.10"),
        ("{{ deal.won_at }} {{ deal.close_date }}", "2026-01-31T23:30:00+00:00 2026-02-01"),
        ("{{ 1 }}{{ 2 }}", "12"),
        ("{{ 1.0e3 }} kg", "1000 kg"),
        ("{{ 0.0000001 }} is small", "0.0000001 is small"),
        ("{{ deal.won }}.", "true."),
        ("a\n{{ deal.id }}\n", "a\n812\n"),
    ],
)
def test_mixed_text_is_rendered_without_exponent_and_in_iso(source: str, result: str) -> None:
    assert give(source) == result


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ deal.titel }}", "deal has no titel; did you mean title?"),
        ("{{ deall.id }}", "unknown name deall; did you mean deal?"),
        ("{{ deal.organization.name }}", "deal.organization is null, so it has no name"),
        ("{{ deal.title.size }}", "deal.title is text, so it has no size"),
        ("{{ deal.products.code }}", "deal.products is a list, so it has no code; take `| first`"),
        ("{{ deal.products[5].code }}", "deal.products has 2 items, so there is no item 5"),
        ("{{ deal[0] }}", "deal is a record, not a list"),
        ("mail {{ deal.person.email }}", "a null has no text; give it a value with `| default(…)`"),
        ("all: {{ deal.products }}", "a list has no text; use `| join`"),
        ("{{ deal.title + 1 }}", "a number is needed, not text"),
        ("{{ 'a' * 3 }}", "a number is needed, not text"),
        ("{{ [1] * 3 }}", "a number is needed, not a list"),
        ("{{ deal.won + 1 }}", "a number is needed, not true or false"),
        ("{{ deal.person.email + 1 }}", "a number is needed, but the value is null"),
        ("{{ deal.value / 0 }}", "division by zero"),
        ("{{ deal.value % 0 }}", "this division has no result"),
        ("{{ deal.value == '10.10' }}", "a number cannot be compared with text"),
        ("{{ deal.value > none }}", "null has no order"),
        ("{{ deal.person < deal.person }}", "a record has no order"),
        ("{{ deal.person.email | upper }}", "deal.person.email is null; put `| default(…)` before `| upper`"),
        ("{{ 'x' in 5 }}", "nothing can be in a number"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_that_says_which(source: str, says: str) -> None:
    with pytest.raises(MappingError) as caught:
        give(source)
    assert caught.value.where == "here"
    assert says in caught.value.message
    assert not isinstance(caught.value, ExpressionError)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ range(3) }}", "a call is not allowed"),
        ("{{ deal.title.upper() }}", "a call is not allowed"),
        ("{{ 7 ** 9999999 }}", "a power (**) is not allowed"),
        ("{{ ''.__class__.__mro__ }}", "two underscores"),
        ("{{ deal['__class__'] }}", "two underscores"),
        ("{{ __import__ }}", "two underscores"),
        ("{{ deal | attr('title') }}", "unknown filter attr"),
        ("{{ deal.title | uper }}", "unknown filter uper; did you mean upper?"),
        ("{{ deal.title[0:2] }}", "a slice is not allowed"),
        ("{{ deal.title is defined }}", "a test (is …) is not allowed"),
        ("{{ deal[deal.id] }}", "written out"),
        ("{{ deal.products['*'] }}", "no name of a field"),
        ("{{ 1, 2 }}", "a tuple is not allowed; write a list"),
        ("{{ 1 if deal.won }}", "an `if` needs its `else`"),
        ("{{ deal.title | lookup('trms') }}", "lookup: unknown table trms; did you mean terms?"),
        ("{{ deal.won_at | in_zone('Europe/Berln') }}", "unknown time zone Europe/Berln; did you mean Europe/Berlin?"),
        ("{{ deal.title | phone('Germny') }}", "phone: unknown country; did you mean germany?"),
        ("{{ deal.title | truncate }}", "truncate: missing a required argument"),
        ("{{ deal.title | upper(1) }}", "upper: too many positional arguments"),
        ("{{ deal.title | truncate(5, nope=1) }}", "nope"),
        ("{{ deal.title | upper(*deal) }}", "* and ** are not allowed"),
        ("{{ deal.products | map(deal.title) }}", "written out in quotes"),
        ("{{ deal.products | map('__class__') }}", "is no field name"),
        ("{% for x in deal %}{% endfor %}", "statements"),
        ("{% raw %}x{% endraw %}", "statements"),
        ("{# note #}", "comments"),
        ("{{ deal.title", "cannot be read"),
        ("{{ }}", "cannot be read"),
        ("{{ a b }}", "cannot be read"),
        ("{{ 'a\\x41' }}", "unknown escape \\x"),
        ("{{ 1e999 }}", "more than 50 digits"),
    ],
)
def test_what_is_not_on_the_list_is_refused_at_load(source: str, says: str) -> None:
    with pytest.raises(ExpressionError, match="here: ") as caught:
        compile_template(source, BOX, where="here")
    assert says in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a'*300000000 }}",
        "{{ 7**9999999 }}",
        "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
        "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "{{ " + "-" * 1_900 + "1 }}",
        "{{ " + "not " * 450 + "1 }}",
        "{{ " + "1+" * 900 + "1 }}",
        "{{ deal" + ".a" * 900 + " }}",
        "{{ 1" + "|trim" * 300 + " }}",
        "{{ " + "9" * 1_900 + " }}",
        "{{ 1e999999999 }}",
        "{{ " + "[" * 900 + "]" * 900 + " }}",
        "{{ " + "9" * 45 + "*1e45*1e45" * 20 + " }}",
        "{{ deal.title | truncate(1e45) }}",
        "{{ 1 | round(1000000) }}",
        "{{ 1e45 | round(20) }}",
        "{{ deal.close_date | days(1000000) | days(1000000) | days(1000000) }}",
        "{{ deal.close_date | days(1e9) }}",
    ],
)
def test_an_expression_that_wants_too_much_is_stopped_at_once(source: str) -> None:
    began = time.perf_counter()
    with pytest.raises(MappingError):
        give(source)
    assert time.perf_counter() - began < 1


def test_text_that_grows_is_stopped_at_its_limit() -> None:
    scope = {"a": "x" * 60_000}
    assert len(give("{{ a ~ 'y' }}", scope)) == 60_001
    with pytest.raises(MappingError, match="longer than 65536"):
        give("{{ a ~ a }}", scope)
    with pytest.raises(MappingError, match="longer than 65536"):
        give("{{ a }} and {{ a }}", scope)
    with pytest.raises(MappingError, match="longer than 65536"):
        give("{{ [a, a] | join }}", scope)


LINES = [{"code": f"P{i}", "name": "Hours", "price": Decimal("9.90"), "custom": {"a": 1}} for i in range(4000)]


@pytest.mark.parametrize(
    "source",
    [
        '{{ a | where("code", p.code) | count }}',
        '{{ a | map("code") | join }}',
        '{{ a | sort("code") | first }}',
        "{{ codes | sort | last }}",
        '{{ a | sum("price") }}',
        "{{ a | last }}",
        "{{ all | count }}",
        '{{ "x" | lookup("terms", a) | count }}',
        "{{ p.code in codes }}",
        "{{ codes == others }}",
        "{{ text | title }}",
    ],
)
def test_walking_a_whole_list_at_every_turn_is_stopped_at_its_limit(source: str) -> None:
    codes = [line["code"] for line in LINES]
    scope = {"a": LINES, "all": {"a": LINES}, "codes": codes, "others": list(codes), "text": "ab " * 20_000}
    with pytest.raises(MappingError, match=r"here\.\d+: .*more than 2000000 steps; .* inside `each`"):
        give({"each": "{{ a }}", "as": "p", "with": source}, scope)


def test_looking_up_each_of_200_lines_among_all_is_within_the_limit() -> None:
    made = give({"each": "{{ a }}", "as": "p", "with": '{{ a | where("code", p.code) | count }}'}, {"a": LINES[:200]})
    assert made == [1] * 200


def test_each_evaluation_has_its_own_limit() -> None:
    template = compile_template('{{ a | sort("code") | count }}', BOX, where="here")
    assert [template.evaluate({"a": LINES}) for _ in range(20)] == [4000] * 20


def test_loops_in_loops_are_stopped_at_their_limit() -> None:
    inner = {"each": "{{ a }}", "as": "y", "with": "{{ y }}"}
    scope = {"a": list(range(200))}
    assert len(give({"each": "{{ a }}", "as": "x", "with": "{{ x }}"}, scope)) == 200
    with pytest.raises(MappingError, match="more than 10000 items"):
        give({"each": "{{ a }}", "as": "x", "with": inner}, scope)


@pytest.mark.parametrize("scope", [{"a": 1.5}, {"a": {"b": 1.5}}, {"a": [1.5]}, {"a": {"b": [{"c": 1.5}]}}])
def test_a_float_is_refused_wherever_it_stands(scope: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="float"):
        give("{{ a }}", scope)
    with pytest.raises(ExpressionError, match="float"):
        compile_template(scope["a"], BOX, where="x")


@pytest.mark.parametrize("source", ["{{ 1 if a else 2 }}", "{{ a == none }}", "{{ a or 1 }}", "{{ b.a | default(1) }}"])
def test_a_float_is_refused_even_where_its_value_would_not_show(source: str) -> None:
    with pytest.raises(MappingError, match="float"):
        give(source, {"a": 1.5, "b": {"a": 1.5}})


def test_infinity_and_nan_never_come_through() -> None:
    for odd in ("NaN", "Infinity", "sNaN"):
        for source in ("{{ a }}", "{{ a + 1 }}", "x{{ a }}", "{{ a and 1 }}"):
            with pytest.raises(MappingError):
                give(source, {"a": Decimal(odd)})


@pytest.mark.parametrize(
    "source",
    [
        "{{ invoice.number }}",
        "{{ invoice }}",
        "No. {{ invoice.number }}",
        "{{ invoice.total * 2 + 1 }}",
        "{{ -invoice.total }}",
        "{{ invoice.total == 1 }}",
        "{{ not invoice.sent }}",
        "{{ 1 if invoice.sent else 2 }}",
        "{{ invoice.a and true }}",
        "{{ true and invoice.a }}",
        "{{ 'x' ~ invoice.a }}",
        "{{ invoice.number | upper }}",
        "{{ 'x' | default(invoice.a) | truncate(invoice.length) }}",
        "{{ invoice.number | default('none') }}",
        "{{ [1, invoice.a] | sum }}",
        "{{ invoice.lines[0].sku }}",
    ],
)
def test_what_is_not_known_yet_spreads(source: str) -> None:
    assert give(source) == Unknown("invoice")
    assert str(give(source)) == "known after invoice"


def test_what_decides_before_the_unknown_is_known() -> None:
    assert give("{{ false and invoice.a }}") is False
    assert give("{{ 1 or invoice.a }}") == 1
    assert give("{{ [1, invoice.a] }}") == [1, Unknown("invoice")]


def test_two_unknowns_name_both_legs() -> None:
    scope = {"a": Unknown("customer"), "b": Unknown("invoice")}
    assert give("{{ a.id }}-{{ b.id }}", scope) == Unknown("customer, invoice")


def test_a_pending_receipt_tells_what_its_input_tells() -> None:
    scope = {"invoice": Pending({"total": Decimal(30), "number": None}, after="invoice")}
    assert give("{{ invoice.total == 30 }}", scope) is True
    assert give("{{ invoice.number }}", scope) == Unknown("invoice")
    assert give("{{ invoice.id }}", scope) == Unknown("invoice")
    assert give("{{ invoice }}", scope) == Unknown("invoice")
    assert give("{{ invoice | default(1) }}", scope) == Unknown("invoice")


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{{ deal.person.email | default('-') }}", "-"),
        ("{{ deal.organization.name | default('-') }}", "-"),
        ("{{ deal.custom.absent | default(0) }}", 0),
        ("{{ (deal.organization.name | upper) | default('-') }}", "-"),
        ("{{ deal.person.email | default(deal.organization.name) | default(deal.title) }}", "Website"),
        ("{{ '' | default('-') }}", ""),
        ("{{ ' ' | default('-', true) }}", "-"),
        ("{{ deal.value | default(0) }}", Decimal("10.10")),
    ],
)
def test_default_stands_in_for_null_missing_and_null_on_the_way(source: str, result: Any) -> None:
    assert give(source) == result


def test_default_hides_no_other_mistake() -> None:
    with pytest.raises(MappingError, match="a number is needed"):
        give("{{ (deal.title + 1) | default(0) }}")
    with pytest.raises(MappingError, match="unknown name"):
        give("{{ deall.title | default(0) }}")
