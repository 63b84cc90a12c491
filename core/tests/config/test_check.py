"""`crossdock check`: every mistake that can be found without calling anyone, all at once, each with its line."""

from __future__ import annotations

import pytest
from crossdock.config.load import ConfigProblems, load
from crossdock.plugins import Registry


def problems(text: str, registry: Registry, env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(text, env=env, registry=registry)
    return [str(problem).removeprefix("crossdock.yaml:") for problem in caught.value.problems]


LEG = "flows.deal-to-invoice.legs"


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        ("when: crm.deal", "when: crn.deal", 9, "when", "unknown connection crn; did you mean crm?"),
        ("deal.won", "deal.wonn", 9, "when", "unknown event crm.deal.wonn; did you mean crm.deal.won?"),
        ("when: crm.deal.won", "when: books.deal.won", 9, "when", "connection books (acmebooks) brings no events"),
        ("when: crm.deal.won", "when: crm", 9, "when", "'crm' is not a connection and an event"),
        (
            "books.invoice.create",
            "bocks.invoice.create",
            20,
            "legs.invoice.do",
            "unknown connection bocks; did you mean books?",
        ),
        (
            "books.invoice.create",
            "books.invoice.crete",
            20,
            "legs.invoice.do",
            "unknown action books.invoice.crete; did you mean books.invoice.create?",
        ),
        (
            "books.invoice.create",
            "alerts.invoice.create",
            20,
            "legs.invoice.do",
            "connection alerts (pager) has no actions",
        ),
        (
            "connector: pager",
            "connector: pagr",
            5,
            "connections.alerts.connector",
            "unknown connector pagr; did you mean pager?",
        ),
        (
            "deal.organization.name",
            "deal.organisation.name",
            18,
            "legs.customer.with.name",
            "unknown field deal.organisation; did you mean deal.organization?",
        ),
        (
            "deal.organization.name",
            "deal.organization.nam",
            18,
            "legs.customer.with.name",
            "unknown field deal.organization.nam; did you mean deal.organization.name?",
        ),
        (
            "deal.organization.name",
            "deal.title.x",
            18,
            "legs.customer.with.name",
            "deal.title has no fields, so there is no deal.title.x",
        ),
        (
            "deal.organization.name",
            "deal.products.name",
            18,
            "legs.customer.with.name",
            "deal.products is a list, so it has no name",
        ),
        (
            "deal.organization.name",
            "deel.title",
            18,
            "legs.customer.with.name",
            "unknown name deel; did you mean deal?",
        ),
        (
            "product.code",
            "product.cod",
            28,
            "legs.invoice.with.lines.with.sku",
            "unknown field deal.products.*.cod; did you mean deal.products.*.code?",
        ),
        (
            "{{ deal.products }}",
            "{{ deal.product }}",
            25,
            "legs.invoice.with.lines.each",
            "unknown field deal.product; did you mean deal.products?",
        ),
        (
            "invoice.number",
            "invoice.nmber",
            33,
            "legs.writeback.with.custom.invoice_number",
            "unknown field invoice.nmber; did you mean invoice.number?",
        ),
        (
            "invoice.number",
            "invoice.undo",
            33,
            "legs.writeback.with.custom.invoice_number",
            "unknown field invoice.undo",
        ),
        (
            "invoice.number",
            "invoice.total",
            33,
            "legs.writeback.with.custom.invoice_number",
            "unknown field invoice.total",
        ),
        (
            "customer.id",
            "writeback.id",
            22,
            "legs.invoice.with.customer_id",
            "reads the leg writeback, which comes later; move it up",
        ),
        ("customer.id", "invoice.id", 22, "legs.invoice.with.customer_id", "the leg invoice reads its own receipt"),
        ("{{ invoice.total", "{{ task.id", 13, "checks.0.that", "reads the leg task, which is not enabled"),
        (
            "{{ invoice.total",
            "{{ invoice.totl",
            13,
            "checks.0.that",
            "unknown field invoice.totl; did you mean invoice.total?",
        ),
        ("{{ invoice.total", "{{ invoce.total", 13, "checks.0.that", "unknown name invoce; did you mean invoice?"),
        (
            '"{{ invoice.total == deal.value }}"',
            "invoice.total == deal.value",
            13,
            "checks.0.that",
            "a check must be one expression",
        ),
        (
            'customer_id: "{{ customer.id }}"',
            "memo: x",
            21,
            "legs.invoice.with",
            "books.invoice.create needs the input customer_id",
        ),
        (
            "discount_percent:",
            "discount_percnt:",
            23,
            "legs.invoice.with.discount_percnt",
            "books.invoice.create has no input discount_percnt; did you mean discount_percent?",
        ),
        (
            "unit_price: ",
            "unitprice: ",
            30,
            "legs.invoice.with.lines.with.unitprice",
            "books.invoice.create, lines has no input unitprice; did you mean unit_price?",
        ),
        (
            "unit_price: ",
            "unitprice: ",
            27,
            "legs.invoice.with.lines.with",
            "books.invoice.create, lines needs the input unit_price",
        ),
        (
            '"{{ product.quantity }}"',
            "abc",
            29,
            "legs.invoice.with.lines.with.quantity",
            "books.invoice.create, lines, quantity must be a number, not 'abc'",
        ),
        (
            '"{{ product.quantity }}"',
            "\"{{ 'a' ~ 1 }}\"",
            29,
            "legs.invoice.with.lines.with.quantity",
            "books.invoice.create, lines, quantity must be a number",
        ),
        (
            '"{{ deal.custom.discount }}"',
            "[1]",
            23,
            "legs.invoice.with.discount_percent",
            "books.invoice.create, discount_percent takes a single value, not a list",
        ),
        (
            '"{{ deal.person.email }}"',
            "{a: 1}",
            18,
            "legs.customer.with.email",
            "books.customer.find_or_create, email takes a single value, not a mapping",
        ),
        (
            'project: "1201"',
            "completed: perhaps",
            38,
            "legs.task.with.completed",
            "books.task.create, completed must be true or false, not 'perhaps'",
        ),
        (
            'project: "1201"',
            "due_date: soon",
            38,
            "legs.task.with.due_date",
            "books.task.create, due_date must be a date such as 2026-01-31, not 'soon'",
        ),
        (
            "product.code }}",
            "product.code | uper }}",
            28,
            "legs.invoice.with.lines.with.sku",
            "unknown filter uper; did you mean upper?",
        ),
        ("{{ product.code", "{{ (product.code", 28, "legs.invoice.with.lines.with.sku", "cannot be read"),
        ("product.code }}", "product.code() }}", 28, "legs.invoice.with.lines.with.sku", "a call is not allowed"),
        (
            "product.quantity }}",
            "product.quantity ** 2 }}",
            29,
            "legs.invoice.with.lines.with.quantity",
            "a power (**) is not allowed",
        ),
        (
            "product.code }}",
            "product.__class__ }}",
            28,
            "legs.invoice.with.lines.with.sku",
            "__class__: names that start",
        ),
        ("as: product", "as: deal", 26, "legs.invoice.with.lines.as", "deal is already the name of a record or leg"),
        (
            '{{ deal.id }}"\n    ignore',
            '{{ deal.title }}"\n    ignore',
            10,
            "key",
            "deal.title is not known when the event arrives; a key may read deal.id",
        ),
        ('{{ deal.id }}"\n    ignore', 'always"\n    ignore', 10, "key", "the key is the same for every event"),
        ("notify: [alerts]", "notify: [alert]", 40, "notify.0", "unknown connection alert; did you mean alerts?"),
        (
            "notify: [alerts]",
            "notify: [crm]",
            40,
            "notify.0",
            "connection crm (acmecrm) cannot notify anyone; these can: alerts",
        ),
        ("first: 2s", "first: 2 sec", 39, "retry.first", "'2 sec' is no duration; write it like 2s"),
        ("first: 2s", "frist: 2s", 39, "retry.frist", "unknown key frist; did you mean first?"),
        ("first: 2s", "first: 1h", 39, "retry", "first is longer than max"),
        ("attempts: 3", "attempts: 3.5", 39, "retry.attempts", ""),
        (
            "notify: [alerts]",
            "zone: Europe/Berln",
            40,
            "zone",
            "unknown time zone Europe/Berln; did you mean Europe/Berlin?",
        ),
        ("notify: [alerts]", "again: hodl", 40, "again", "must be 'hold', 'ignore' or 'allow'"),
        ("notify: [alerts]", "notfy: [alerts]", 40, "notfy", "unknown key notfy; did you mean notify?"),
        ("notify: [alerts]", "notify: alerts", 40, "notify", "must be a list"),
        ("on_failure: skip", "on_failure: skp", 37, "legs.task.on_failure", "must be 'rollback', 'skip' or 'hold'"),
        (
            "on_failure: skip",
            "onfailure: skip",
            37,
            "legs.task.onfailure",
            "unknown key onfailure; did you mean on_failure?",
        ),
        ("on_failure: skip", "with_: {}", 37, "legs.task.with_", "unknown key with_; did you mean with?"),
        (
            "deal.custom.lead_score",
            "deal.custm.lead_score",
            11,
            "ignore.0",
            "unknown field deal.custm; did you mean deal.custom?",
        ),
        (
            "deal.custom.lead_score",
            "deal.products.color",
            11,
            "ignore.0",
            "deal.products is a list, so it has no color",
        ),
        ("deal.custom.lead_score", "deal", 11, "ignore.0", "deal names no field"),
        ("deal.custom.lead_score", "person.custom.*", 11, "ignore.0", "person.custom.* names no field"),
        ("      customer:", "      deal:", 16, "legs.deal", "the leg has the name of the record deal; rename the leg"),
        ("      writeback:", "      write-back:", 31, "legs.write-back", "is no name here; use letters, digits and _"),
        ("say: ", "says: ", 14, "checks.0.says", "unknown key says; did you mean say?"),
        ("say: ", "because: ", 13, "checks.0.say", "say is missing"),
        ("with: {id:", "wiht: {id:", 33, "legs.writeback.wiht", "unknown key wiht; did you mean with?"),
        ("with: {id:", "inputs: {id:", 31, "legs.writeback.with", "crm.deal.update needs the input id"),
        ("flows:", "flow:", 7, "flow", "unknown key flow; did you mean flows?"),
        ("version: 1", "version: 2", 1, "version", "this runtime reads version 1 only"),
    ],
)
def test_a_mistake_is_found_with_its_line_and_the_right_name(
    good: str, env: dict[str, str], registry: Registry, old: str, new: str, line: int, path: str, message: str
) -> None:
    assert old in good
    found = problems(good.replace(old, new, 1), registry, env)
    places = (f"{line}: {path}: {message}", f"{line}: flows.deal-to-invoice.{path}: {message}")
    assert any(problem.startswith(places) for problem in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deal.custom.lead_score", "deal.products.*.custom.*"),
        ("deal.custom.lead_score", "deal.organization.custom.anything"),
        ("deal.custom.lead_score", "deal.discounts"),
        ("deal.custom.lead_score", "deal.products.*.discount_*"),
        ("deal.organization.name", "deal.custom.whatever.below"),
        ("deal.organization.name", "deal.organization.native['Any Thing'].x"),
        ("deal.organization.name", "(deal.products | first).name"),
        ("deal.organization.name", "deal.products[0].custom.x | shout"),
        ("notify: [alerts]", "tables: {t: {a: b}}"),
        ('key: "{{ deal.id }}"', 'key: "deal-{{ deal.id }}"'),
        ("enabled: false", "enabled: true"),
        ("discount_percent: ", "memo: "),
        ("custom: {invoice_number:", "native: {anything:"),
        ("invoice.total == deal.value", "invoice.total == deal.value and invoice.number != none"),
    ],
)
def test_what_is_right_is_not_called_a_mistake(
    good: str, env: dict[str, str], registry: Registry, old: str, new: str
) -> None:
    assert old in good
    assert load(good.replace(old, new, 1), env=env, registry=registry).flows


