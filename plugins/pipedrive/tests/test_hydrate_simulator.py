"""The deal as it is read from the simulator."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import Deal, Event, EventVoid, NotFoundError, RejectedError, TransientError
from crossdock_sdk.testing import Fault

ACME: dict[str, Any] = {
    "title": "Acme renewal",
    "currency": "EUR",
    "custom": {"Discount": Decimal("12.5"), "industry": "services"},
    "organization": {"name": "Acme SA", "address": "Rue Haute 1, 1000 Bruxelles"},
    "person": {"name": "Zoé Martin", "email": "zoe@acme.example", "phone": "+32 2 555 01 00"},
    "products": [
        {"code": "CONSULT-DAY", "name": "Consulting day", "quantity": Decimal("2.5"), "unit_price": Decimal("1200.10")},
        {"code": "SETUP", "quantity": 1, "unit_price": 450, "discount_amount": 50},
        {"code": "LICENSE-YR", "quantity": 3, "unit_price": Decimal("99.99"), "discount_percent": 10},
        {"code": "OLD", "quantity": 9, "unit_price": 9, "enabled": False},
    ],
    "discounts": [{"percent": 5, "description": "loyalty"}, {"amount": 20}],
}


async def won(simulator: PipedriveSimulator, body: dict[str, Any]) -> Event:
    deal = (await simulator.trigger("deal.won", body))["deal"]
    subject = str(deal["id"])
    return Event("deal.won", f"deal.won:{subject}:x", subject, {"deal": {"id": subject}})


async def hydrated(connection: PipedriveConnection, event: Event) -> Deal:
    deal = (await PipedriveSource(connection).hydrate(event))["deal"]
    assert isinstance(deal, Deal)
    return deal


async def test_a_won_deal_comes_with_all_its_parts(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await hydrated(connection, await won(simulator, ACME))
    assert (deal.title, deal.status, deal.currency) == ("Acme renewal", "won", "EUR")
    assert deal.won_at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert deal.url == f"{connection.config.base_url}/deal/{deal.id}"
    assert deal.organization is not None
    assert deal.organization.name == "Acme SA"
    assert deal.organization.address is not None
    assert deal.organization.address.line1 == "Rue Haute 1, 1000 Bruxelles"
    assert deal.person is not None
    assert (deal.person.email, deal.person.phone) == ("zoe@acme.example", "+32 2 555 01 00")
    assert deal.native["id"] == int(deal.id)


async def test_lines_carry_sku_price_and_discount_and_disabled_ones_are_left_out(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await hydrated(connection, await won(simulator, ACME))
    assert [line.code for line in deal.products] == ["CONSULT-DAY", "SETUP", "LICENSE-YR"]
    consulting, setup, licence = deal.products
    assert (consulting.quantity, consulting.unit_price) == (Decimal("2.5"), Decimal("1200.10"))
    assert (consulting.discount_percent, consulting.discount_amount) == (Decimal(0), None)
    assert (setup.discount_percent, setup.discount_amount) == (None, Decimal(50))
    assert (licence.discount_percent, licence.total) == (Decimal(10), Decimal("269.97"))
    assert licence.native["product"]["code"] == "LICENSE-YR"


async def test_the_value_is_what_lines_and_discounts_come_to(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await hydrated(connection, await won(simulator, ACME))
    lines = Decimal("3000.25") + 400 + Decimal("269.97")
    assert deal.value == lines - Decimal("183.51") - 20
    assert [(one.percent, one.amount, one.description) for one in deal.discounts] == [
        (Decimal(5), None, "loyalty"),
        (None, Decimal(20), "20 amount"),
    ]


async def test_every_defined_custom_field_has_its_key(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await hydrated(connection, await won(simulator, ACME))
    assert deal.custom == {
        "discount": Decimal("12.5"),
        "industry": "Services",
        "invoice_number": None,
        "invoice_status": None,
        "lead_score": None,
    }


async def test_organizations_and_persons_have_their_own_custom_fields(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    await simulator.trigger("field.create", {"name": "VAT number", "type": "varchar", "kind": "organization"})
    await simulator.trigger(
        "field.create", {"name": "Roles", "type": "set", "kind": "person", "options": ["Buyer", "Payer"]}
    )
    told = ACME | {
        "organization": {"name": "Beta NV", "custom": {"VAT number": "BE0123"}},
        "person": {"name": "Jan", "custom": {"roles": ["buyer", "Payer"]}},
    }
    deal = await hydrated(connection, await won(simulator, told))
    assert deal.organization is not None
    assert deal.person is not None
    assert deal.organization.custom == {"vat_number": "BE0123"}
    assert deal.person.custom == {"roles": ["Buyer", "Payer"]}


async def test_custom_fields_of_every_type_are_read(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    values: dict[str, tuple[str, Any, Any]] = {
        "po": ("varchar", "4711", "4711"),
        "seats": ("int", 12, Decimal(12)),
        "budget": ("monetary", Decimal("99.50"), {"value": Decimal("99.5"), "currency": "EUR"}),
        "starts": ("date", date(2027, 1, 31), "2027-01-31"),
        "term": ("daterange", {"value": "2027-01-01", "until": "2027-12-31"}, None),
        "site": ("address", "Hoofdstraat 1", {"value": "Hoofdstraat 1"}),
        "manager": ("user", "17", "17"),
    }
    for name, (kind, _, _) in values.items():
        await simulator.trigger("field.create", {"name": name, "type": kind})
    given = {name: value for name, (_, value, _) in values.items()}
    deal = await hydrated(connection, await won(simulator, {"title": "All types", "custom": given}))
    expected = {name: (value if read is None else read) for name, (_, value, read) in values.items()}
    assert {name: deal.custom[name] for name in values} == expected


async def test_a_deal_with_nothing_but_a_title_is_fine(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    deal = await hydrated(connection, await won(simulator, {"title": "Bare", "value": Decimal("10.10")}))
    assert (deal.organization, deal.person, deal.products, deal.discounts) == (None, None, (), ())
    assert deal.value == Decimal("10.10")


async def test_each_product_is_read_once_and_definitions_are_kept(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    line = {"code": "SETUP", "quantity": 1, "unit_price": 1}
    event = await won(simulator, {"title": "Thrice", "products": [line, line, line]})
    assert len((await hydrated(connection, event)).products) == 3
    await hydrated(connection, event)
    asked = [entry["path"] for entry in simulator.requests]
    assert sum(path.startswith("/api/v2/products/") for path in asked) == 2
    assert asked.count("/api/v2/dealFields") == 1


async def test_definitions_are_read_again_when_they_are_old(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    event = await won(simulator, {"title": "Later"})
    assert "po" not in (await hydrated(connection, event)).custom
    await simulator.trigger("field.create", {"name": "PO", "type": "varchar"})
    clock.forward(minutes=6)
    assert (await hydrated(connection, event)).custom["po"] is None


async def test_a_field_defined_a_moment_ago_is_found(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    await hydrated(connection, await won(simulator, {"title": "Before"}))
    await simulator.trigger("field.create", {"name": "PO", "type": "varchar"})
    deal = await hydrated(connection, await won(simulator, {"title": "After", "custom": {"PO": "77"}}))
    assert deal.custom["po"] == "77"


async def test_more_lines_than_one_page_are_all_read(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    lines = [{"code": "SETUP", "quantity": number, "unit_price": 1} for number in range(1, 1202)]
    deal = await hydrated(connection, await won(simulator, {"title": "Long", "products": lines}))
    assert [line.quantity for line in deal.products] == list(range(1, 1202))
    assert sum(entry["path"].endswith("/products") for entry in simulator.requests) == 3


@pytest.mark.parametrize(("happened", "said"), [("deal.reopened", "is open again"), ("deal.lost", "is lost by now")])
async def test_a_deal_that_is_no_longer_won_voids_the_event_before_more_is_read(
    simulator: PipedriveSimulator, connection: PipedriveConnection, happened: str, said: str
) -> None:
    event = await won(simulator, ACME)
    await simulator.trigger(happened, {"id": event.subject})
    with pytest.raises(EventVoid, match=f"the event no longer holds: deal {event.subject} {said}"):
        await hydrated(connection, event)
    assert len(simulator.requests) == 1


async def test_a_delivery_of_a_deal_that_is_reopened_before_it_is_read_is_void(
    simulator: PipedriveSimulator, connection: PipedriveConnection, listener: Any
) -> None:
    deal = (await simulator.trigger("deal.won", ACME))["deal"]
    await simulator.settle()
    [event] = [event for events in listener.events(connection) for event in events]
    await simulator.trigger("deal.reopened", {"id": str(deal["id"])})
    with pytest.raises(EventVoid):
        await hydrated(connection, event)


async def test_a_preview_of_an_open_deal_is_read_for_no_delivery_called_it_won(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    assert (await hydrated(connection, Event("deal.won", "plan:1", "1", {"deal": {"id": "1"}}))).status == "open"


async def test_a_deal_that_is_won_again_is_read(simulator: PipedriveSimulator, connection: PipedriveConnection) -> None:
    event = await won(simulator, ACME)
    await simulator.trigger("deal.reopened", {"id": event.subject})
    await simulator.trigger("deal.won", {"id": event.subject})
    assert (await hydrated(connection, event)).status == "won"


async def test_a_deleted_deal_is_not_found(simulator: PipedriveSimulator, connection: PipedriveConnection) -> None:
    event = await won(simulator, {"title": "Gone"})
    await simulator.trigger("deal.deleted", {"id": event.subject})
    with pytest.raises(NotFoundError):
        await hydrated(connection, event)


async def test_a_deal_purged_from_the_bin_is_not_found(
    simulator: PipedriveSimulator, connection: PipedriveConnection, clock: Any
) -> None:
    event = await won(simulator, {"title": "Gone"})
    await simulator.trigger("deal.deleted", {"id": event.subject})
    clock.forward(days=31)
    with pytest.raises(NotFoundError) as caught:
        await hydrated(connection, event)
    assert caught.value.status == 410


@pytest.mark.parametrize("path", ["/api/v2/organizations/*", "/api/v2/persons/*", "/api/v2/products/*"])
async def test_a_linked_record_that_is_gone_does_not_look_like_a_gone_deal(
    simulator: PipedriveSimulator, connection: PipedriveConnection, path: str
) -> None:
    event = await won(simulator, ACME)
    simulator.faults.append(Fault(kind="status", status=404, path=path, times=None))
    with pytest.raises(RejectedError) as caught:
        await hydrated(connection, event)
    assert not isinstance(caught.value, NotFoundError)
    assert caught.value.field == path.split("/")[3].removesuffix("s")


@pytest.mark.parametrize("path", ["/api/v2/deals/*/discounts", "/api/v2/deals/*/products"])
async def test_discounts_or_lines_that_cannot_be_read_are_never_taken_for_none(
    simulator: PipedriveSimulator, connection: PipedriveConnection, path: str
) -> None:
    event = await won(simulator, ACME)
    simulator.faults.append(Fault(kind="status", status=404, path=path))
    with pytest.raises(RejectedError, match="cannot be read") as caught:
        await hydrated(connection, event)
    assert not isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("kind", ["garbage", "truncate"])
@pytest.mark.parametrize("path", ["/api/v2/deals/?", "*/products", "*/discounts", "*/dealFields", "*/products/*"])
async def test_half_a_reply_is_worth_another_try(
    simulator: PipedriveSimulator, connection: PipedriveConnection, kind: Any, path: str
) -> None:
    event = await won(simulator, ACME)
    simulator.faults.append(Fault(kind=kind, path=path, times=None))
    with pytest.raises(TransientError):
        await hydrated(connection, event)


async def test_one_failure_stops_the_other_reads(
    simulator: PipedriveSimulator, connection: PipedriveConnection
) -> None:
    event = await won(simulator, ACME)
    simulator.faults.append(Fault(kind="latency", seconds=30, path="/api/v2/persons/*"))
    simulator.faults.append(Fault(kind="status", status=400, path="*/discounts"))
    with pytest.raises(RejectedError):
        await hydrated(connection, event)
