"""Handshakes, signatures, and what is read out of a delivery."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock_asana import AsanaConfig, AsanaConnection, AsanaSource
from crossdock_sdk import Context, Handshake, PayloadError, VerificationError, WebhookReply, WebhookRequest, jsonio
from hypothesis import given
from hypothesis import strategies as st

SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
AT = "2026-11-20T10:00:00.123Z"


@pytest.fixture
def source() -> AsanaSource:
    config = AsanaConfig(access_token="a-token-of-a-test", projects=("1201",))
    return AsanaSource(AsanaConnection(config, Context(name="board")))


def delivery(body: Any, *secrets: str, **headers: str) -> WebhookRequest:
    raw = body if isinstance(body, bytes) else jsonio.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WebhookRequest("POST", "/webhooks/board", named, raw, secrets=secrets)


def signature(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def change(field: str = "completed", *, gid: str = "12", at: str = AT, **more: Any) -> dict[str, Any]:
    """A compact event as in Asana's guide."""
    event: dict[str, Any] = {"user": {"gid": "9", "resource_type": "user"}, "created_at": at, "parent": None}
    event |= {"action": "changed", "change": {"field": field, "action": "changed"}}
    return event | {"resource": {"gid": gid, "resource_type": "task", "resource_subtype": "default_task"}} | more


def of(kind: str, **more: Any) -> dict[str, Any]:
    return change(**more) | {"resource": {"gid": "77", "resource_type": kind}}


def test_a_handshake_gives_the_secret_back(source: AsanaSource) -> None:
    answer = source.handshake(delivery(b"", x_hook_secret=SECRET))
    assert answer == Handshake(WebhookReply(200, {"X-Hook-Secret": SECRET}), SECRET)
    assert SECRET not in repr(answer.secret and Handshake(WebhookReply(), SECRET))
    assert AsanaSource.agrees_secrets


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="an ordinary delivery"),
        pytest.param({"x_hook_secret": ""}, id="an empty secret"),
        pytest.param({"x_hook_secret": "é"}, id="no ASCII"),
        pytest.param({"x_hook_secret": "a" * 513}, id="too long"),
        pytest.param({"x_hook_secret": SECRET, "x_hook_signature": "00"}, id="a signed delivery"),
    ],
)
def test_what_is_no_handshake_is_none(source: AsanaSource, headers: dict[str, str]) -> None:
    assert source.handshake(delivery(b"{}", **headers)) is None


def test_the_signature_is_the_hex_hmac_of_the_raw_body(source: AsanaSource) -> None:
    known = "55ad76252141f85b34debc7376f87b89c54b939e3a7663464ab3e49029495bf5"
    source.verify(delivery(b'{"events":[]}', "test-secret", x_hook_signature=known))
    with pytest.raises(VerificationError):
        source.verify(delivery(b'{"events": []}', "test-secret", x_hook_signature=known))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_of_the_agreed_secrets_will_do(source: AsanaSource, place: int) -> None:
    agreed = ["newest", "older", "oldest"]
    body = b'{"events": []}'
    source.verify(delivery(body, *agreed, x_hook_signature=signature(body, agreed[place])))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_hook_signature": ""},
        {"x_hook_signature": signature(b"{}", "another")},
        {"x_hook_signature": signature(b"{}", "")},
        {"x_hook_signature": signature(b"{}", SECRET).upper()},
        {"x_hook_signature": "ü"},
    ],
)
def test_any_other_signature_is_refused(source: AsanaSource, headers: dict[str, str]) -> None:
    for secrets in ((SECRET,), (SECRET, "")):
        with pytest.raises(VerificationError, match="x-hook-signature is missing or wrong"):
            source.verify(delivery(b"{}", *secrets, **headers))


def test_without_a_secret_nothing_is_taken_and_the_log_says_what_to_do(source: AsanaSource) -> None:
    with pytest.raises(VerificationError, match=r"connection board has agreed no secret.*crossdock hooks sync"):
        source.verify(delivery(b"{}", x_hook_signature=signature(b"{}", "")))


def test_a_heartbeat_starts_nothing(source: AsanaSource) -> None:
    assert source.parse(delivery({"events": []})) == []


def test_a_completion_is_a_completion_and_a_change(source: AsanaSource) -> None:
    completed, changed = source.parse(delivery({"events": [change()]}))
    assert (completed.type, completed.id) == ("task.completed", "task.completed:12:2026-11-20T10:00:00Z")
    assert completed.data == {"task": {"id": "12", "completed_at": "2026-11-20T10:00:00Z"}}
    assert (changed.type, changed.id) == ("task.changed", "task.changed:12:2026-11-20T10:00:00.123Z:completed")
    assert changed.data == {"task": {"id": "12", "updated_at": AT, "native": {"change": "completed"}}}
    assert changed.occurred_at == datetime(2026, 11, 20, 10, 0, 0, 123000, tzinfo=UTC)
    assert completed.subject == changed.subject == "12"


