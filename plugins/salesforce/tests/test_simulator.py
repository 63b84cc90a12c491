"""The simulated org is as strict as the real one says it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_salesforce.simulator.org import long_id
from crossdock_sdk import jsonio

Served = tuple[SalesforceSimulator, str]
BASE = "/services/data/v66.0"


class Caller:
    def __init__(self, simulator: SalesforceSimulator, url: str) -> None:
        self.simulator = simulator
        self.client = httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {simulator.tokens.session()}"})

    async def __call__(self, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        content = None if body is None else jsonio.dumps(body)
        reply = await self.client.request(method, BASE + path, content=content, params=params or None)
        return reply.status_code, jsonio.loads(reply.content) if reply.content else None

    async def query(self, statement: str) -> tuple[int, Any]:
        return await self("GET", "/query", q=statement)


@pytest.fixture
async def call(served: Served, stack: Any) -> Caller:
    caller = Caller(*served)
    stack.push_async_callback(caller.client.aclose)
    return caller


def test_an_id_gets_the_check_sum_that_salesforce_documents() -> None:
    assert long_id("00D000000000062") == "00D000000000062EAA"
    assert long_id("001D000000IqhSL") == "001D000000IqhSLIAZ"


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "SELECT FROM Account",
        "SELECT * FROM Account",
        "SELECT Id Account",
        "SELECT Id, Id FROM Account",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE Name = 'x' AND Name = 'y' OR Name = 'z'",
        "SELECT Id FROM Account WHERE Name == 'x'",
        "SELECT Id FROM Account WHERE Name = 'it's'",
        r"SELECT Id FROM Account WHERE Name = '\x'",
        "SELECT Id FROM Account GROUP BY Name",
        "SELECT Id FROM Account LIMIT many",
        "SELECT Id FROM Account ORDER Name",
        "SELECT Id FROM Account FOR UPDATE",
        "SELECT Id, (SELECT Id, (SELECT Id FROM X) FROM Y) FROM Account",
        "SELECT FIELDS(ALL) FROM Account",
    ],
)
async def test_soql_that_is_not_understood_is_malformed(call: Caller, statement: str) -> None:
    status, body = await call.query(statement)
    assert (status, body[0]["errorCode"]) == (400, "MALFORMED_QUERY")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Nmae FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Nmae = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Nmae", "INVALID_FIELD"),
        ("SELECT Owner.Nmae FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Onwer.Name FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 7", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-11-20T09:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE IsWon = 'true'", "INVALID_FIELD"),
        ("SELECT Id, (SELECT Id FROM Lines) FROM Opportunity", "INVALID_TYPE"),
        ("SELECT Id, (SELECT Nmae FROM OpportunityLineItems) FROM Opportunity", "INVALID_FIELD"),
    ],
)
async def test_soql_that_names_what_there_is_not_is_refused(call: Caller, statement: str, code: str) -> None:
    status, body = await call.query(statement)
    assert (status, body[0]["errorCode"]) == (400, code)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("ProductCode = 'setup'", ["SETUP"]),
        ("ProductCode IN ('SETUP', 'X')", ["SETUP"]),
        ("ProductCode NOT IN ('SETUP') AND ProductCode LIKE 'S%'", ["SUPPORT-MO"]),
        ("NOT ProductCode LIKE '%S%'", []),
        ("(ProductCode = 'SETUP' OR ProductCode = 'CONSULT-DAY') AND IsActive = true", ["CONSULT-DAY", "SETUP"]),
        ("Description = null AND ProductCode > 'SET'", ["SETUP", "SUPPORT-MO"]),
        (
            "CreatedDate > 2026-11-20T09:29:59Z AND CreatedDate <= 2026-11-20T10:30:00.000+01:00 AND Name = 'Setup'",
            None,
        ),
    ],
)
async def test_conditions_hold_as_documented(call: Caller, where: str, found: list[str] | None) -> None:
    _, body = await call.query(f"SELECT ProductCode FROM Product2 WHERE {where} ORDER BY ProductCode")
    assert [row["ProductCode"] for row in body["records"]] == (["SETUP"] if found is None else found)


async def test_order_limit_offset_and_count(call: Caller) -> None:
    _, body = await call.query("SELECT ProductCode FROM Product2 ORDER BY ProductCode DESC LIMIT 2 OFFSET 1")
    assert [row["ProductCode"] for row in body["records"]] == ["SETUP", "LICENSE-YR"]
    _, body = await call.query("SELECT COUNT() FROM Product2")
    assert body == {"totalSize": 4, "done": True, "records": []}


async def test_an_empty_subquery_and_an_empty_parent_are_null(call: Caller) -> None:
    await call.simulator.trigger("opportunity.create", {"title": "Bare"})
    statement = "SELECT Account.Name, (SELECT Id FROM OpportunityLineItems) FROM Opportunity WHERE Name = 'Bare'"
    _, body = await call.query(statement)
    assert (body["records"][0]["Account"], body["records"][0]["OpportunityLineItems"]) == (None, None)


async def test_pages_are_read_by_locators_that_end_after_two_days(call: Caller, clock: Any) -> None:
    call.simulator.queries.batch = 3
    _, first = await call.query("SELECT ProductCode FROM Product2 ORDER BY ProductCode")
    assert (first["totalSize"], first["done"], len(first["records"])) == (4, False, 3)
    path = first["nextRecordsUrl"].removeprefix(BASE)
    _, second = await call("GET", path)
    assert (second["done"], [row["ProductCode"] for row in second["records"]]) == (True, ["SUPPORT-MO"])
    assert "nextRecordsUrl" not in second
    clock.forward(days=2)
    call.client.headers["authorization"] = f"Bearer {call.simulator.tokens.session()}"
    status, body = await call("GET", path)
    assert (status, body[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


async def test_every_change_moves_the_system_modstamp_also_of_the_parent(call: Caller, deal: str, clock: Any) -> None:
    row = call.simulator.org.row("Opportunity", deal)
    for path, body in (
        (f"/sobjects/Opportunity/{deal}", {"NextStep": "x"}),
        (f"/sobjects/OpportunityLineItem/{call.simulator.org.lines(deal)[0]['Id']}", {"Quantity": 4}),
    ):
        before = row["SystemModstamp"]
        clock.forward(minutes=1)
        assert await call("PATCH", path, body) == (204, None)
        assert row["SystemModstamp"] > before
    assert row["Amount"] == Decimal("10443.0")


async def test_amount_is_derived_from_lines_and_ignored_without_a_word(call: Caller, deal: str) -> None:
    assert await call("PATCH", f"/sobjects/Opportunity/{deal}", {"Amount": 1, "NextStep": "x"}) == (204, None)
    row = call.simulator.org.row("Opportunity", deal)
    assert (row["Amount"], row["NextStep"]) == (Decimal("9243.0"), "x")


@pytest.mark.parametrize(
    ("body", "status", "code", "fields"),
    [
        ({}, 400, "REQUIRED_FIELD_MISSING", ["Name", "StageName", "CloseDate"]),
        ({"Name": "x", "StageName": "Won!", "CloseDate": "2026-12-01"}, 400, "INVALID_OR_NULL", ["StageName"]),
        ({"Name": "x" * 121, "StageName": "Prospecting", "CloseDate": "2026-12-01"}, 400, "STRING_TOO_LONG", ["Name"]),
        ({"Nmae": "x"}, 400, "INVALID_FIELD", None),
        ({"IsWon": True}, 400, "INVALID_FIELD_FOR_INSERT_UPDATE", ["IsWon"]),
        ({"Name": "x", "StageName": "Prospecting", "CloseDate": "soon"}, 400, "JSON_PARSER_ERROR", None),
        ([], 400, "JSON_PARSER_ERROR", None),
        (
            {"Name": "x", "StageName": "Prospecting", "CloseDate": "2026-12-01", "AccountId": "001000000000000"},
            400,
            "INVALID_CROSS_REFERENCE_KEY",
            ["AccountId"],
        ),
    ],
)
async def test_a_body_that_does_not_do_is_refused(
    call: Caller, body: Any, status: int, code: str, fields: list[str] | None
) -> None:
    answered, told = await call("POST", "/sobjects/Opportunity", body)
    assert answered == status
    assert told[0]["errorCode"].startswith(code)
    assert told[0].get("fields") == fields


async def test_statuses_of_reads_writes_and_deletions(call: Caller) -> None:
    status, made = await call("POST", "/sobjects/Invoice__c", {"Name": "X"})
    assert (status, made["success"], made["errors"]) == (201, True, [])
    path = f"/sobjects/Invoice__c/{made['id']}"
    assert (await call("GET", f"{path[:-3]}", fields="Name"))[1]["Name"] == "X"
    assert await call("PATCH", path, {"Name": "Y"}) == (204, None)
    assert await call("DELETE", path) == (204, None)
    for method in ("GET", "DELETE", "PATCH"):
        status, told = await call(method, path, {} if method == "PATCH" else None)
        assert (status, told[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    status, told = await call("GET", "/sobjects/Invoice__c/a01000000000000")
    assert (status, told[0]["errorCode"]) == (404, "NOT_FOUND")
    status, told = await call("GET", "/sobjects/Invoice__c/nothing")
    assert (status, told[0]["errorCode"]) == (400, "MALFORMED_ID")


async def test_statuses_of_upserts(call: Caller) -> None:
    path = "/sobjects/Invoice__c/Number__c/A%2F7"
    assert (await call("PATCH", path, {"Total__c": 1}))[0] == 201
    status, told = await call("PATCH", path, {"Total__c": 2})
    assert (status, told["created"]) == (200, False)
    status, told = await call("PATCH", path, {"Number__c": "B"})
    assert (status, told[0]["errorCode"]) == (400, "INVALID_FIELD")
    status, told = await call("PATCH", "/sobjects/Invoice__c/Name/B", {})
    assert (status, told[0]["errorCode"]) == (404, "NOT_FOUND")
    assert told[0]["message"] == "Provided external ID field does not exist or is not accessible: Name"
    status, told = await call("POST", "/sobjects/Invoice__c", {"Number__c": "a/7"})
    assert (status, told[0]["errorCode"]) == (400, "DUPLICATE_VALUE")


async def test_without_a_session_nothing_is_told_but_the_versions(served: Served) -> None:
    _, url = served
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/services/data")).json()[-1]["version"] == "68.0"
        reply = await client.get(f"{BASE}/query", params={"q": "SELECT Id FROM Account"})
    assert (reply.status_code, reply.json()) == (
        401,
        [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
    )


async def test_a_version_that_the_org_does_not_know_is_not_found(call: Caller) -> None:
    reply = await call.client.get("/services/data/v99.0/query", params={"q": "SELECT Id FROM Account"})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (404, "NOT_FOUND")


async def test_the_stage_history_tells_of_stage_amount_and_close_date(call: Caller, deal: str, clock: Any) -> None:
    before = len(call.simulator.org.live("OpportunityHistory"))
    for fields in ({"NextStep": "x"}, {"CloseDate": "2027-01-01"}, {"StageName": "Closed Lost"}):
        clock.forward(minutes=1)
        await call("PATCH", f"/sobjects/Opportunity/{deal}", fields)
    rows = call.simulator.org.live("OpportunityHistory")[before:]
    assert [(row["StageName"], row["CloseDate"]) for row in rows] == [
        ("Negotiation/Review", "2027-01-01"),
        ("Closed Lost", "2027-01-01"),
    ]


@pytest.mark.parametrize(
    ("event", "body", "said"),
    [
        ("deal.won", {"id": "0067Q0000000999"}, "there is no opportunity"),
        ("deal.won", {"title": "x", "discounts": [{"percent": 5}]}, "discounts"),
        ("deal.won", {"title": "x", "custom": {"Nothing": 1}}, "no custom field"),
        ("deal.edit", {"id": "0067Q0000000999"}, "there is no opportunity"),
    ],
)
async def test_a_trigger_that_cannot_be_played_says_why(
    simulator: SalesforceSimulator, event: str, body: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        await simulator.trigger(event, body)
    with pytest.raises(LookupError, match="knows no event"):
        await simulator.trigger("deal.stolen", {})


async def test_what_stands_is_told_by_action(simulator: SalesforceSimulator, deal: str) -> None:
    made = simulator.org.insert("Invoice__c", {"Crossdock_Key__c": "k"})["Id"]
    simulator.org.insert("Invoice__c", {"Name": "a person's"})
    standing = simulator.standing()
    assert [one.id for one in standing["record.create"]] == [made]
    [found] = standing["deal.update"]
    assert (found.id, found.made, found.facts["custom"]["lead_score"]) == (deal, False, Decimal(72))
