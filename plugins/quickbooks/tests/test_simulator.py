"""The simulator refuses what QuickBooks refuses, in QuickBooks' words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.simulator.account import REALM
from crossdock_quickbooks.simulator.oauth import CLIENT_ID, CLIENT_SECRET, refresh_token
from crossdock_sdk import jsonio

ROOT = f"/v3/company/{REALM}"
SOLD = {"DetailType": "SalesItemLineDetail", "Amount": 100, "SalesItemLineDetail": {"ItemRef": {"value": "2"}}}


class Caller:
    """A client that knows nothing of the connector."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, **params: str) -> tuple[int, Any]:
        reply = await self.http.get(ROOT + path, params=params)
        return reply.status_code, jsonio.loads(reply.content)

    async def post(self, path: str, body: Any, **params: str) -> tuple[int, Any]:
        reply = await self.http.post(ROOT + path, content=jsonio.dumps(body), params=params)
        return reply.status_code, jsonio.loads(reply.content)

    async def query(self, statement: str) -> tuple[int, Any]:
        return await self.get("/query", query=statement)


@pytest.fixture
async def call(url: str) -> AsyncIterator[Caller]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token(0)}
        granted = await http.post("/oauth2/v1/tokens/bearer", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
        http.headers["authorization"] = f"Bearer {granted.json()['access_token']}"
        http.headers["accept"] = "application/json"
        yield Caller(http)


def code(answer: tuple[int, Any]) -> str:
    status, body = answer
    assert status == 400
    assert body["Fault"]["type"] == "ValidationFault"
    return str(body["Fault"]["Error"][0]["code"])


async def test_an_unknown_token_gets_the_lower_case_body_and_the_challenge(call: Caller) -> None:
    reply = await call.http.get(f"{ROOT}/customer/1", headers={"authorization": "Bearer other"})
    assert reply.headers["www-authenticate"] == 'Bearer realm="Intuit", error="invalid_token"'
    assert reply.headers["intuit_tid"]
    body = reply.json()
    assert body["fault"]["error"][0]["message"] == ("message=AuthenticationFailed; errorCode=003200; statusCode=401")
    assert (body["fault"]["error"][0]["code"], body["fault"]["type"]) == ("3200", "AUTHENTICATION")
    assert isinstance(body["time"], int)


async def test_json_comes_only_to_those_who_ask_for_it(call: Caller) -> None:
    reply = await call.http.get(f"{ROOT}/customer/1", headers={"accept": "*/*"})
    assert reply.headers["content-type"].startswith("application/xml")
    assert "<DisplayName>Mae's Harbour Bakery</DisplayName>" in reply.text


@pytest.mark.parametrize(
    ("client", "form", "said"),
    [
        ((CLIENT_ID, "wrong"), {}, "invalid_client"),
        ((CLIENT_ID, CLIENT_SECRET), {"grant_type": "password"}, "unsupported_grant_type"),
        ((CLIENT_ID, CLIENT_SECRET), {"refresh_token": f"{refresh_token(0)}0"}, "invalid_grant"),
        ((CLIENT_ID, CLIENT_SECRET), {"refresh_token": "simulated-refresh-9-0000000000000000"}, "invalid_grant"),
    ],
)
async def test_the_token_endpoint_refuses(call: Caller, client: tuple[str, str], form: Any, said: str) -> None:
    form = {"grant_type": "refresh_token"} | form
    reply = await call.http.post("/oauth2/v1/tokens/bearer", data=form, auth=client)
    assert reply.json()["error"] == said


async def refreshed(call: Caller, generation: int) -> str:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token(generation)}
    reply = await call.http.post("/oauth2/v1/tokens/bearer", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    return reply.json().get("refresh_token", reply.json().get("error"))


async def test_a_refresh_token_is_given_again_for_a_day_and_then_replaced(call: Caller, clock: Any) -> None:
    assert await refreshed(call, 0) == await refreshed(call, 0) == refresh_token(0)
    clock.pass_by(days=1)
    assert await refreshed(call, 0) == refresh_token(1)
    assert await refreshed(call, 0) == "invalid_grant"
    assert await refreshed(call, 1) == refresh_token(1)


async def test_a_restarted_simulator_knows_the_refresh_tokens_that_it_gave(call: Caller) -> None:
    assert await refreshed(call, 7) == refresh_token(7)
    assert await refreshed(call, 6) == "invalid_grant"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("select * from Customer where DisplayName = 'a' or Active = true", "4000"),
        ("select Id from Customer", "4000"),
        ('select * from Customer where DisplayName = "a"', "4000"),
        ("select * from Customer where DisplayName = 'it's'", "4000"),
        ("select * from Customer where Balance > 5", "4000"),
        ("select * from Customer where", "4000"),
        ("select * from Customer order by Id", "4000"),
        ("delete from Customer", "4000"),
        ("", "4000"),
        ("select * from Custmoer", "4001"),
        ("select * from customer", "4001"),
        ("select * from Customer where Notes = 'a'", "4001"),
        ("select * from Invoice where PrivateNote = 'a'", "4001"),
        ("select * from Customer where Balance > 'much'", "4001"),
        ("select * from Customer where MetaData.CreateTime > 'yesterday'", "4001"),
        ("select * from Customer startposition 0", "4001"),
    ],
)
async def test_a_query_outside_the_grammar_is_refused(call: Caller, statement: str, said: str) -> None:
    assert code(await call.query(statement)) == said


