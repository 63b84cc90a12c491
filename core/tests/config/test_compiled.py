"""A compiled flow: the same from the file and from a stored plan; its mapping document; its schema."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock.config.compiled import compile_flow
from crossdock.config.load import load
from crossdock.config.models import Flow
from crossdock.config.schema import routing_schema
from crossdock.mapping import ExpressionError, Pending
from crossdock.mapping.document import rows
from crossdock.plugins import Registry, load_plugins
from crossdock_sdk import jsonio

CONNECTORS = {"crm": "acmecrm", "books": "acmebooks", "alerts": "pager"}
DEAL: dict[str, Any] = {
    "id": "812",
    "title": "T",
    "value": Decimal("30.30"),
    "organization": {"name": "Acme"},
    "person": {"email": None},
    "custom": {"discount": 0},
    "products": [{"code": "A", "quantity": 3, "unit_price": Decimal("10.10")}],
}


def test_a_stored_plan_compiles_to_the_same_flow(good: str, env: dict[str, str], registry: Registry) -> None:
    loaded = load(good, env=env, registry=registry).flows["deal-to-invoice"]
    stored = jsonio.loads(jsonio.dumps(loaded.flow.to_plan()))
    again = compile_flow(Flow.from_plan(stored), registry, CONNECTORS)
    assert again.reads == loaded.reads
    scope = {"deal": DEAL, "customer": {"id": "7"}}
    for flow in (loaded, again):
        assert flow.legs["invoice"].template.evaluate(scope) == {
            "customer_id": "7",
            "discount_percent": 0,
            "lines": [{"sku": "A", "quantity": 3, "unit_price": Decimal("10.10")}],
        }
    planned = {"deal": DEAL, "invoice": Pending({"total": Decimal("30.30")}, after="invoice")}
    assert again.checks[0].template.evaluate(planned) is True
    assert again.key is not None
    assert again.key.evaluate({"deal": {"id": "812"}}) == "812"


def test_a_leg_whose_connector_is_gone_compiles_without_an_action(
    good: str, env: dict[str, str], registry: Registry
) -> None:
    flow = load(good, env=env, registry=registry).flows["deal-to-invoice"].flow
    bare = compile_flow(flow, load_plugins(entry_points=[]), CONNECTORS)
    assert [leg.action_class for leg in bare.legs.values()] == [None] * 4


def test_a_plan_with_a_filter_that_is_gone_is_refused(registry: Registry) -> None:
    plan = {"name": "f", "when": "crm.deal.won", "legs": {"a": {"do": "x.y", "with": {"n": "{{ 'a' | shout }}"}}}}
    flow = Flow.from_plan(plan)
    assert compile_flow(flow, registry, {}).legs["a"].template.evaluate({}) == {"n": "a!"}
    with pytest.raises(ExpressionError, match=r"a\.n: unknown filter shout"):
        compile_flow(flow, load_plugins(entry_points=[]), {})


def test_the_mapping_document_has_a_row_per_target_field(good: str, env: dict[str, str], registry: Registry) -> None:
    text = good.replace("product.code }}", "product.code | upper }}")
    table = {row.target: row for row in rows(load(text, env=env, registry=registry).flows["deal-to-invoice"])}
    assert list(table) == [
        "customer.name",
        "customer.email",
        "invoice.customer_id",
        "invoice.discount_percent",
        "invoice.lines",
        "invoice.lines.*.sku",
        "invoice.lines.*.quantity",
        "invoice.lines.*.unit_price",
        "writeback.id",
        "writeback.custom.invoice_number",
        "task.name",
        "task.project",
        "task.notes",
    ]
    sku = table["invoice.lines.*.sku"]
    assert (sku.source, sku.reads, sku.filters) == ("{{ product.code | upper }}", ("deal.products.*.code",), ("upper",))
    assert (sku.leg, sku.action, sku.enabled) == ("invoice", "books.invoice.create", True)
    assert not table["task.name"].enabled


def test_the_schema_describes_the_file_as_people_write_it(registry: Registry) -> None:
    schema = routing_schema(registry)
    assert set(schema["properties"]) == {"version", "connections", "flows", "retention"}
    flow, leg = schema["$defs"]["Flow"], schema["$defs"]["Leg"]
    assert flow["properties"]["legs"]["additionalProperties"] == {"$ref": "#/$defs/Leg"}
    assert set(flow["required"]) == {"when", "legs"}
    assert set(leg["properties"]) == {"do", "enabled", "with", "on_failure"}
    assert schema["$defs"]["ConnectionEntry"]["properties"]["connector"]["enum"] == sorted(registry.connections)
    assert all("description" in p for p in leg["properties"].values())
    assert jsonio.dumps(schema)
