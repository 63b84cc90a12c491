"""What holds for every mapping and every record, not only for the ones we thought of."""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from crossdock.mapping import MappingError, compile_template, filter_box, unmapped
from crossdock_sdk import Deal, jsonio
from hypothesis import given, settings
from hypothesis import strategies as st

BOX = filter_box(tables={"t": {"a": 1}})

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), amounts, st.text(max_size=8), st.dates())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TOKENS = [
    *[
        "a",
        "b",
        "c",
        "d",
        "0",
        "1",
        "2.5",
        "1e9",
        "'x'",
        '""',
        "none",
        "true",
        "false",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".",
        "|",
        "~",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
        "==",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "!",
        "=",
        "not",
        "and",
        "or",
        "in",
        "is",
        "if",
        "else",
        "a.b",
        "a['b']",
        "a[0]",
        "a[-1]",
        "loop",
        "self",
        "range",
        "__class__",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "\\",
        "\n",
        "é",
    ],
    *(f"| {name}" for name in BOX),
    *(f"| {name}('a', 2)" for name in BOX),
]
expressions = st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join)
sources = st.one_of(st.text(max_size=60), expressions.map(lambda e: f"{{{{ {e} }}}}"), expressions)


def walk(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for item in inner:
        yield from walk(item)


@settings(max_examples=600, deadline=1000)
@given(sources, st.dictionaries(st.sampled_from("abcd"), values, max_size=4))
def test_any_text_gives_plain_data_or_our_own_error_and_the_same_again(source: str, scope: dict[str, Any]) -> None:
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(compile_template(source, BOX, where="w").evaluate(scope))
        except MappingError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert not any(isinstance(item, float) for item in walk(outcomes[0]))
    assert jsonio.dumps(outcomes[0])


@given(st.lists(st.tuples(amounts, amounts), max_size=30))
def test_totals_are_conserved_to_the_last_digit(lines: list[tuple[Decimal, Decimal]]) -> None:
    scope = {"lines": [{"q": q, "p": p} for q, p in lines]}
    each = {"each": "{{ lines }}", "as": "line", "with": {"amount": "{{ line.q * line.p }}"}}
    made = compile_template(each, BOX, where="w").evaluate(scope)
    total = compile_template("{{ made | sum('amount') }}", BOX, where="w").evaluate({"made": made})
    assert Fraction(total) == sum((Fraction(q) * Fraction(p) for q, p in lines), Fraction(0))


@given(amounts, amounts)
def test_arithmetic_and_comparison_agree_with_exact_fractions(a: Decimal, b: Decimal) -> None:
    def give(source: str) -> Any:
        return compile_template(source, BOX, where="w").evaluate({"a": a, "b": b})

    assert Fraction(give("{{ a + b }}")) == Fraction(a) + Fraction(b)
    assert Fraction(give("{{ a - b }}")) == Fraction(a) - Fraction(b)
    assert give("{{ a < b }}") is (Fraction(a) < Fraction(b))
    assert give("{{ a == b }}") is (Fraction(a) == Fraction(b))
    if b:
        assert Fraction(give("{{ a // b }}")) == Fraction(a) // Fraction(b)
        assert Fraction(give("{{ a % b }}")) == Fraction(a) % Fraction(b)
        assert abs(Fraction(give("{{ a / b }}")) - Fraction(a) / Fraction(b)) < Fraction(1, 10**30)


@given(st.dates(min_value=date(1, 2, 1), max_value=date(9999, 11, 30)), st.integers(-25, 25))
def test_days_go_forth_and_back(day: date, count: int) -> None:
    source = f"{{{{ day | days({count}) }}}}"
    there = compile_template(source, BOX, where="w").evaluate({"day": day})
    assert there - day == timedelta(days=count)


names = st.text(string.ascii_lowercase, min_size=1, max_size=3)
customs = st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=4)
products = st.fixed_dictionaries(
    {"id": names, "name": names, "quantity": amounts, "unit_price": amounts, "custom": customs},
    optional={"discount_percent": st.none() | amounts, "discount_amount": st.none() | amounts},
)
deals = st.fixed_dictionaries(
    {"id": names, "title": names, "status": names, "value": amounts, "custom": customs},
    optional={
        "organization": st.fixed_dictionaries({"id": names, "name": names, "custom": customs}),
        "products": st.lists(products, max_size=3),
        "discounts": st.lists(st.fixed_dictionaries({"percent": st.none() | amounts, "custom": customs}), max_size=2),
    },
)


def carries(value: Any) -> bool:
    """Written out once more, apart from the SDK's own rule."""
    return not (value is None or value == [] or (isinstance(value, str) and value.strip() == ""))


def loud(deal: dict[str, Any]) -> set[str]:
    """Every field that must be mapped, ignored or reported, found without the guard."""
    found = {f"deal.custom.{k}" for k, v in deal["custom"].items() if carries(v)}
    organization = deal.get("organization") or {"custom": {}}
    found |= {f"deal.organization.custom.{k}" for k, v in organization["custom"].items() if carries(v)}
    for kind in ("products", "discounts"):
        for index, item in enumerate(deal.get(kind) or []):
            at = f"deal.{kind}.{index}"
            found |= {f"{at}.custom.{k}" for k, v in item["custom"].items() if carries(v)}
            found |= {f"{at}.{k}" for k in ("percent", "discount_percent", "discount_amount") if item.get(k)}
    return found


@settings(max_examples=150)
@given(deals, st.data())
def test_every_loud_field_is_mapped_ignored_or_reported_and_never_two_of_these(
    deal: dict[str, Any], data: st.DataObject
) -> None:
    fields = sorted(loud(deal))
    mapped = set(data.draw(st.lists(st.sampled_from(fields), unique=True))) if fields else set()
    ignored = set(data.draw(st.lists(st.sampled_from(fields), unique=True))) if fields else set()
    bracketed = [_expression(path) for path in sorted(mapped)]
    reads = compile_template(bracketed, BOX, where="w").reads
    scope = {"deal": Deal.model_validate(deal).model_dump()}
    reported = {found.path for found in unmapped(scope, {"deal": Deal}, reads, sorted(ignored))}
    assert reported == set(fields) - mapped - ignored


def _expression(path: str) -> str:
    root, *steps = path.split(".")
    return "{{ " + root + "".join(f"[{s}]" if s.isdecimal() else f"['{s}']" for s in steps) + " }}"
