"""Settings, the three grants, and what Salesforce's refusals mean."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConfig, SalesforceConnection
from crossdock_salesforce.errors import error_of
from crossdock_salesforce.simulator import SalesforceSimulator, oauth
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    MemoryTokens,
    NotFoundError,
    RejectedError,
    Reply,
    TransientError,
    UnavailableError,
    jsonio,
)
from pydantic import ValidationError
from starlette.responses import Response

Connect = Callable[..., Awaitable[SalesforceConnection]]
Served = tuple[SalesforceSimulator, str]
KNOWN = {"base_url": "https://acme.my.salesforce.com", "client_id": "app"}


async def names(connection: SalesforceConnection) -> list[str]:
    return [row["Name"] for row in await connection.rows("SELECT Name FROM Opportunity")]


def tokens_asked(simulator: SalesforceSimulator) -> int:
    return sum(entry["path"].endswith("/oauth2/token") for entry in simulator.requests)


@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials", "jwt_bearer"])
async def test_each_grant_opens_the_org_and_opens_it_again_when_the_session_has_ended(
    served: Served, connect: Connect, clock: Any, grant: str
) -> None:
    simulator, url = served
    settings = simulator.settings(url) if grant == "refresh_token" else simulator.settings_by(grant, url)
    connection = await connect(settings)
    assert await names(connection) == ["Fernhill rollout"]
    clock.forward(hours=3)
    await asyncio.gather(*(names(connection) for _ in range(5)))
    assert tokens_asked(simulator) == 2
    simulator.tokens.expire()
    assert await names(connection) == ["Fernhill rollout"]
    assert tokens_asked(simulator) == 3


async def test_a_rotated_refresh_token_is_stored_and_used_next(served: Served, connect: Connect) -> None:
    simulator, url = served
    simulator.tokens.rotates = True
    tokens = MemoryTokens()
    for generation in (1, 2, 3):
        connection = await connect(simulator.settings(url), tokens=tokens)
        simulator.tokens.expire()
        await names(connection)
        stored = await tokens.load()
        assert stored is not None
        assert stored.refresh_token == oauth.refresh_token(generation)


async def test_a_session_that_stays_refused_is_renewed_once_and_no_more(fake: Any) -> None:
    refused = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    server, connection = await fake({"GET /services/data/v66.0/query": Response(jsonio.dumps(refused), 401)})
    server.answers["POST /services/oauth2/token"] = [{"access_token": f"token-{n}"} for n in range(5)]
    with pytest.raises(AuthError, match="IP restrictions") as caught:
        await connection.rows("SELECT Id FROM Account")
    assert caught.value.code == "INVALID_SESSION_ID"
    assert [path.partition("?")[0].rpartition("/")[2] for _, path, _ in server.asked] == [
        "token",
        "query",
        "token",
        "query",
    ]


async def test_a_revoked_app_is_an_auth_error(served: Served, connect: Connect) -> None:
    simulator, url = served
    simulator.tokens.revoked = True
    for settings in (simulator.settings(url), simulator.settings_by("jwt_bearer", url)):
        with pytest.raises(AuthError, match="invalid_grant"):
            await names(await connect(settings))


async def test_secrets_of_all_grants_are_masked(served: Served, connect: Connect) -> None:
    simulator, url = served
    for settings in (simulator.settings(url), simulator.settings_by("jwt_bearer", url)):
        connection = await connect(settings)
        await names(connection)
        stored = await connection.context.tokens.load()
        assert stored is not None
        hidden = [stored.access_token, settings["webhook"]["token"]]
        hidden += [settings[name] for name in ("client_secret", "refresh_token", "private_key") if name in settings]
        for secret in hidden:
            assert secret not in connection.context.redactor.text(f"it is {secret} indeed")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give client_secret and refresh_token"),
        ({"refresh_token": "r"}, "give client_secret and refresh_token"),
        ({"username": "u"}, "JWT bearer takes username and private_key"),
        ({"private_key": oauth.pem()}, "JWT bearer takes username and private_key"),
        ({"username": "u", "private_key": oauth.pem(), "client_secret": "s"}, "and no client_secret"),
        ({"username": "u", "private_key": "-----BEGIN NOTHING-----"}, "RSA key in PEM"),
        ({"client_secret": "s", "api_version": "latest"}, "api_version"),
        ({"client_secret": "s", "organization_id": "acme"}, "15 or 18 characters"),
        ({"client_secret": "s", "webhook": {"token": "short"}}, "at least 16"),
        ({"client_secret": "s", "base_url": "https://login.salesforce.com"}, "My Domain"),
        ({"client_secret": "s", "base_url": "acme"}, "base_url is to be like"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_asked(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        SalesforceConfig.model_validate(KNOWN | given)
    assert "BEGIN" not in str(caught.value)


def test_a_key_in_one_line_is_understood() -> None:
    one_line = oauth.pem().replace("\n", "\\n")
    assert SalesforceConfig.model_validate(KNOWN | {"username": "u", "private_key": one_line})


def refusal(status: int, code: str, *, write: bool = True, message: str = "no", fields: Any = None) -> Reply:
    body = jsonio.dumps([{"message": message, "errorCode": code, "fields": fields}])
    return Reply(status, {}, body, "PATCH" if write else "GET", "https://acme.example/x", write)


@pytest.mark.parametrize(
    ("status", "code", "kind", "wait"),
    [
        (400, "UNABLE_TO_LOCK_ROW", TransientError, None),
        (400, "QUERY_TIMEOUT", TransientError, None),
        (403, "REQUEST_LIMIT_EXCEEDED", TransientError, 900.0),
        (400, "DUPLICATES_DETECTED", RejectedError, None),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", RejectedError, None),
        (400, "REQUIRED_FIELD_MISSING", RejectedError, None),
        (400, "INVALID_FIELD", RejectedError, None),
        (400, "MALFORMED_ID", RejectedError, None),
        (403, "INSUFFICIENT_ACCESS", RejectedError, None),
        (403, "API_DISABLED_FOR_ORG", AuthError, None),
        (401, "INVALID_SESSION_ID", AuthError, None),
        (404, "NOT_FOUND", NotFoundError, None),
        (404, "ENTITY_IS_DELETED", NotFoundError, None),
        (400, "ENTITY_IS_DELETED", NotFoundError, None),
        (500, "UNKNOWN_EXCEPTION", AmbiguousError, None),
        (400, "UNKNOWN_EXCEPTION", AmbiguousError, None),
    ],
)
def test_a_refused_write_says_what_happens_next(status: int, code: str, kind: Any, wait: float | None) -> None:
    error = error_of(refusal(status, code, fields=["Name"]))
    assert type(error) is kind
    assert (error.code, error.retry_after) == (code, wait)
    assert error.field == (None if wait else "Name")


def test_too_many_long_calls_at_once_are_over_soon() -> None:
    error = error_of(refusal(403, "REQUEST_LIMIT_EXCEEDED", message="ConcurrentPerOrgLongTxn Limit exceeded."))
    assert error is not None
    assert error.retry_after == 30.0


def test_a_missing_key_field_never_passes_for_a_missing_record() -> None:
    said = "Provided external ID field does not exist or is not accessible: Namez"
    assert type(error_of(refusal(404, "NOT_FOUND", message=said))) is RejectedError


def test_an_external_id_of_several_records_names_them() -> None:
    body = b'["/services/data/v66.0/sobjects/X/a01A", "/services/data/v66.0/sobjects/X/a01B"]'
    error = error_of(Reply(300, {}, body, "PATCH", "https://acme.example/x", write=True))
    assert type(error) is RejectedError
    assert "a01A, a01B" in error.message


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, [{"message": "down", "errorCode": "SERVER_UNAVAILABLE"}], UnavailableError),
        (503, None, UnavailableError),
        (500, [{"message": "lock", "errorCode": "UNABLE_TO_LOCK_ROW"}], AmbiguousError),
        (502, None, AmbiguousError),
        (404, None, NotFoundError),
        (400, None, RejectedError),
        (200, [{"message": "x", "errorCode": "UNKNOWN_EXCEPTION"}], AmbiguousError),
    ],
)
async def test_a_failing_server_leaves_the_fate_of_a_write_open(fake: Any, status: int, body: Any, kind: Any) -> None:
    from crossdock_salesforce.changes import Change, patch

    content = jsonio.dumps(body) if body else b"<html>Down for maintenance</html>"
    path = "PATCH /services/data/v66.0/sobjects/Account/0015g00000AAAAAAA4"
    _, connection = await fake({path: Response(content, status)})
    with pytest.raises(kind) as caught:
        await patch(connection, "Account", "0015g00000AAAAAAA4", [Change("x", "X", "string", "1")])
    assert type(caught.value) is kind


async def test_a_used_up_allowance_rests_the_whole_connection(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    await names(connection)
    simulator.api.allowance = 0
    with pytest.raises(TransientError, match="REQUEST_LIMIT_EXCEEDED") as caught:
        await names(connection)
    assert caught.value.retry_after == 900
    asked = len(simulator.requests)
    with pytest.raises(TransientError):
        await names(connection)
    assert len(simulator.requests) == asked


async def test_all_pages_of_a_query_are_read(simulator: SalesforceSimulator, connection: SalesforceConnection) -> None:
    simulator.queries.batch = 2
    for number in range(4):
        await simulator.trigger("opportunity.create", {"title": f"Deal {number}"})
    assert len(await names(connection)) == 5


@pytest.mark.parametrize("following", ["https://evil.example/services/data/v66.0/query/x", "/other", None])
async def test_credentials_do_not_follow_a_page_elsewhere(fake: Any, following: str | None) -> None:
    page = {"done": False, "nextRecordsUrl": following, "records": [{"Id": "1"}]}
    server, connection = await fake({"GET /services/data/v66.0/query": page})
    with pytest.raises(TransientError):
        await connection.rows("SELECT Id FROM Account")
    assert len(server.asked) == 2


@pytest.mark.parametrize("answer", [{"done": True, "records": [{"MasterLabel": "Won"}]}, {"records": []}, ["x"]])
async def test_stages_that_are_not_as_documented_may_pass(fake: Any, answer: Any) -> None:
    reply = Response(jsonio.dumps(answer))
    _, connection = await fake({"GET /services/data/v66.0/query": reply})
    with pytest.raises(TransientError):
        await connection.stages.get()


async def test_a_query_that_never_ends_is_given_up(fake: Any) -> None:
    page = {"done": False, "nextRecordsUrl": "/services/data/v66.0/query/01g-2", "records": [{"Id": "1"}]}
    answers = {"GET /services/data/v66.0/query": page, "GET /services/data/v66.0/query/01g-2": page}
    _, connection = await fake(answers)
    with pytest.raises(TransientError, match="does not move on"):
        await connection.rows("SELECT Id FROM Account")


async def test_accounts_are_told_apart_by_their_host(connect: Connect) -> None:
    one = await connect(KNOWN | {"client_secret": "secret"})
    other = await connect(
        KNOWN | {"client_secret": "secret", "base_url": "https://acme--uat.sandbox.my.salesforce.com"}
    )
    assert one.account == "salesforce:acme.my.salesforce.com"
    assert one.account != other.account