@pytest.mark.parametrize(
    ("statement", "ids"),
    [
        ("select * from Item", ["1", "2", "3", "4", "5"]),
        ("SELECT * FROM Item WHERE Sku IN ('SETUP', 'LICENSE-YR') ORDERBY Sku", ["4", "3"]),
        ("select * from Item where Name like 'L%' and UnitPrice >= '1188'", ["4"]),
        ("select * from Item where UnitPrice < '450.00' ORDERBY UnitPrice DESC", ["5", "1"]),
        ("select * from Item where UnitPrice = '450'", ["3"]),
        ("select * from Item ORDERBY Id MAXRESULTS 2 STARTPOSITION 2", ["2", "3"]),
        ("select * from Item where MetaData.CreateTime > '2026-11-23T01:00:00-08:00'", ["1", "2", "3", "4", "5"]),
        ("select * from Item where MetaData.CreateTime > '2026-11-23T10:00:00'", []),
        ("select * from Item where Active IN (true, false) and Type = 'Service' MAXRESULTS 1", ["1"]),
        ("select * from Item where Active = false", []),
    ],
)
async def test_a_query_within_the_grammar_is_answered(call: Caller, statement: str, ids: list[str]) -> None:
    status, body = await call.query(statement)
    assert status == 200
    assert [row["Id"] for row in body["QueryResponse"].get("Item", [])] == ids


