"""Settings, tokens, limits, and what each of QuickBooks' errors becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConfig, QuickBooksConnection
from crossdock_quickbooks.invoices import InvoiceCreate
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    Invoice,
    MemoryTokens,
    NotFoundError,
    RejectedError,
    TransientError,
    UnavailableError,
)
from crossdock_sdk.testing import Fault
from pydantic import ValidationError

KEY = "9f2c4e66-0b1d-5b8a-9e57-4c3d2b1a0f04"
KEYS = {"realm_id": 9130, "client_id": "id", "client_secret": "secret-of-the-app"}
Connect = Callable[..., QuickBooksConnection]


def fault(code: str, message: str = "M", detail: str = "D", kind: str = "ValidationFault") -> dict[str, Any]:
    error = {"Message": message, "Detail": detail, "code": code, "element": "Line.Amount"}
    return {"Fault": {"Error": [error], "type": kind}, "time": "2026-11-23T01:30:00.000-08:00"}


def gateway_fault(code: str, kind: str) -> dict[str, Any]:
    error = {"message": "message=Gateway", "detail": "D", "code": code, "element": None}
    return {"fault": {"error": [error], "type": kind}, "requestId": None, "time": 1601391072830}


def test_the_environment_chooses_the_host_and_an_explicit_one_wins() -> None:
    assert QuickBooksConfig.model_validate(KEYS).base_url == "https://quickbooks.api.intuit.com"
    sandbox = QuickBooksConfig.model_validate(KEYS | {"environment": "sandbox"})
    assert sandbox.base_url == "https://sandbox-quickbooks.api.intuit.com"
    own = QuickBooksConfig.model_validate(KEYS | {"environment": "sandbox", "base_url": "http://gateway.example"})
    assert (own.base_url, own.realm_id) == ("http://gateway.example", "9130")
    assert "secret-of-the-app" not in repr(own)


@pytest.mark.parametrize("wrong", [{"environment": "test"}, {"realm": "1"}, {"client_secret": ""}])
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuickBooksConfig.model_validate(KEYS | wrong)


def test_an_account_is_the_company_whatever_host_or_credentials_reach_it(connect: Connect) -> None:
    def account(**more: object) -> str:
        return connect(KEYS | more).account

    assert account() == "quickbooks:9130"
    assert account(base_url="http://gateway.example", client_id="other") == "quickbooks:9130"
    assert account(realm_id=9131) == "quickbooks:9131"
    assert account(environment="sandbox") == "quickbooks:9130:sandbox"


async def test_calls_carry_version_key_and_json_and_no_secret_in_the_url(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    await connection.create("Customer", {"DisplayName": "A"}, KEY)
    sent = books.requests[-1]
    assert sent["path"] == "/v3/company/9130000000000001/customer"
    assert sent["query"] == f"minorversion=75&requestid={KEY}"


async def test_a_search_is_percent_encoded_and_never_written_with_plus(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    assert await connection.find("Customer", "DisplayName = 'Mae\\'s + & %'") == []
    query = books.requests[-1]["query"]
    assert "+" not in query
    assert query.startswith("minorversion=75&query=SELECT%20")
    assert "s%20%2B%20%26%20%25" in query


async def test_all_pages_of_a_search_are_read(connection: QuickBooksConnection, books: QuickBooksSimulator) -> None:
    for n in range(2050):
        books.names.create("Vendor", {"DisplayName": f"V{n}"})
    found = await connection.find("Vendor")
    assert len({row["Id"] for row in found}) == 2051


async def test_an_expired_token_is_renewed_once_and_the_call_goes_through(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    assert (await connection.read("Customer", "1"))["Id"] == "1"
    await books.trigger("token.expire", {})
    assert (await connection.read("Customer", "1"))["Id"] == "1"
    assert books.tokens.refreshes == 2


async def test_an_hour_later_the_token_is_renewed_before_it_is_refused(
    connection: QuickBooksConnection, books: QuickBooksSimulator, clock: Any
) -> None:
    await connection.read("Customer", "1")
    clock.pass_by(seconds=3600)
    await connection.read("Customer", "1")
    assert books.tokens.refreshes == 2
    assert 401 not in [r["status"] for r in books.requests]


async def test_rotated_refresh_tokens_survive_in_the_vault_and_win_over_the_configured_one(
    connect: Connect, books: QuickBooksSimulator, url: str
) -> None:
    books.tokens.rotates_after = timedelta(0)
    vault = MemoryTokens()
    await connect(books.settings(url), tokens=vault).read("Customer", "1")
    await books.trigger("token.expire", {})
    await connect(books.settings(url), tokens=vault).read("Customer", "1")
    with pytest.raises(AuthError, match="invalid_grant"):
        await connect(books.settings(url)).read("Customer", "1")


async def test_revoked_access_is_an_auth_error_until_somebody_connects_anew(
    connect: Connect, books: QuickBooksSimulator, url: str
) -> None:
    connection = connect(books.settings(url))
    await connection.read("Customer", "1")
    await books.trigger("token.revoke", {})
    with pytest.raises(AuthError):
        await connection.read("Customer", "1")
    anew = await books.trigger("token.reconnect", {})
    renewed = connect(books.settings(url) | {"refresh_token": anew["refresh_token"]})
    assert (await renewed.read("Customer", "1"))["Id"] == "1"


async def test_a_wrong_client_and_a_foreign_company_are_auth_errors(
    connect: Connect, books: QuickBooksSimulator, url: str
) -> None:
    with pytest.raises(AuthError, match="invalid_client"):
        await connect(books.settings(url) | {"client_secret": "not-the-secret"}).read("Customer", "1")
    with pytest.raises(AuthError) as refused:
        await connect(books.settings(url) | {"realm_id": "1"}).read("Customer", "1")
    assert refused.value.code == "3100"


async def test_throttling_is_transient_and_asks_for_a_minute(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    books.limit_per_minute = 1
    await connection.read("Customer", "1")
    with pytest.raises(TransientError) as throttled:
        await connection.create("Customer", {"DisplayName": "A"}, KEY)
    assert (throttled.value.code, throttled.value.retry_after, throttled.value.status) == ("3001", 60, 429)
    assert str(throttled.value.request_id).startswith("1-simulated-")


ROWS: list[tuple[int, Any, type[ConnectorError], type[ConnectorError]]] = [
    (401, gateway_fault("3200", "AUTHENTICATION"), AuthError, AuthError),
    (502, gateway_fault("3200", "AUTHENTICATION"), AuthError, AmbiguousError),
    (500, fault("610"), NotFoundError, AmbiguousError),
    (401, gateway_fault("120", "AUTHENTICATION"), AuthError, AuthError),
    (403, gateway_fault("3100", "AUTHORIZATION"), AuthError, AuthError),
    (403, gateway_fault("999", "AUTHORIZATION"), AuthError, AuthError),
    (400, fault("6190", "Subscription period has ended"), AuthError, AuthError),
    (429, gateway_fault("3001", "SERVICE"), TransientError, TransientError),
    (403, gateway_fault("3001", "SERVICE"), TransientError, TransientError),
    (429, "<html>slow down</html>", TransientError, TransientError),
    (400, fault("500", "Unsupported Operation"), RejectedError, RejectedError),
    (400, fault("610", "Object Not Found"), NotFoundError, NotFoundError),
    (400, fault("2010"), RejectedError, RejectedError),
    (400, fault("2050"), RejectedError, RejectedError),
    (400, fault("2500", "Invalid Reference Id"), RejectedError, RejectedError),
    (400, fault("4000"), RejectedError, RejectedError),
    (400, fault("5010", "Stale Object Error"), RejectedError, RejectedError),
    (400, fault("6000", "A business validation error has occurred"), RejectedError, RejectedError),
    (
        400,
        fault("6000", "An unexpected error occurred while accessing or saving your data. Please wait a few minutes"),
        TransientError,
        AmbiguousError,
    ),
    (400, fault("6140", "Duplicate Document Number Error"), RejectedError, RejectedError),
    (500, fault("10000", "An application error has occurred", kind="SystemFault"), TransientError, AmbiguousError),
    (400, fault("10000", kind="SystemFault"), TransientError, AmbiguousError),
    (503, "<html>unavailable</html>", TransientError, UnavailableError),
    (503, fault("10000", kind="SystemFault"), TransientError, UnavailableError),
    (500, fault("2010"), TransientError, AmbiguousError),
    (404, "", NotFoundError, NotFoundError),
    (200, fault("6000", "A business validation error has occurred"), RejectedError, RejectedError),
    (200, gateway_fault("3001", "SERVICE"), TransientError, TransientError),
    (200, {"Fault": {"Error": [], "type": "ValidationFault"}}, RejectedError, RejectedError),
    (200, "", TransientError, AmbiguousError),
    (200, {"Customer": None}, TransientError, AmbiguousError),
    (200, {"Customer": {"DisplayName": "no id"}}, TransientError, AmbiguousError),
    (200, [], TransientError, AmbiguousError),
    (200, {"Customer": ["1"]}, TransientError, AmbiguousError),
    (302, "", TransientError, AmbiguousError),
]


@pytest.mark.parametrize(("status", "body", "reading", "writing"), ROWS)
async def test_each_reply_becomes_the_error_that_says_what_happens_next(
    connect: Connect,
    books: QuickBooksSimulator,
    url: str,
    status: int,
    body: Any,
    reading: type[ConnectorError],
    writing: type[ConnectorError],
) -> None:
    headers = {"intuit_tid": "1-5f73"}
    struck = {"kind": "status", "path": "*/customer*", "status": status, "body": body, "headers": headers}
    books.faults.append(Fault.model_validate(struck | {"times": None}))
    # Two connections: a pause that the vendor asked for holds back all later calls of one.
    with pytest.raises(ConnectorError) as read:
        await connect(books.settings(url)).read("Customer", "1")
    assert type(read.value) is reading
    anew = {"refresh_token": books.tokens.reconnect()}
    with pytest.raises(ConnectorError) as write:
        await connect(books.settings(url) | anew).create("Customer", {"DisplayName": "A"}, KEY)
    assert type(write.value) is writing
    assert "\n" not in write.value.message
    if isinstance(body, dict) and {"Fault", "fault"} & body.keys():
        assert write.value.request_id == "1-5f73"


async def test_a_fault_names_its_words_code_and_element(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    body = fault("6070", "Amount calculation incorrect", "Amount is not equal to\nUnitPrice * Qty")
    books.faults.append(Fault(kind="status", path="*/customer", status=400, body=body))
    with pytest.raises(RejectedError) as refused:
        await connection.create("Customer", {"DisplayName": "A"}, KEY)
    assert refused.value.facts() == {
        "kind": "rejected",
        "message": "QuickBooks: Amount calculation incorrect: Amount is not equal to UnitPrice * Qty (code 6070)",
        "code": "6070",
        "field": "Line.Amount",
        "status": 400,
    }


async def test_a_very_long_reason_is_cut(connection: QuickBooksConnection, books: QuickBooksSimulator) -> None:
    body = fault("2010", "Request has invalid or unsupported property", "known properties: " + "DocNumber, " * 99)
    books.faults.append(Fault(kind="status", path="*/customer", status=400, body=body))
    with pytest.raises(RejectedError) as refused:
        await connection.create("Customer", {"DisplayName": "A"}, KEY)
    assert len(refused.value.message) < 500


async def test_a_retry_after_longer_than_a_minute_is_kept(
    connection: QuickBooksConnection, books: QuickBooksSimulator
) -> None:
    books.faults.append(Fault(kind="status", path="*/customer/*", status=429, headers={"Retry-After": "90"}))
    with pytest.raises(TransientError) as throttled:
        await connection.read("Customer", "1")
    assert throttled.value.retry_after == 90


@pytest.mark.parametrize("rows", ["[]", [1], [{"DisplayName": "no id"}]])
async def test_a_search_reply_of_another_shape_is_not_an_empty_result(
    connection: QuickBooksConnection, books: QuickBooksSimulator, rows: Any
) -> None:
    body = {"QueryResponse": {"Customer": rows}}
    books.faults.append(Fault(kind="status", path="*/query", status=200, body=body))
    with pytest.raises(TransientError):
        await connection.find("Customer")


async def test_a_request_that_never_left_is_transient_or_told_apart_from_one_that_did(
    connect: Connect, books: QuickBooksSimulator, url: str
) -> None:
    connection = connect(books.settings(url) | {"base_url": "http://127.0.0.1:9"})
    line = {"sku": "SETUP", "quantity": 1, "unit_price": 5}
    with pytest.raises(TransientError):
        await InvoiceCreate(connection).apply(Invoice.model_validate({"customer_id": "1", "lines": [line]}), KEY)
    with pytest.raises(TransientError):
        await connection.create("Customer", {"DisplayName": "A"}, KEY)
