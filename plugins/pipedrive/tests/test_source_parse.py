from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConfig, PipedriveConnection
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import Context, PayloadError, VerificationError, WebhookRequest, jsonio
from crossdock_sdk.contracts.connection import ConnectionConfig
from hypothesis import given
from hypothesis import strategies as st

TEXT_FIELD = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"


@pytest.fixture
async def source(connect: Any) -> PipedriveSource:
    webhook = {"user": "hook", "password": "horse-battery"}
    return PipedriveSource(await connect("http://127.0.0.1:9", webhook=webhook))


def delivery(body: Any, **headers: str) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else jsonio.dumps(body)
    return WebhookRequest("POST", "/webhooks/crm", headers, raw)


def change(previous: Any = None, *, action: str = "change", **data: Any) -> dict[str, Any]:
    """A v2 body as in Pipedrive's guide; `data` overrides the deal's fields."""
    deal = {"id": 812, "title": "Acme renewal", "status": "won", "value": 1200, "currency": "EUR"}
    deal |= {"won_time": "2026-11-20T10:00:00Z", "custom_fields": {TEXT_FIELD: {"type": "varchar", "value": "INV-1"}}}
    meta: dict[str, Any] = {"action": action, "entity": "deal", "entity_id": "812", "id": "0c8e-uuid"}
    meta |= {"version": "2.0", "timestamp": "2026-11-20T10:00:00.123Z", "change_source": "app", "attempt": 1}
    return {"meta": meta, "data": deal | data, "previous": previous}


WON = {"status": "open", "stage_id": 3, "won_time": None}


def test_a_change_to_won_is_one_event(source: PipedriveSource) -> None:
    [event] = source.parse(delivery(change(WON)))
    assert event.type == "deal.won"
    assert event.id == "deal.won:812:2026-11-20T10:00:00Z"
    assert event.subject == "812"
    assert event.data == {"deal": {"id": "812", "title": "Acme renewal"}}
    assert event.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_deal_created_as_won_is_an_event(source: PipedriveSource) -> None:
    [event] = source.parse(delivery(change(None, action="create")))
    assert event.subject == "812"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(change({"custom_fields": {TEXT_FIELD: None}}), id="our own write-back comes back"),
        pytest.param(change({"title": "Acme"}), id="a won deal is renamed"),
        pytest.param(change(None), id="a change without previous"),
        pytest.param(change({"status": "open"}, status="lost"), id="lost"),
        pytest.param(change({"status": "won"}, status="open", won_time=None), id="reopened"),
        pytest.param(change(None, action="create", status="open"), id="created open"),
        pytest.param(change(WON, action="delete") | {"data": None}, id="deleted"),
        pytest.param(change(WON) | {"meta": {"entity": "person", "action": "change"}}, id="a person changed"),
        pytest.param(change(WON) | {"meta": {"entity": "lead", "action": "create"}}, id="a lead was created"),
        pytest.param({"meta": {"entity": "deal", "action": "merge"}}, id="an action of some later version"),
    ],
)
def test_anything_else_is_no_event(source: PipedriveSource, body: dict[str, Any]) -> None:
    assert source.parse(delivery(body)) == []


def test_retries_and_other_subscriptions_tell_of_the_same_event(source: PipedriveSource) -> None:
    first, retry, other = change(WON), change(WON), change(WON)
    retry["meta"]["attempt"] = 3
    other["meta"] |= {"id": "another-uuid", "webhook_id": "32", "timestamp": "2026-11-20T10:00:04.000Z"}
    ids = {source.parse(delivery(body))[0].id for body in (first, retry, other)}
    assert len(ids) == 1


def test_a_second_win_is_another_event(source: PipedriveSource) -> None:
    first = source.parse(delivery(change(WON)))[0]
    second = source.parse(delivery(change(WON, won_time="2026-12-01T08:00:00Z")))[0]
    assert first.id != second.id
    assert first.subject == second.subject


def test_the_instant_is_the_same_event_in_every_notation(source: PipedriveSource) -> None:
    notations = ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00+01:00", "2026-11-20 10:00:00", "2026-11-20T10:00:00.000Z")
    assert len({source.parse(delivery(change(WON, won_time=text)))[0].id for text in notations}) == 1


def test_without_won_time_the_deliverys_own_id_tells_wins_apart(source: PipedriveSource) -> None:
    [event] = source.parse(delivery(change(WON, won_time=None)))
    assert event.id == "deal.won:812:0c8e-uuid"
    assert event.occurred_at == datetime(2026, 11, 20, 10, 0, 0, 123000, tzinfo=UTC)


