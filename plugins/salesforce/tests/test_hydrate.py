"""The deal as mappings see it: by the names that Pipedrive's has, so that one mapping serves both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_salesforce.source import SalesforceSource, event_id
from crossdock_sdk import Deal, Event, RejectedError, TransientError
from crossdock_sdk.testing import serve

Connect = Callable[..., Awaitable[SalesforceConnection]]


async def hydrated(connection: SalesforceConnection, deal: str) -> Deal:
    event = Event("deal.won", "made up by plan", deal, {"deal": {"id": deal}})
    found = (await SalesforceSource(connection).hydrate(event))["deal"]
    assert isinstance(found, Deal)
    return found


async def test_the_seeded_deal_has_what_the_mapping_for_pipedrive_reads(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    found = await hydrated(connection, deal)
    assert (found.title, found.status, found.value, found.currency) == (
        "Fernhill rollout",
        "won",
        Decimal("9243.0"),
        "EUR",
    )
    assert found.won_at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert found.close_date == date(2026, 12, 31)
    assert found.custom == {
        "discount": Decimal(10),
        "lead_score": Decimal(72),
        "industry": "Manufacturing",
        "invoice_number": None,
        "invoice_status": None,
    }
    assert found.organization is not None
    assert found.person is not None
    assert (found.organization.name, found.person.name) == ("Fernhill Instruments GmbH", "Ines Falk")
    assert (found.person.email, found.person.phone) == ("ines.falk@fernhill.example", "+49 89 5550100")
    address = found.organization.address
    assert address is not None
    parts = (address.line1, address.line2, address.city, address.region, address.postal_code, address.country)
    assert parts == ("Lindenweg 7", None, "München", "Bayern", "80331", "Germany")
    assert found.url == f"{connection.config.base_url}/{deal}"


async def test_lines_are_exact_in_their_order_and_carry_the_products_code(
    connection: SalesforceConnection, deal: str
) -> None:
    lines = (await hydrated(connection, deal)).products
    assert [(line.code, line.name, line.quantity, line.unit_price) for line in lines] == [
        ("CONSULT-DAY", "Consulting day", Decimal(3), Decimal(1200)),
        ("LICENSE-YR", "Licence, one year", Decimal(5), Decimal(1188)),
    ]
    assert [(line.discount_percent, line.discount_amount, line.total) for line in lines] == [
        (None, None, Decimal(3600)),
        (Decimal(5), None, Decimal("5643.0")),
    ]
    assert {type(line.total) for line in lines} == {Decimal}


async def test_a_deal_is_one_query_once_the_objects_are_described(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str
) -> None:
    await simulator.trigger("deal.won", {"id": deal})
    await hydrated(connection, deal)
    simulator.requests.clear()
    await hydrated(connection, deal)
    assert [entry["path"] for entry in simulator.requests] == ["/services/data/v66.0/query"]


async def test_fields_that_fit_into_no_one_query_are_asked_for_in_further_ones(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await hydrated(connection, deal)
    monkeypatch.setattr("crossdock_salesforce.reading._LONGEST", 60)
    await simulator.trigger("field.create", {"name": "VAT id", "object": "Account"})
    simulator.org.live("Account")[0]["VAT_id__c"] = "DE 1"
    connection.fields.forget()
    simulator.requests.clear()
    found = await hydrated(connection, deal)
    assert found.custom == whole.custom
    assert found.organization is not None
    assert found.organization.custom == {"vat_id": "DE 1"}
    assert sum(entry["path"].endswith("/query") for entry in simulator.requests) > 2


async def test_custom_fields_of_accounts_contacts_and_lines_are_not_lost(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    for name, where in (("VAT id", "Account"), ("Job", "Contact"), ("Free months", "OpportunityLineItem")):
        await simulator.trigger("field.create", {"name": name, "object": where})
    organization = {"name": "Acme", "custom": {"VAT id": "DE 1"}}
    person = {"name": "Ann Lee", "custom": {"Job": "CFO"}}
    lines = [{"code": "SETUP", "quantity": 1, "unit_price": 450}]
    told = {"title": "Acme", "organization": organization, "person": person, "products": lines}
    made = (await simulator.trigger("deal.won", told))["deal"]["id"]
    simulator.org.lines(made)[0]["Free_months__c"] = "3"
    found = await hydrated(connection, made)
    assert found.organization is not None
    assert found.person is not None
    assert found.organization.custom == {"vat_id": "DE 1"}
    assert found.person.custom == {"job": "CFO"}
    assert found.products[0].custom == {"free_months": "3"}


@pytest.mark.parametrize(
    ("field", "raw", "read"),
    [
        ({"type": "multipicklist", "options": ["Base", "Pro"]}, "Base;Pro", ["Base", "Pro"]),
        ({"type": "boolean"}, True, True),
        ({"type": "boolean"}, False, None),
        ({"type": "currency"}, Decimal("0.1"), Decimal("0.1")),
        ({"type": "date"}, "2026-12-01", "2026-12-01"),
        ({"type": "datetime"}, "2026-12-01T08:00:00.000+0000", "2026-12-01T08:00:00+00:00"),
        ({"type": "string"}, None, None),
    ],
)
async def test_values_come_in_the_form_of_their_type(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str, field: Any, raw: Any, read: Any
) -> None:
    await simulator.trigger("field.create", {"name": "Extra"} | field)
    simulator.org.row("Opportunity", deal)["Extra__c"] = raw
    assert (await hydrated(connection, deal)).custom["extra"] == read


async def test_picklist_values_come_by_their_labels(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str
) -> None:
    described = simulator.org.objects["Opportunity"].describe
    industry = next(row for row in described()["fields"] if row["name"] == "Industry__c")
    industry["picklistValues"][0]["label"] = "Industrie"
    fields = [row for row in described()["fields"] if row["name"] != "Industry__c"] + [industry]
    simulator.org.objects["Opportunity"].describe = lambda: {"fields": fields}  # type: ignore[method-assign]
    assert (await hydrated(connection, deal)).custom["industry"] == "Industrie"


@pytest.mark.parametrize(
    ("roles", "chosen"),
    [
        ([("A", False), ("B", True)], "B"),
        ([("A", False)], "A"),
        ([("A", False), ("B", False)], None),
        ([], None),
    ],
)
async def test_the_person_is_the_primary_contact_or_the_only_one(
    simulator: SalesforceSimulator, connection: SalesforceConnection, roles: Any, chosen: str | None
) -> None:
    made = (await simulator.trigger("opportunity.create", {"title": "T"}))["deal"]["id"]
    for name, primary in roles:
        contact = simulator.org.insert("Contact", {"LastName": name})["Id"]
        role = {"OpportunityId": made, "ContactId": contact, "IsPrimary": primary}
        simulator.org.insert("OpportunityContactRole", role)
    found = (await hydrated(connection, made)).person
    assert (found.name if found else None) == chosen


async def test_an_org_with_one_currency_has_it_from_the_settings(
    clock: Any, stack: AsyncExitStack, connect: Connect
) -> None:
    simulator = SalesforceSimulator(clock=clock, multicurrency=False)
    simulator.seed()
    url = await stack.enter_async_context(serve(simulator))
    deal = simulator.org.live("Opportunity")[0]["Id"]
    for given, currency in (({}, None), ({"currency": "CHF"}, "CHF")):
        assert (await hydrated(await connect(simulator.settings(url) | given), deal)).currency == currency


async def test_a_deal_without_anything_is_read_too(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    made = (await simulator.trigger("opportunity.create", {"title": "Bare"}))["deal"]["id"]
    found = await hydrated(connection, made)
    assert (found.status, found.value, found.won_at, found.organization, found.person, found.products) == (
        "open",
        Decimal(0),
        None,
        None,
        None,
        (),
    )


async def test_a_discount_that_the_user_may_not_see_is_refused_not_left_out(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str
) -> None:
    del simulator.org.objects["OpportunityLineItem"].fields["Discount"]
    with pytest.raises(RejectedError, match=r"No such column 'Discount'.*field-level security") as caught:
        await hydrated(connection, deal)
    assert caught.value.code == "INVALID_FIELD"


async def test_a_field_that_was_removed_since_it_was_described_is_described_anew(
    simulator: SalesforceSimulator, connection: SalesforceConnection, deal: str
) -> None:
    await hydrated(connection, deal)
    del simulator.org.objects["Opportunity"].fields["Lead_score__c"]
    with pytest.raises(RejectedError):
        await hydrated(connection, deal)
    assert "lead_score" not in (await hydrated(connection, deal)).custom


async def test_more_lines_than_one_page_holds_are_all_read(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    simulator.queries.batch = 2
    lines = [{"code": "SETUP", "quantity": number, "unit_price": 1} for number in range(1, 6)]
    made = (await simulator.trigger("deal.won", {"title": "Long", "products": lines}))["deal"]["id"]
    found = await hydrated(connection, made)
    assert [line.quantity for line in found.products] == [1, 2, 3, 4, 5]
    assert found.value == 15


@pytest.mark.parametrize("told", ["not an id", "0065g00000AAAA/x", "' OR Id != '"])
async def test_an_id_that_is_none_is_refused_without_a_query(
    simulator: SalesforceSimulator, connection: SalesforceConnection, told: str
) -> None:
    with pytest.raises(RejectedError, match="not a Salesforce id"):
        await hydrated(connection, told)
    assert not any("query" in entry["path"] for entry in simulator.requests)


async def test_json_that_is_not_as_documented_may_pass(fake: Any) -> None:
    described = {"fields": []}
    answers = {f"GET /services/data/v66.0/sobjects/{name}/describe": described for name in _OBJECTS}
    answers |= {"GET /services/data/v66.0/query": {"done": True, "records": [{"Id": "0065g00000AAAAAAA4"}]}}
    _, connection = await fake(answers)
    with pytest.raises(TransientError, match="not as documented"):
        await hydrated(connection, "0065g00000AAAAAAA4")


_OBJECTS = ("Opportunity", "Account", "Contact", "OpportunityLineItem")


def test_the_id_of_an_event_is_the_same_in_any_zone() -> None:
    at = datetime.fromisoformat("2026-11-20T10:30:00+01:00")
    assert event_id("006", at) == "deal.won:006:2026-11-20T09:30:00Z"
