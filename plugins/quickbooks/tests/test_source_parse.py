"""What a delivery is taken for, in both formats, and what is left out of it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConfig, QuickBooksConnection
from crossdock_quickbooks.simulator.webhooks import signature
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import Context, PayloadError, VerificationError, WebhookRequest, jsonio
from hypothesis import given, settings
from hypothesis import strategies as st

REALM = "9130"
TOKEN = "verifier-of-a-test"


def source_of(**other: Any) -> QuickBooksSource:
    keys = {"realm_id": REALM, "client_id": "c", "client_secret": "s", "webhook": {"verifier_token": TOKEN}}
    return QuickBooksSource(QuickBooksConnection(QuickBooksConfig.model_validate(keys | other), Context("books")))


def delivery(body: Any, signed: str | None = None) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else jsonio.dumps(body)
    return WebhookRequest("POST", "/webhooks/books", {"intuit-signature": signed or signature(raw, TOKEN)}, raw)


def cloud(kind: str = "qbo.invoice.updated.v1", **other: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "88cd52aa-33b6-4351-9aa4-47572edbd068",
        "source": "intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU=",
        "type": kind,
        "datacontenttype": "application/json",
        "time": "2026-11-23T09:30:05.179550720Z",
        "intuitentityid": "1234",
        "intuitaccountid": REALM,
        "data": {},
    } | other


def old(operation: str = "Update", name: str = "Invoice", **other: Any) -> dict[str, Any]:
    told = {"name": name, "id": "1234", "operation": operation, "lastUpdated": "2026-11-23T01:30:05-0800"}
    return {"eventNotifications": [{"realmId": REALM, "dataChangeEvent": {"entities": [told | other]}}]}


def types(body: Any) -> list[str]:
    return [event.type for event in source_of().parse(delivery(body))]


def test_a_delivery_is_authentic_by_its_signature_over_the_raw_body() -> None:
    source_of().verify(delivery([cloud()]))
    for signed in ("AAAA", signature(b"[]", TOKEN), signature(jsonio.dumps([cloud()]), "other"), "ü"):
        with pytest.raises(VerificationError, match="intuit-signature"):
            source_of().verify(delivery([cloud()], signed))
    with pytest.raises(VerificationError, match="intuit-signature"):
        source_of().verify(WebhookRequest("POST", "/", {}, b"[]"))


def test_without_a_verifier_token_nothing_is_authentic() -> None:
    with pytest.raises(VerificationError, match="connection books takes no deliveries"):
        source_of(webhook=None).verify(delivery([cloud()]))


@pytest.mark.parametrize(
    ("verb", "operation", "told"),
    [
        ("created", "Create", ["invoice.updated", "invoice.paid"]),
        ("updated", "Update", ["invoice.updated", "invoice.paid", "invoice.voided"]),
        ("voided", "Void", ["invoice.updated", "invoice.voided"]),
        ("emailed", "Emailed", ["invoice.updated"]),
        ("deleted", "Delete", []),
        ("merged", "Merge", []),
        ("pardoned", "Pardon", []),
    ],
)
def test_each_verb_has_its_candidates_in_both_formats(verb: str, operation: str, told: list[str]) -> None:
    assert types([cloud(f"qbo.invoice.{verb}.v1")]) == told
    assert types([cloud(f"QBO.Invoice.{verb.upper()}.V1")]) == told
    assert types(old(operation)) == types(old(operation.upper())) == told


@pytest.mark.parametrize("verb", ["created", "updated", "deleted", "voided"])
def test_of_payments_only_the_creation_is_an_event_and_each_change_calls_for_a_poll(verb: str) -> None:
    body = [cloud(f"qbo.payment.{verb}.v1")]
    assert types(body) == (["payment.created"] if verb == "created" else [])
    assert source_of().calls_for_poll(delivery(body))
    assert source_of().calls_for_poll(delivery(old(verb[:-1] if verb != "voided" else "void", "Payment")))


def test_what_is_no_payment_calls_for_no_poll() -> None:
    assert not source_of().calls_for_poll(delivery([cloud(), cloud("qbo.billpayment.created.v1")]))
    assert not source_of().calls_for_poll(delivery([cloud("qbo.payment.emailed.v1")]))
    assert not source_of().calls_for_poll(delivery(b"<xml/>"))


@pytest.mark.parametrize(
    "kind", ["qbo.account.created.v1", "qbo.invoice.updated.v2", "qbo.invoice.v1", "crm.invoice.updated.v1"]
)
def test_other_entities_and_versions_are_left_out_without_a_word(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    assert types([cloud(kind, intuitentityid=None), cloud("qbo.payment.created.v1")]) == ["payment.created"]
    assert not caplog.records


def test_an_event_says_what_happened_when_and_to_what() -> None:
    event = source_of().parse(delivery([cloud()]))[1]
    assert (event.type, event.id) == ("invoice.paid", "invoice.paid:9130:1234:2026-11-23T09:30:05Z")
    assert (event.subject, event.data) == ("1234", {"invoice": {"id": "1234"}})
    assert event.occurred_at == datetime(2026, 11, 23, 9, 30, 5, 179550, tzinfo=UTC)


def test_both_formats_give_the_same_ids() -> None:
    source = source_of()
    new, before = source.parse(delivery([cloud()])), source.parse(delivery(old()))
    assert [e.id for e in new] == [e.id for e in before]
    payments = [
        source.parse(delivery(body))[0].id for body in ([cloud("qbo.payment.created.v1")], old("Create", "Payment"))
    ]
    assert payments == ["payment.created:9130:1234"] * 2


def test_what_is_told_twice_is_one_event_and_a_void_is_remembered_as_one() -> None:
    source = source_of()
    events = source.parse(delivery([cloud(), cloud("qbo.invoice.voided.v1"), cloud()]))
    assert [e.type for e in events] == ["invoice.updated", "invoice.paid", "invoice.voided"]
    assert events[2].data == {"invoice": {"id": "1234", "status": "voided"}}


@pytest.mark.parametrize(("environment", "suffix"), [("production", ""), ("sandbox", ":sandbox")])
def test_each_element_goes_to_the_account_of_its_company(environment: str, suffix: str) -> None:
    source = source_of(environment=environment)
    other = source_of(environment=environment, realm_id="9131")
    mixed = [cloud("qbo.invoice.emailed.v1"), cloud("qbo.invoice.emailed.v1", intuitaccountid="9131")]
    companies = {"eventNotifications": old("Emailed")["eventNotifications"] * 2}
    companies["eventNotifications"][1] = {**companies["eventNotifications"][1], "realmId": "9131"}
    for body in (mixed, companies):
        accounts = [e.account for e in source.parse(delivery(body))]
        assert accounts == [source.connection.account, other.connection.account]
        assert accounts == [f"quickbooks:9130{suffix}", f"quickbooks:9131{suffix}"]
    assert len({e.id for e in source.parse(delivery(mixed))}) == 2


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (17, "it is no object"),
        ({"specversion": "1.0"}, "it has no type"),
        (cloud(time="yesterday"), "its time 'yesterday' is no instant"),
        (cloud(time="2026-11-23T09:30:05"), "is no instant with a zone"),
        (cloud(time="0001-01-01T00:00:00+14:00"), "is no instant with a zone"),
        (cloud(time=None), "its time None"),
        (cloud(intuitentityid=None), "its entity id None is no number"),
        (cloud(intuitentityid="1; DROP"), "its entity id '1; DROP' is no number"),
        (cloud(intuitaccountid=True), "its company id True is no number"),
    ],
)
def test_a_bad_element_is_named_in_the_log_and_blocks_no_other(
    bad: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = cloud("qbo.payment.created.v1")
    with caplog.at_level(logging.WARNING):
        assert types([good | {"intuitentityid": "1"}, bad, good]) == ["payment.created"] * 2
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("an element of a delivery to books is left out: [1]: ")
    assert why in caplog.records[0].getMessage()


def test_a_bad_element_of_the_old_format_is_named_too(caplog: pytest.LogCaptureFixture) -> None:
    body = old("Create", "Payment")
    body["eventNotifications"] = [7, {"realmId": REALM}, *body["eventNotifications"]]
    body["eventNotifications"][2]["dataChangeEvent"]["entities"] += [{"name": "Invoice", "operation": "Update"}, 8]
    with caplog.at_level(logging.WARNING):
        assert types(body) == ["payment.created"]
    named = [r.getMessage().split(": ")[1] for r in caplog.records]
    at = "eventNotifications"
    assert named == [f"{at}[0]", f"{at}[1]", f"{at}[2].entities[1]", f"{at}[2].entities[2]"]


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"{}", b"5", b"null", b'{"eventNotifications": {}}', b"[" * 100_000])
def test_a_body_of_neither_format_is_no_delivery(body: bytes) -> None:
    with pytest.raises(PayloadError):
        source_of().parse(delivery(body))


def test_a_lone_cloud_event_is_read_like_one_in_an_array() -> None:
    assert types(cloud()) == types([cloud()])


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_verbs = st.sampled_from(["qbo.invoice.updated.v1", "qbo.payment.created.v1", "Invoice", "Update"]) | _json
_element = st.fixed_dictionaries(
    {},
    optional={
        "type": _verbs,
        "time": st.datetimes().map(str) | _json,
        "intuitentityid": _json,
        "intuitaccountid": _json,
        "name": _verbs,
        "operation": _verbs,
        "id": _json,
        "lastUpdated": _json,
    },
)
_company = st.fixed_dictionaries({"realmId": _json, "dataChangeEvent": st.just({}) | _json})
_bodies = (
    _json
    | st.lists(_element | _json, max_size=4)
    | st.fixed_dictionaries({"eventNotifications": st.lists(_company | _json, max_size=3)})
    | st.lists(_element, max_size=3).map(
        lambda found: {"eventNotifications": [{"realmId": "1", "dataChangeEvent": {"entities": found}}]}
    )
)


@settings(deadline=None)
@given(_bodies)
def test_whatever_json_comes_nothing_but_a_payload_error_is_raised(body: Any) -> None:
    source = source_of()
    request = delivery(body)
    assert source.calls_for_poll(request) in (True, False)
    try:
        events = source.parse(request)
    except PayloadError:
        return
    assert all(event.account and event.subject.isdigit() and event.occurred_at for event in events)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([cloud(), cloud("qbo.payment.created.v1"), 5, {"type": 1}, cloud(time="x")]), max_size=6)
)
def test_every_good_element_is_told_whatever_stands_beside_it(elements: list[Any]) -> None:
    told = set(types(elements))
    assert ("payment.created" in told) == (cloud("qbo.payment.created.v1") in elements)
    assert ("invoice.paid" in told) == (cloud() in elements)