async def test_an_empty_result_has_no_entity_and_a_count_has_only_its_number(call: Caller) -> None:
    assert (await call.query("select * from Item where Sku = 'X'"))[1]["QueryResponse"] == {}
    assert (await call.query("select count(*) from Item"))[1]["QueryResponse"] == {"totalCount": 5}
    _, body = await call.query("select * from Vendor")
    assert body["QueryResponse"]["startPosition"] == body["QueryResponse"]["maxResults"] == 1


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/customer", {"DisplayName": "quayside paper & INK"}, "6240"),
        ("/customer", {"DisplayName": "A", "Nickname": "B"}, "2010"),
        ("/customer", {"DisplayName": "A" * 501}, "2050"),
        ("/customer", {"DisplayName": "A:B"}, "6000"),
        ("/customer", {"DisplayName": "A", "CurrencyRef": {"value": "EUR"}}, "6000"),
        ("/customer", {}, "2020"),
        ("/customer", {"Id": "1", "SyncToken": "7", "sparse": True, "Notes": "x"}, "5010"),
        ("/customer", {"Id": "99", "SyncToken": "0", "Notes": "x"}, "610"),
        ("/customer", {"Id": "1.5", "SyncToken": "0", "Notes": "x"}, "2030"),
        ("/item", {"Name": "A"}, "2020"),
        ("/item", {"Name": "Setup", "IncomeAccountRef": {"value": "79"}}, "6240"),
        ("/invoice", {"Line": [SOLD]}, "2020"),
        ("/invoice", {"CustomerRef": {"value": "1"}}, "2020"),
        ("/invoice", {"CustomerRef": {"value": "9"}, "Line": [SOLD]}, "2500"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [SOLD], "DocNumber": "N" * 22}, "2050"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [SOLD], "TxnDate": "23.11.2026"}, "2010"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [SOLD], "EmailStatus": "NeedToSend"}, "2020"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [SOLD], "CurrencyRef": {"value": "EUR"}}, "6000"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [{**SOLD, "Amount": "much"}]}, "2080"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [{**SOLD, "Amount": Decimal("1.001")}]}, "2080"),
        ("/invoice", {"CustomerRef": {"value": "1"}, "Line": [{**SOLD, "Description": "d" * 4001}]}, "2050"),
        ("/invoice", ["no object"], "2010"),
        ("/estimate", {}, "500"),
    ],
)
async def test_a_write_that_quickbooks_refuses_is_refused(call: Caller, path: str, body: Any, said: str) -> None:
    assert code(await call.post(path, body)) == said


def lines(**detail: Any) -> dict[str, Any]:
    amount = detail.pop("Amount", 100)
    sold = {**SOLD, "Amount": amount, "SalesItemLineDetail": {"ItemRef": {"value": "2"}, **detail}}
    return {"CustomerRef": {"value": "1"}, "Line": [sold]}


async def test_an_amount_must_be_quantity_times_price_rounded_half_up(call: Caller) -> None:
    wrong = lines(Amount=Decimal("1861.07"), Qty=Decimal("128.35"), UnitPrice=Decimal("14.5"))
    answer = await call.post("/invoice", wrong)
    assert code(answer) == "6070"
    assert answer[1]["Fault"]["Error"][0]["Detail"].endswith("Supplied value:1861.07")
    right = lines(Amount=Decimal("1861.08"), Qty=Decimal("128.35"), UnitPrice=Decimal("14.5"))
    assert (await call.post("/invoice", right))[1]["Invoice"]["TotalAmt"] == Decimal("1861.08")


async def test_a_line_without_an_item_is_booked_on_the_default_item(call: Caller) -> None:
    bare = {"DetailType": "SalesItemLineDetail", "Amount": 5, "SalesItemLineDetail": {}}
    _, body = await call.post("/invoice", {"CustomerRef": {"value": "1"}, "Line": [bare]})
    assert body["Invoice"]["Line"][0]["SalesItemLineDetail"]["ItemRef"] == {"value": "1", "name": "Services"}


async def test_a_nought_per_cent_beside_a_fixed_discount_makes_it_nought(call: Caller) -> None:
    fixed = {"DetailType": "DiscountLineDetail", "Amount": 10, "DiscountLineDetail": {"PercentBased": False}}
    body = {"CustomerRef": {"value": "1"}, "Line": [SOLD, fixed]}
    assert (await call.post("/invoice", body))[1]["Invoice"]["TotalAmt"] == 90
    fixed["DiscountLineDetail"] = {"PercentBased": False, "DiscountPercent": 0}
    assert (await call.post("/invoice", body))[1]["Invoice"]["TotalAmt"] == 100
    fixed["DiscountLineDetail"], fixed["Amount"] = {"PercentBased": False}, 101
    assert code(await call.post("/invoice", body)) == "6000"


async def test_tax_is_on_the_undiscounted_amount_unless_asked_otherwise(
    call: Caller, books: QuickBooksSimulator
) -> None:
    books.company.tax_rates["TAX"] = Decimal(10)
    off = {"DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": 50}}
    body = lines(TaxCodeRef={"value": "TAX"})
    body["Line"].append(off)
    assert (await call.post("/invoice", body))[1]["Invoice"]["TotalAmt"] == 60
    assert (await call.post("/invoice", body | {"ApplyTaxAfterDiscount": True}))[1]["Invoice"]["TotalAmt"] == 55


