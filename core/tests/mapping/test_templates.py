"""Values with expressions in them: mappings, lists, `each`; what they read; where mistakes are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock.mapping import ExpressionError, MappingError, Unknown, compile_template, filter_box

BOX = filter_box()
LINES = {
    "each": "{{ deal.products }}",
    "as": "product",
    "with": {"sku": "{{ product.code }}", "price": "{{ product.price * 2 }}"},
}
DEAL: dict[str, Any] = {
    "products": [{"code": "A", "price": Decimal("1.10")}, {"code": "B", "price": Decimal(2)}],
    "custom": {"x": 1},
}


def reads(value: Any) -> set[str]:
    return {".".join(path) for path in compile_template(value, BOX, where="w").reads}


def test_each_makes_one_item_per_item() -> None:
    made = compile_template({"lines": LINES}, BOX, where="invoice").evaluate({"deal": DEAL})
    assert made == {"lines": [{"sku": "A", "price": Decimal("2.20")}, {"sku": "B", "price": Decimal(4)}]}


def test_each_with_if_leaves_items_out() -> None:
    made = compile_template(LINES | {"if": "{{ product.price > 2 - 0.5 }}"}, BOX, where="w").evaluate({"deal": DEAL})
    assert [line["sku"] for line in made] == ["B"]


def test_each_over_what_is_not_known_is_not_known() -> None:
    assert compile_template(LINES, BOX, where="w").evaluate({"deal": Unknown("x")}) == Unknown("x")


def test_loops_nest_and_see_outer_names() -> None:
    nested = {
        "each": "{{ a }}",
        "as": "row",
        "with": {"each": "{{ row.items }}", "as": "cell", "with": "{{ row.id ~ cell ~ b }}"},
    }
    scope = {"a": [{"id": "r", "items": ["x", "y"]}], "b": "!"}
    assert compile_template(nested, BOX, where="w").evaluate(scope) == [["rx!", "ry!"]]
    assert reads(nested) == {"a.#", "a.*.items.#", "a.*.items.*", "a.*.id", "b"}


def test_constants_of_every_sort_pass_through() -> None:
    value = {"a": [1, True, None, "x", Decimal("1.50")], "b": {}}
    template = compile_template(value, BOX, where="w")
    assert template.constant
    assert template.evaluate({}) == value


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("{{ deal.custom.x }}", {"deal.custom.x"}),
        ("{{ deal.custom }}", {"deal.custom"}),
        (LINES, {"deal.products.#", "deal.products.*.code", "deal.products.*.price"}),
        (LINES | {"with": 1}, {"deal.products.#"}),
        (LINES | {"with": "{{ product }}"}, {"deal.products.#", "deal.products.*"}),
        (
            LINES | {"each": "{{ deal.products | where('kind', 'x') | sort('code') }}", "with": "{{ product.price }}"},
            {"deal.products.#", "deal.products.*.kind", "deal.products.*.code", "deal.products.*.price"},
        ),
        ("{{ deal.products | map('custom.x') | join }}", {"deal.products.*.custom.x"}),
        ("{{ deal.products | sum('price') }}", {"deal.products.*.price"}),
        ("{{ deal.products | count }}", {"deal.products.#"}),
        ("{{ (deal.products | first).code }}", {"deal.products.0.code"}),
        ("{{ deal.products[1].code }}", {"deal.products.1.code"}),
        ("{{ deal.organization == none }}", {"deal.organization.#"}),
        ("{{ 1 if deal.custom else 2 }}", {"deal.custom.#"}),
        ("{{ (deal.a if deal.b else deal.c).d }}", {"deal.b.#", "deal.a.d", "deal.c.d"}),
        ("{{ (deal.a or deal.b).c }}", {"deal.a.c", "deal.b.c"}),
        ("{{ (deal.a | default(deal.b)).c }}", {"deal.a.c", "deal.b.c"}),
        ("{{ deal.a == deal.b }}", {"deal.a", "deal.b"}),
        ("{{ [deal.a, {'k': deal.b}] }}", {"deal.a", "deal.b"}),
        ("{{ deal.title | truncate(deal.n) }}", {"deal.title", "deal.n"}),
        ("{{ deal.t | split | first }}", {"deal.t"}),
        ("a {{ deal.a }} b {{ deal.b | upper }}", {"deal.a", "deal.b"}),
        ({"each": "{{ deal.t | split }}", "as": "word", "with": "{{ word }}"}, {"deal.t"}),
    ],
)
def test_what_a_mapping_reads_is_known_exactly(value: Any, paths: set[str]) -> None:
    assert reads(value) == paths


def test_a_loop_over_derived_items_hides_no_outer_name() -> None:
    value = {"each": "{{ deal.t | split }}", "as": "word", "with": "{{ word ~ deal.x }}"}
    assert reads(value) == {"deal.t", "deal.x"}


def test_mistakes_are_placed_and_all_collected() -> None:
    value = {"name": "{{ a( }}", "lines": LINES | {"with": {"sku": "{{ product | nope }}", "fine": "{{ product.x }}"}}}
    errors: list[ExpressionError] = []
    template = compile_template(value, BOX, where="invoice", errors=errors)
    assert [error.where for error in errors] == ["invoice.name", "invoice.lines.*.sku"]
    assert ("deal", "products", "*", "x") in template.reads
    with pytest.raises(ExpressionError, match=r"invoice\.name"):
        compile_template(value, BOX, where="invoice")
    with pytest.raises(MappingError, match="crossdock check"):
        template.evaluate({"deal": DEAL})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{{ a | uper }} and {{ b | lowr }}", ["unknown filter uper", "unknown filter lowr"]),
        ("{{ (a | uper) ~ b[0:1] ~ c() }}", ["unknown filter uper", "a slice", "a call"]),
        ("{{ a( }} and {{ b | lowr }}", ["cannot be read", "unknown filter lowr"]),
        ("{{ '}}' | uper }} and {{ b( }}", ["cannot be read", "unknown filter uper"]),
        ("{{ (a | uper) if (b | lowr) }}", ["unknown filter uper", "unknown filter lowr", "needs its `else`"]),
        ("{{ f(a | uper, x=(b | lowr)) }}", ["unknown filter uper", "unknown filter lowr", "a call"]),
        ("{{ a | uper(b | lowr) }}", ["unknown filter uper", "unknown filter lowr"]),
        ("{{ a | uper }} {{ b | uper }}", ["unknown filter uper"]),
        ("{{ a ** (b | lowr) }}", ["a power", "unknown filter lowr"]),
    ],
)
def test_every_mistake_of_a_text_is_found(value: str, says: list[str]) -> None:
    errors: list[ExpressionError] = []
    compile_template(value, BOX, where="w", errors=errors)
    assert len(errors) == len(says)
    assert all(any(said in error.message for error in errors) for said in says), [str(error) for error in errors]


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("{{ a.x | uper }} {{ b.y }} {{ c( }}", {"a.x", "b.y"}),
        ("{{ a.x.upper() }} {{ f(b.y) }}", {"a.x", "b.y"}),
        ("{{ (a.items | sotr('y') | first).x }}", {"a.items.*.y", "a.items.0.x"}),
        ("{{ a.x if b.y }}", {"a.x", "b.y"}),
    ],
)
def test_what_is_broken_still_tells_what_it_reads(value: str, paths: set[str]) -> None:
    template = compile_template(value, BOX, where="w", errors=[])
    assert {".".join(path) for path in template.reads} == paths
    with pytest.raises(MappingError, match="crossdock check"):
        template.evaluate({"a": {"x": 1}, "b": {"y": 1}})


def test_a_mistake_in_one_item_says_which() -> None:
    deal = {"products": [{"code": "A", "price": 1}, {"code": "B", "price": "two"}]}
    with pytest.raises(MappingError) as caught:
        compile_template({"lines": LINES}, BOX, where="invoice").evaluate({"deal": deal})
    assert caught.value.where == "invoice.lines.1.price"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"each": "{{ a }}", "with": 1}, "each needs as"),
        ({"each": "{{ a }}", "as": "x"}, "each needs with"),
        ({"each": "{{ a }}", "as": "x", "wiht": 1, "with": 1}, "unknown key wiht beside each; did you mean with?"),
        ({"each": "{{ a }}", "as": "not a name", "with": 1}, "as must be a name"),
        ({"each": "a", "as": "x", "with": 1}, "must be one {{ expression }}"),
        ({"each": "{{ a }} b", "as": "x", "with": 1}, "must be one {{ expression }}"),
        ({"each": [1], "as": "x", "with": 1}, "must be {{ expressions }}"),
        ({"each": "{{ a }}", "as": "x", "if": "yes", "with": 1}, "must be one {{ expression }}"),
        ({"each": "{{ a }}", "as": "x", "with": {"each": "{{ x }}", "as": "x", "with": 1}}, "outer loop"),
    ],
)
def test_a_malformed_each_is_refused(value: Any, says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template(value, BOX, where="w")
    assert says in caught.value.message


def test_a_misspelt_loop_is_still_a_loop() -> None:
    errors: list[ExpressionError] = []
    value = {"eech": "{{ a | sotr }}", "as": "x", "wiht": {"n": "{{ x.n | uper }}"}, "if": "{{ x.m }} and"}
    template = compile_template({"lines": value}, BOX, where="w", errors=errors)
    assert [(error.where, error.message) for error in errors] == [
        ("w.lines.eech", "unknown key eech beside each; did you mean each?"),
        ("w.lines.wiht", "unknown key wiht beside each; did you mean with?"),
        ("w.lines.eech", "unknown filter sotr; did you mean sort?"),
        ("w.lines.if", "must be one {{ expression }}"),
        ("w.lines.*.n", "unknown filter uper; did you mean upper?"),
    ]
    seen = {leaf.where: (set(leaf.reads), set(loops)) for leaf, loops in template.leaves()}
    assert seen["w.lines.*.n"] == ({("a", "*", "n")}, {"x"})
    assert seen["w.lines.eech"] == ({("a",)}, set())


def test_a_mapping_with_two_words_of_a_loop_is_none() -> None:
    value = {"as": "x", "with": "y", "other": 1}
    assert compile_template(value, BOX, where="w").evaluate({}) == value


def test_each_needs_a_list() -> None:
    for odd in ({"a": 1}, "text", None, 5):
        with pytest.raises(MappingError, match=r"w\.each: a list is needed"):
            compile_template(LINES, BOX, where="w").evaluate({"deal": {"products": odd}})


def test_very_deep_values_are_refused() -> None:
    value: Any = "x"
    for _ in range(500):
        value = {"a": value}
    with pytest.raises(ExpressionError, match="nested more than"):
        compile_template(value, BOX, where="w")