def test_another_field_is_a_change_only(source: AsanaSource) -> None:
    told = source.parse(delivery({"events": [change("name"), change("custom_fields")]}))
    assert [event.type for event in told] == ["task.changed", "task.changed"]
    assert len({event.id for event in told}) == 2


def test_a_deletion_tells_the_id_and_no_more(source: AsanaSource) -> None:
    gone = change(action="deleted")
    del gone["change"]
    [event] = source.parse(delivery({"events": [gone]}))
    assert (event.type, event.id) == ("task.deleted", f"task.deleted:12:{AT}")
    assert event.data == {"task": {"id": "12"}}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(of("story", action="added"), id="a story"),
        pytest.param(of("section"), id="a section"),
        pytest.param(of("project"), id="the project"),
        pytest.param(change(action="added"), id="a task is added to the project"),
        pytest.param(change(action="removed"), id="a task leaves the project"),
        pytest.param(change(action="undeleted"), id="a task is restored"),
        pytest.param(change(action="folded"), id="an action of some later version"),
    ],
)
def test_noise_starts_nothing(source: AsanaSource, event: dict[str, Any]) -> None:
    assert source.parse(delivery({"events": [event]})) == []


def test_the_same_event_twice_is_one_and_the_user_does_not_tell_it_apart(source: AsanaSource) -> None:
    again = change("name", user=None)
    assert len(source.parse(delivery({"events": [change("name"), again, change("name")]}))) == 1


def test_what_happens_to_other_tasks_at_other_times_is_another_event(source: AsanaSource) -> None:
    events = [change("name"), change("name", gid="13"), change("name", at="2026-11-20T10:00:00.124Z"), change("notes")]
    assert len({event.id for event in source.parse(delivery({"events": events}))}) == 4


def test_an_instant_is_the_same_in_every_notation(source: AsanaSource) -> None:
    notations = (AT, "2026-11-20T11:00:00.123+01:00", "2026-11-20T10:00:00.123000Z")
    assert len({source.parse(delivery({"events": [change("name", at=at)]}))[0].id for at in notations}) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param([], id="a list"),
        pytest.param({}, id="no events"),
        pytest.param({"events": None}, id="events is null"),
        pytest.param({"events": {}}, id="events is an object"),
        pytest.param({"events": ["changed"]}, id="an event is a text"),
        pytest.param({"events": [change(resource=None)]}, id="no resource"),
        pytest.param({"events": [change(gid="../1")]}, id="a gid that is none"),
        pytest.param({"events": [change(created_at=None)]}, id="no instant"),
        pytest.param({"events": [change(at="2026-11-20T10:00:00")]}, id="no zone"),
        pytest.param({"events": [change(at="0001-01-01T00:00:00+14:00")]}, id="before the calendar"),
        pytest.param({"events": [change(change=None)]}, id="no change"),
        pytest.param({"events": [change(change={"field": 5})]}, id="a field that is a number"),
        pytest.param({"events": [change("")]}, id="a field without a name"),
        pytest.param({"events": [change(), 5]}, id="one of two"),
    ],
)
def test_what_asana_does_not_document_is_a_payload_error(source: AsanaSource, body: Any) -> None:
    with pytest.raises(PayloadError):
        source.parse(delivery(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["task", "changed", "deleted", "12", AT, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(change())), inner, max_size=5),
)
RESOURCE = st.fixed_dictionaries({"gid": st.just("12") | JSON, "resource_type": st.just("task") | JSON})
EVENT = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["changed", "deleted", "added"]) | JSON,
        "resource": st.fixed_dictionaries({"gid": st.just("12") | JSON, "resource_type": st.just("task") | JSON})
        | JSON,
        "created_at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | JSON,
        "change": st.fixed_dictionaries({"field": st.text(min_size=1) | JSON}) | JSON,
    }
)


@given(st.lists(EVENT, max_size=4))
def test_whatever_comes_is_events_or_a_payload_error(events: list[Any]) -> None:
    config = AsanaConfig(access_token="a-token-of-a-test")
    source = AsanaSource(AsanaConnection(config, Context(name="board")))
    try:
        told = source.parse(delivery({"events": events}))
    except PayloadError:
        return
    specs = {spec.type: spec for spec in source.events}
    assert len({event.id for event in told}) == len(told)
    for event in told:
        assert event.subject == "12"
        assert event.occurred_at is not None
        for path in specs[event.type].known:
            assert event.data["task"][path.removeprefix("task.")]


@given(st.permutations([change("name"), change("completed"), change("notes", gid="13"), change("name", gid="14")]))
def test_the_order_of_a_delivery_does_not_change_what_it_tells(events: list[Any]) -> None:
    config = AsanaConfig(access_token="a-token-of-a-test")
    source = AsanaSource(AsanaConnection(config, Context(name="board")))
    assert len({event.id for event in source.parse(delivery({"events": events + events}))}) == 5


def test_a_connection_without_projects_is_a_sink_only() -> None:
    assert AsanaConfig(access_token="a-token-of-a-test").projects == ()
    with pytest.raises(ValueError, match="projects"):
        AsanaConfig.model_validate({"access_token": "a-token-of-a-test", "projects": ["Onboarding"]})