def test_meta_with_numbers_is_understood(source: PipedriveSource) -> None:
    body = change(WON, won_time=None)
    body["meta"] |= {"entity_id": 812, "id": 1, "timestamp": 1727447128}
    [event] = source.parse(delivery(body))
    assert event.id == "deal.won:812:1"
    assert event.occurred_at == datetime(2024, 9, 27, 14, 25, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param([change(WON)], id="a list"),
        pytest.param("deal", id="a text"),
        pytest.param({"data": {}}, id="no meta"),
        pytest.param({"meta": "change"}, id="meta is a text"),
        pytest.param({"meta": {"action": "change"}}, id="no entity"),
        pytest.param({"meta": {"action": 1, "entity": "deal"}}, id="action is a number"),
        pytest.param({"meta": {"action": "updated", "object": "deal"}, "current": {}}, id="webhooks v1"),
        pytest.param(change(WON) | {"data": None}, id="a change without data"),
        pytest.param(change(WON) | {"data": [1]}, id="data is a list"),
        pytest.param(change(WON, status=None), id="status is null"),
        pytest.param(change(WON, status=["won"]), id="status is a list"),
        pytest.param(change(["status"]), id="previous is a list"),
        pytest.param(change("status"), id="previous is a text"),
        pytest.param(change(WON, id=True), id="id is true"),
        pytest.param(change(WON, id="../1"), id="id is a path"),
        pytest.param(change(WON, id=[8]), id="id is a list"),
        pytest.param(change(WON, won_time="soon"), id="won_time is no instant"),
        pytest.param(change(WON, won_time=12), id="won_time is a number"),
        pytest.param(change(WON, won_time=None) | {"meta": {"entity": "deal", "action": "change"}}, id="no id at all"),
    ],
)
def test_what_is_not_documented_is_a_payload_error(source: PipedriveSource, body: Any) -> None:
    with pytest.raises(PayloadError):
        source.parse(delivery(body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
known = st.sampled_from(["won", "open", "deal", "change", "create", "2026-11-20T10:00:00Z"]) | json_values
bodies = json_values | st.fixed_dictionaries(
    {
        "meta": json_values
        | st.fixed_dictionaries({"entity": known, "action": known, "id": known, "timestamp": known}),
        "data": json_values | st.fixed_dictionaries({"id": known, "status": known, "won_time": known, "title": known}),
        "previous": json_values | st.fixed_dictionaries({"status": known}),
    }
)


@given(bodies)
def test_no_json_makes_parse_fail_otherwise(body: Any) -> None:
    source = PipedriveSource(Untouched())
    try:
        events = source.parse(delivery(body))
    except PayloadError:
        return
    assert all(event.subject.isdigit() and event.data["deal"]["id"] == event.subject for event in events)


class Untouched:
    """A connection that parse must not use."""


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_configured_credentials_open(source: PipedriveSource) -> None:
    source.verify(delivery(b"", authorization=basic("hook", "horse-battery")))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": basic("hook", "wrong")},
        {"authorization": basic("other", "horse-battery")},
        {"authorization": basic("hook", "horse-battery")[:-4]},
        {"authorization": "Bearer horse-battery"},
        {"authorization": "Basic %%%"},
    ],
)
def test_other_credentials_do_not(source: PipedriveSource, headers: dict[str, str]) -> None:
    with pytest.raises(VerificationError):
        source.verify(delivery(b"", **headers))


async def test_a_connection_without_webhook_settings_takes_nothing(connect: Any) -> None:
    source = PipedriveSource(await connect("http://127.0.0.1:9"))
    with pytest.raises(VerificationError, match="crm"):
        source.verify(delivery(b"", authorization=basic("", "")))


def test_settings_are_checked_and_secrets_are_registered() -> None:
    config = PipedriveConfig.model_validate(
        {"api_token": "s3cret-token", "webhook": {"user": "hook", "password": "horse-battery"}}
    )
    assert config.base_url == "https://acme.pipedrive.com"
    context = Context("crm")
    assert issubclass(PipedriveConnection.Config, ConnectionConfig)
    PipedriveConnection(config, context)
    assert context.redactor.text("s3cret-token horse-battery") == "[redacted] [redacted]"
    assert PipedriveConfig(base_url="http://127.0.0.1:9000/pipedrive/", api_token="s3cret-token").base_url == (
        "http://127.0.0.1:9000/pipedrive"
    )


@pytest.mark.parametrize("url", ["acme.pipedrive.com", "ftp://acme.pipedrive.com", "https://", "https://a.b/?x=1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        PipedriveConfig.model_validate({"api_token": "s3cret-token", "base_url": url})


@pytest.mark.parametrize(
    "url", ["https://Acme.pipedrive.com", "https://acme.pipedrive.com/", "http://acme.pipedrive.com:80"]
)
async def test_an_account_is_the_companys_host_whatever_token_reaches_it(connect: Any, url: str) -> None:
    assert (await connect(url, api_token="another-token")).account == "pipedrive:acme.pipedrive.com"