async def test_numbers_go_on_from_the_highest_and_custom_ones_may_not_repeat(
    call: Caller, books: QuickBooksSimulator
) -> None:
    async def number(**params: str) -> Any:
        given = {"DocNumber": params.pop("DocNumber")} if "DocNumber" in params else {}
        return await call.post("/invoice", lines() | given, **params)

    assert (await number())[1]["Invoice"]["DocNumber"] == "1001"
    assert (await number(DocNumber="2000"))[1]["Invoice"]["DocNumber"] == "2000"
    assert (await number(DocNumber="2000"))[1]["Invoice"]["DocNumber"] == "2000"
    assert (await number())[1]["Invoice"]["DocNumber"] == "2001"
    books.company.custom_txn_numbers = True
    assert "DocNumber" not in (await number())[1]["Invoice"]
    answer = await number(DocNumber="2001")
    assert code(answer) == "6140"
    assert "DocNumber=2001 is assigned to TxnType=Invoice with TxnId=4" in str(answer[1])
    assert (await number(DocNumber="2001", include="allowduplicatedocnum"))[0] == 200
    assert (await number(DocNumber="AUTO_GENERATE"))[1]["Invoice"]["DocNumber"] == "2002"


async def test_a_repeated_request_id_gets_the_old_reply_even_after_deletion(
    call: Caller, books: QuickBooksSimulator
) -> None:
    _, first = await call.post("/invoice", lines(), requestid="r-1")
    await books.trigger("invoice.delete", {"invoice": first["Invoice"]["Id"]})
    _, again = await call.post("/invoice", lines(), requestid="r-1")
    assert again["Invoice"] == first["Invoice"]
    assert books.state()["invoices"] == []
    assert code(await call.post("/invoice", lines(), requestid="r" * 51)) == "2050"


async def test_a_payment_lowers_the_balance_and_raises_the_version(call: Caller, books: QuickBooksSimulator) -> None:
    await call.post("/invoice", lines())
    link = {"Amount": 40, "LinkedTxn": [{"TxnId": "1", "TxnType": "Invoice"}]}
    status, body = await call.post("/payment", {"CustomerRef": {"value": "1"}, "TotalAmt": 50, "Line": [link]})
    assert (status, body["Payment"]["UnappliedAmt"]) == (200, 10)
    _, body = await call.get("/invoice/1")
    assert (body["Invoice"]["Balance"], body["Invoice"]["SyncToken"]) == (60, "1")
    assert body["Invoice"]["LinkedTxn"] == [{"TxnId": "2", "TxnType": "Payment"}]
    assert (await call.get("/customer/1"))[1]["Customer"]["Balance"] == 60
    stale = {"Id": "1", "SyncToken": "0"}
    assert code(await call.post("/invoice", stale, operation="delete")) == "5010"
    assert code(await call.post("/payment", {"CustomerRef": {"value": "1"}, "TotalAmt": "x"})) == "2080"
    await books.trigger("invoice.delete", {"invoice": "1"})
    assert books.state()["payments"][0]["UnappliedAmt"] == 50


async def test_a_sparse_update_keeps_what_it_does_not_name_and_a_full_one_clears_it(call: Caller) -> None:
    sparse = {"Id": "1", "SyncToken": "0", "sparse": True, "CompanyName": "MHB"}
    _, body = await call.post("/customer", sparse)
    assert body["Customer"]["PrimaryEmailAddr"] == {"Address": "mae@harbour-bakery.example"}
    assert body["Customer"]["SyncToken"] == "1"
    full = {"Id": "1", "SyncToken": "1", "DisplayName": "Mae"}
    _, body = await call.post("/customer", full)
    assert "PrimaryEmailAddr" not in body["Customer"]
    _, made = await call.post("/invoice", lines() | {"PrivateNote": "p", "DocNumber": "7"})
    ident = made["Invoice"]["Id"]
    _, body = await call.post("/invoice", {"Id": ident, "SyncToken": "0", "sparse": True, "DueDate": "2027-01-01"})
    assert (body["Invoice"]["PrivateNote"], body["Invoice"]["DueDate"]) == ("p", "2027-01-01")
    _, body = await call.post("/invoice", lines() | {"Id": ident, "SyncToken": "1"})
    assert "PrivateNote" not in body["Invoice"]


