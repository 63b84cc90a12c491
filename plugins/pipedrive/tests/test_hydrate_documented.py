"""The deal as it is read from bodies written down from Pipedrive's documentation, not from our simulator."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import Deal, Event, NotFoundError, RejectedError, TransientError, jsonio

INVOICE_NUMBER = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"
INDUSTRY = "dcf558aac1ae4e8c4f849ba5e668430d8df9be12"


def data(value: Any, **more: Any) -> dict[str, Any]:
    return {"success": True, "data": value} | more


def page(rows: list[Any], cursor: str | None = None) -> dict[str, Any]:
    return data(rows, additional_data={"next_cursor": cursor})


def deal_row(**changes: Any) -> dict[str, Any]:
    """`GET /api/v2/deals/{id}`, with what an account without custom fields has."""
    row: dict[str, Any] = jsonio.loads(b"""{
        "id": 1, "title": "Deal Title", "creator_user_id": 1, "owner_id": 1, "value": 200, "person_id": null,
        "org_id": null, "stage_id": 1, "pipeline_id": 1, "currency": "USD", "archive_time": null,
        "add_time": "2021-01-01T00:00:00Z", "update_time": "2021-01-01T00:00:00Z", "stage_change_time": null,
        "status": "won", "is_archived": false, "is_deleted": false, "probability": 90, "lost_reason": null,
        "visible_to": 7, "close_time": "2021-01-01T00:00:00Z", "won_time": "2021-01-01T00:00:00Z",
        "lost_time": null, "local_won_date": "2021-01-01", "expected_close_date": "2021-01-31",
        "label_ids": [1, 2, 3], "origin": "ManuallyCreated", "origin_id": null, "channel": 52,
        "channel_id": "Jun23 Billboards", "acv": 120, "arr": 120, "mrr": 10, "custom_fields": null}""")
    return row | changes


def field_row(code: str, name: str, kind: str, options: Any = None, *, custom: bool = True) -> dict[str, Any]:
    row = {"field_name": name, "field_code": code, "description": "", "field_type": kind, "options": options}
    return row | {"is_custom_field": custom, "is_optional_response_field": False, "subfields": None}


LINE = {
    "id": 3, "sum": 90, "tax": 0, "deal_id": 1, "name": "Mechanical Pencil", "product_id": 1,
    "product_variation_id": None, "order_nr": 50, "comments": "", "currency": "USD", "discount": 0, "quantity": 1,
    "item_price": 90, "tax_method": "inclusive", "discount_type": "percentage", "is_enabled": True,
    "billing_frequency": "one-time", "billing_frequency_cycles": None, "billing_start_date": "2019-12-19",
}  # fmt: skip
PRODUCT = {"id": 1, "name": "Mechanical Pencil", "code": "MPENCIL", "description": "Product description", "tax": 0}
ORGANIZATION: dict[str, Any] = {
    "id": 1, "name": "Organization Name", "is_deleted": False, "custom_fields": {},
    "address": {
        "value": "123 Main St", "country": "USA", "admin_area_level_1": "CA", "admin_area_level_2": "Santa Clara",
        "locality": "Sunnyvale", "route": "Main St", "street_number": "123", "postal_code": "94085",
    },
}  # fmt: skip
PERSON: dict[str, Any] = {
    "id": 1, "name": "Person Name", "custom_fields": {},
    "emails": [
        {"value": "email1@email.com", "primary": False, "label": "home"},
        {"value": "email2@email.com", "primary": True, "label": "work"},
    ],
    "phones": [{"value": "", "primary": True, "label": "work"}, {"value": "54321", "primary": False, "label": "home"}],
}  # fmt: skip


def account(**deal: Any) -> dict[str, Any]:
    """The answers of an account with one deal and no custom fields."""
    return {
        "GET /api/v2/deals/1": data(deal_row(**deal)),
        "GET /api/v2/deals/1/products": page([]),
        "GET /api/v2/deals/1/discounts": data([]),
        "GET /api/v2/dealFields": page([field_row("title", "Title", "varchar", custom=False)]),
        "GET /api/v2/organizations/1": data(ORGANIZATION),
        "GET /api/v2/persons/1": data(PERSON),
        "GET /api/v2/products/1": data(PRODUCT),
    }


EVENT = Event("deal.won", "deal.won:1:x", "1", {"deal": {"id": "1"}})


async def hydrated(fake: Any, answers: dict[str, Any]) -> Deal:
    _, connection = await fake(answers)
    deal = (await PipedriveSource(connection).hydrate(EVENT))["deal"]
    assert isinstance(deal, Deal)
    return deal


async def test_a_deal_of_an_account_without_custom_fields(fake: Any) -> None:
    deal = await hydrated(fake, account())
    assert (deal.id, deal.value, deal.custom, deal.products) == ("1", Decimal(200), {}, ())
    assert (deal.owner_id, deal.pipeline_id, deal.stage_id) == ("1", "1", "1")
    assert deal.close_date == date(2021, 1, 31)
    assert deal.won_at == datetime(2021, 1, 1, tzinfo=UTC)
    assert deal.native["mrr"] == 10


async def test_organization_person_and_line_of_the_references_examples(fake: Any) -> None:
    deal = await hydrated(fake, account(org_id=1, person_id=1) | {"GET /api/v2/deals/1/products": page([LINE])})
    assert deal.organization is not None
    assert deal.organization.address is not None
    assert deal.organization.address.model_dump(exclude={"native", "custom"}) == {
        "line1": "123 Main St",
        "line2": None,
        "city": "Sunnyvale",
        "region": "CA",
        "postal_code": "94085",
        "country": "USA",
    }
    assert deal.organization.custom == {}
    assert deal.person is not None
    assert (deal.person.email, deal.person.phone) == ("email2@email.com", "54321")
    [line] = deal.products
    assert (line.id, line.product_id, line.code, line.description) == ("3", "1", "MPENCIL", "Product description")
    assert (line.tax_method, line.tax_percent, line.total) == ("inclusive", Decimal(0), Decimal(90))


async def test_links_as_v1_embeds_them_are_understood(fake: Any) -> None:
    v1_person = {"id": 1, "name": "P", "email": [{"value": "a@b.example", "primary": True}], "phone": "555"}
    answers = account(org_id={"value": 1, "name": "Organization Name"}, person_id={"value": 1})
    deal = await hydrated(fake, answers | {"GET /api/v2/persons/1": data(v1_person)})
    assert deal.organization is not None
    assert deal.person is not None
    assert (deal.organization.id, deal.person.email, deal.person.phone) == ("1", "a@b.example", "555")


async def test_a_house_number_after_the_street_stays_there(fake: Any) -> None:
    address = {"value": "Lindenweg 7, 80331 München", "route": "Lindenweg", "street_number": "7", "locality": "München"}
    answers = account(org_id=1) | {"GET /api/v2/organizations/1": data(ORGANIZATION | {"address": address})}
    deal = await hydrated(fake, answers)
    assert deal.organization is not None
    assert deal.organization.address is not None
    assert deal.organization.address.line1 == "Lindenweg 7"


@pytest.mark.parametrize("address", [None, "", {}, {"value": None, "country": None}])
async def test_no_address_is_none(fake: Any, address: Any) -> None:
    answers = account(org_id=1) | {"GET /api/v2/organizations/1": data(ORGANIZATION | {"address": address})}
    deal = await hydrated(fake, answers)
    assert deal.organization is not None
    assert deal.organization.address is None


async def test_numbers_stay_exact(fake: Any) -> None:
    answers = account(value=Decimal("30.30"))
    answers["GET /api/v2/deals/1/products"] = page(
        [LINE | {"item_price": Decimal("10.10"), "quantity": 3, "discount": Decimal("0.1"), "sum": Decimal("30.27")}]
    )
    deal = await hydrated(fake, answers)
    [line] = deal.products
    assert deal.value == Decimal("30.30")
    assert (line.unit_price, line.discount_percent, line.total) == (Decimal("10.10"), Decimal("0.1"), Decimal("30.27"))
    assert all(type(number) is Decimal for number in (deal.value, line.quantity, line.unit_price))


async def test_enum_and_set_options_become_labels(fake: Any) -> None:
    answers = account(custom_fields={INDUSTRY: 32, INVOICE_NUMBER: [41, 42]})
    answers["GET /api/v2/dealFields"] = page(
        [
            field_row(INDUSTRY, "Industry", "enum", [{"id": 31, "label": "Retail"}, {"id": 32, "label": "Health"}]),
            field_row(INVOICE_NUMBER, "Add-ons", "set", [{"id": 41, "label": "SSO"}, {"id": 42, "label": "Audit"}]),
        ]
    )
    assert (await hydrated(fake, answers)).custom == {"industry": "Health", "add_ons": ["SSO", "Audit"]}


async def test_pages_are_followed_by_their_cursor(fake: Any) -> None:
    answers = account() | {
        "GET /api/v2/deals/1/products": [page([LINE], "eyJpZCI6N30="), page([LINE | {"id": 4, "order_nr": 10}])]
    }
    server, connection = await fake(answers)
    deal = (await PipedriveSource(connection).hydrate(EVENT))["deal"]
    assert isinstance(deal, Deal)
    assert [line.id for line in deal.products] == ["4", "3"]
    asked = [path for _, path, _ in server.asked if "/deals/1/products" in path]
    assert asked == [
        "/api/v2/deals/1/products?limit=500",
        "/api/v2/deals/1/products?limit=500&cursor=eyJpZCI6N30%3D",
    ]


async def test_a_cursor_that_stands_still_ends_in_an_error(fake: Any) -> None:
    answers = account() | {"GET /api/v2/deals/1/products": page([LINE], "same")}
    with pytest.raises(TransientError, match="next_cursor"):
        await hydrated(fake, answers)


async def test_a_value_in_a_field_that_nobody_defines_is_loud(fake: Any) -> None:
    answers = account(custom_fields={INVOICE_NUMBER: "INV-1"})
    with pytest.raises(RejectedError, match=INVOICE_NUMBER) as caught:
        await hydrated(fake, answers)
    assert caught.value.field == INVOICE_NUMBER


async def test_an_option_that_nobody_defines_is_loud(fake: Any) -> None:
    answers = account(custom_fields={INDUSTRY: 99})
    answers["GET /api/v2/dealFields"] = page([field_row(INDUSTRY, "Industry", "enum", [{"id": 31, "label": "Retail"}])])
    with pytest.raises(RejectedError, match="option 99 of industry"):
        await hydrated(fake, answers)


async def test_an_unset_field_that_nobody_defines_is_no_loss(fake: Any) -> None:
    assert (await hydrated(fake, account(custom_fields={INVOICE_NUMBER: None}))).custom == {}


@pytest.mark.parametrize("changes", [{"is_deleted": True}, {"status": "deleted"}])
async def test_a_deal_in_the_bin_is_not_found(fake: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="deleted"):
        await hydrated(fake, account(**changes))


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("GET /api/v2/deals/1", {"success": True}),
        ("GET /api/v2/deals/1", {"success": True, "data": None}),
        ("GET /api/v2/deals/1", data([deal_row()])),
        ("GET /api/v2/deals/1", data(deal_row(custom_fields=["x"]))),
        ("GET /api/v2/deals/1", data(deal_row(value=None))),
        ("GET /api/v2/deals/1", data(deal_row(title=None))),
        ("GET /api/v2/deals/1", data(deal_row(won_time="soon"))),
        ("GET /api/v2/deals/1", data(deal_row(org_id=[1]))),
        ("GET /api/v2/deals/1", data(deal_row(owner_id=True))),
        ("GET /api/v2/deals/1", {"success": False, "error": "something"}),
        ("GET /api/v2/deals/1/products", data({"rows": []})),
        ("GET /api/v2/deals/1/products", page([{"id": 3}])),
        ("GET /api/v2/deals/1/products", page([LINE | {"product_id": None}])),
        ("GET /api/v2/deals/1/products", page([LINE | {"item_price": "free"}])),
        ("GET /api/v2/deals/1/products", data([], additional_data=["next"])),
        ("GET /api/v2/deals/1/discounts", data([{"id": "d", "type": "gift", "amount": 1}])),
        ("GET /api/v2/deals/1/discounts", data([{"id": "d", "type": "amount"}])),
        ("GET /api/v2/dealFields", page([{"field_name": "Title"}])),
        ("GET /api/v2/dealFields", page([field_row(INDUSTRY, "I", "enum", [31])])),
        ("GET /api/v2/products/1", data("MPENCIL")),
        ("GET /api/v2/organizations/1", data({"id": 1})),
        ("GET /api/v2/persons/1", data(PERSON | {"emails": ["a@b.example"]})),
        ("GET /api/v2/persons/1", data(PERSON | {"emails": {"value": "a@b.example"}})),
    ],
)
async def test_a_reply_that_is_not_as_documented_is_never_a_deal(fake: Any, key: str, body: Any) -> None:
    answers = account(org_id=1, person_id=1) | {"GET /api/v2/deals/1/products": page([LINE])} | {key: body}
    with pytest.raises(TransientError):
        await hydrated(fake, answers)


@pytest.mark.parametrize(
    ("kind", "value"), [("set", 31), ("double", "twelve"), ("double", True), ("monetary", {"value": "much"})]
)
async def test_a_custom_value_of_another_shape_is_never_taken(fake: Any, kind: str, value: Any) -> None:
    answers = account(custom_fields={INDUSTRY: value})
    answers["GET /api/v2/dealFields"] = page([field_row(INDUSTRY, "Industry", kind)])
    with pytest.raises(TransientError):
        await hydrated(fake, answers)


async def test_fields_with_one_readable_name_are_told_apart(fake: Any) -> None:
    answers = account(custom_fields={INDUSTRY: "a", INVOICE_NUMBER: "b"})
    answers["GET /api/v2/dealFields"] = page(
        [field_row(INDUSTRY, "PO number", "varchar"), field_row(INVOICE_NUMBER, "PO-number", "varchar")]
    )
    assert (await hydrated(fake, answers)).custom == {"po_number_dcf558": "a", "po_number_9dc80c": "b"}


async def test_the_shared_api_host_gives_no_deep_links(connect: Any) -> None:
    connection = await connect("https://api.pipedrive.com")
    assert connection.url("deal", "1") is None