def test_a_mistake_in_a_disabled_leg_is_found_too(good: str, env: dict[str, str], registry: Registry) -> None:
    found = problems(good.replace("Kick off {{ deal.title", "Kick off {{ deal.titel"), registry, env)
    assert found == [f"38: {LEG}.task.with.name: unknown field deal.titel; did you mean deal.title?"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("legs: {}", "4: flows.f.legs: a flow needs at least one leg"),
        ("legs: [a]", "4: flows.f.legs: a flow needs at least one leg"),
        ("key: x", "2: flows.f: a flow needs at least one leg"),
        ("legs: {a: }", "4: flows.f.legs.a: a leg must be a mapping with do and with"),
        ("legs: {a: {with: {}}}", "4: flows.f.legs.a.do: do is missing"),
        ("name: g", "4: flows.f.name: unknown key name"),
    ],
)
def test_a_flow_without_legs_says_how_to_write_one(registry: Registry, text: str, says: str) -> None:
    found = problems(f"flows:\n  f:\n    when: crm.deal.won\n    {text}\nversion: 1\n", registry, {})
    assert any(line.startswith(says) for line in found), found


def test_what_reads_a_leg_that_is_wrong_itself_is_not_blamed(
    good: str, env: dict[str, str], registry: Registry
) -> None:
    found = problems(good.replace("        do: books.invoice.create\n", ""), registry, env)
    assert found == [f"19: {LEG}.invoice.do: do is missing"]