async def test_an_inactive_name_is_marked_free_and_comes_back_when_active(call: Caller) -> None:
    off = {"Id": "1", "SyncToken": "0", "sparse": True, "Active": False}
    _, body = await call.post("/customer", off)
    assert body["Customer"]["DisplayName"] == "Mae's Harbour Bakery (deleted)"
    _, again = await call.post("/customer", off | {"SyncToken": "1"})
    assert again["Customer"]["SyncToken"] == "1"
    assert code(await call.post("/invoice", lines())) == "610"
    _, body = await call.post("/customer", off | {"SyncToken": "1", "Active": True})
    assert body["Customer"]["DisplayName"] == "Mae's Harbour Bakery"


async def test_an_invoice_without_an_address_cannot_be_mailed(call: Caller) -> None:
    await call.post("/invoice", lines())
    headers = {"content-type": "application/octet-stream"}
    reply = await call.http.post(f"{ROOT}/invoice/1/send", headers=headers)
    assert code((reply.status_code, reply.json())) == "6000"
    reply = await call.http.post(f"{ROOT}/invoice/1/send", params={"sendTo": "a@b.example"}, headers=headers)
    assert reply.json()["Invoice"]["EmailStatus"] == "EmailSent"
    assert code(await call.post("/invoice/1/send", {})) == "500"


async def test_settings_of_the_company_can_be_read(call: Caller) -> None:
    _, body = await call.get("/preferences")
    sales = body["Preferences"]["SalesFormsPrefs"]
    assert sales["CustomField"][1]["CustomField"][0]["StringValue"] == "Crew #"
    assert sales["CustomTxnNumbers"] is False
    _, body = await call.get(f"/companyinfo/{REALM}")
    assert body["CompanyInfo"]["Country"] == "US"


async def test_unknown_places_are_unsupported(call: Caller) -> None:
    assert code(await call.get("/customer/1/5")) == "500"
    assert code(await call.get("/Customer/1")) == "500"
    assert code(await call.post("/customer", {"Id": "1", "SyncToken": "0"}, operation="delete")) == "500"


async def test_a_minute_after_the_limit_was_reached_calls_go_through(
    call: Caller, books: QuickBooksSimulator, clock: Any
) -> None:
    books.limit_per_minute = 2
    statuses = [(await call.get("/customer/1"))[0] for _ in range(3)]
    clock.now += timedelta(seconds=61)
    assert [*statuses, (await call.get("/customer/1"))[0]] == [200, 200, 429, 200]


async def test_triggers_refuse_what_they_cannot_use(books: QuickBooksSimulator) -> None:
    with pytest.raises(LookupError, match=r"estimate\.create"):
        await books.trigger("estimate.create", {})
    with pytest.raises(ValueError, match="6240"):
        await books.trigger("customer.create", {"DisplayName": "Quayside Paper & Ink"})
    with pytest.raises(ValueError, match="no item is"):
        await books.trigger("item.deactivate", {"Sku": "NONE"})
    with pytest.raises(ValueError, match="610"):
        await books.trigger("payment.create", {"invoice": "404"})


def test_the_state_is_plain_json(books: QuickBooksSimulator) -> None:
    state = jsonio.plain(books.state())
    assert [item.get("Sku") for item in state["items"]] == [None, "CONSULT-DAY", "SETUP", "LICENSE-YR", "SUPPORT-MO"]
    assert set(state) == {"customers", "vendors", "employees", "items", "invoices", "payments", "deleted_invoices"}
