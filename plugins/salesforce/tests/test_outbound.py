"""Outbound Messages: proven, harmless, acknowledged, and no more than a call for the next poll."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from crossdock_salesforce import outbound
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.simulator import SalesforceSimulator, messages
from crossdock_salesforce.source import SalesforceSource
from crossdock_sdk import PayloadError, PollRequest, VerificationError, WebhookReply, WebhookRequest
from crossdock_sdk.testing import serve

Connect = Callable[..., Awaitable[SalesforceConnection]]
Served = tuple[SalesforceSimulator, str]
ROW = {"Id": "0067Q0000000010QAA", "Name": "Müller & Söhne <AG>", "StageName": "Closed Won"}
TOKEN = "salesforce-simulator-token-no-secret"


def delivery(body: bytes, **query: str) -> WebhookRequest:
    return WebhookRequest("POST", "/webhooks/crm", {"content-type": "text/xml"}, body, query or {"token": TOKEN})


@pytest.fixture
def source(connection: SalesforceConnection) -> SalesforceSource:
    return SalesforceSource(connection)


@pytest.mark.parametrize("many", [1, 2, 100])
def test_a_message_of_up_to_a_hundred_notifications_calls_for_a_poll(source: SalesforceSource, many: int) -> None:
    request = delivery(messages.message([ROW] * many))
    source.verify(request)
    assert source.parse(request) == []
    assert source.calls_for_poll(request)
    told = outbound.read(request.body).notifications
    assert [(one.object, one.record) for one in told] == [("Opportunity", ROW["Id"])] * many
    assert len({one.id for one in told}) == many


def test_a_message_of_another_object_calls_for_nothing(source: SalesforceSource) -> None:
    request = delivery(messages.message([ROW]).replace(b"sf:Opportunity", b"sf:Account"))
    assert source.parse(request) == []
    assert not source.calls_for_poll(request)


def test_the_acknowledgement_is_what_salesforce_reads(source: SalesforceSource) -> None:
    reply = source.acknowledgement(delivery(messages.message([ROW])))
    assert reply is not None
    assert (reply.status, reply.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert messages.accepted(reply.body)
    assert not messages.accepted(b"")


@pytest.mark.parametrize("query", [{"token": "wrong"}, {"token": ""}, {"other": "x"}, {"token": TOKEN + "x"}])
def test_a_delivery_without_the_token_is_refused(source: SalesforceSource, query: dict[str, str]) -> None:
    with pytest.raises(VerificationError, match="token"):
        source.verify(delivery(messages.message([ROW]), **query))


def test_a_delivery_of_another_org_is_refused(source: SalesforceSource) -> None:
    with pytest.raises(VerificationError, match="another organization"):
        source.verify(delivery(messages.message([ROW], organization="00D000000000000AAA")))
    with pytest.raises(VerificationError, match="another organization"):
        source.verify(delivery(messages.message([ROW], organization="Überall")))


async def test_a_connection_without_a_token_takes_no_deliveries(served: Served, connect: Connect) -> None:
    simulator, url = served
    source = SalesforceSource(await connect(simulator.settings(url) | {"webhook": None}))
    with pytest.raises(VerificationError, match="no webhook token"):
        source.verify(delivery(messages.message([ROW])))


def test_a_session_id_is_masked_before_anything_else_sees_it(source: SalesforceSource) -> None:
    session = "00D7Q!AQ.a-live-credential"
    request = delivery(messages.message([ROW], session=session))
    source.verify(request)
    assert session not in source.connection.context.redactor.text(request.body.decode())
    assert session not in repr(outbound.read(request.body))


def test_sessions_that_ended_long_since_are_let_go(source: SalesforceSource) -> None:
    for number in range(20):
        source.verify(delivery(messages.message([ROW], session=f"00D7Q!a-live-credential-{number:02}")))
    shown = source.connection.context.redactor.text("a-live 00D7Q!a-live-credential-00 00D7Q!a-live-credential-19")
    assert "credential-00" in shown
    assert "credential-19" not in shown


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;</x>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>"""
REMOTE = b"""<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>"""


@pytest.mark.parametrize("body", [BOMB, FILE, REMOTE, b"<!DOCTYPE x><x/>"])
def test_a_document_type_is_refused_whatever_it_holds(source: SalesforceSource, body: bytes) -> None:
    source.verify(delivery(body))
    with pytest.raises(PayloadError, match="document type or an entity"):
        source.parse(delivery(body))


WHOLE = messages.message([ROW])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<x/>",
        WHOLE[:-20],
        b"<a>" * 5000,
        WHOLE.replace(b"sf:Id>", b"sf:Ib>"),
        WHOLE.replace(b"notifications", b"notified"),
        messages.message([]),
        messages.message([ROW] * 101),
        b"<a>" * 20 + b"</a>" * 20,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_outbound_message_is_refused(source: SalesforceSource, body: bytes) -> None:
    with pytest.raises(PayloadError):
        source.parse(delivery(body))


def test_a_message_that_is_nested_without_end_is_refused_at_once(source: SalesforceSource) -> None:
    deep = WHOLE.replace(b"<sf:Name>", b"<sf:Name>" + b"<x>" * 20 + b"</x>" * 20)
    with pytest.raises(PayloadError, match="nested too deeply"):
        source.parse(delivery(deep))


@pytest.fixture
async def heard(served: Served, connection: SalesforceConnection, stack: AsyncExitStack, listen: Any) -> Any:
    """A listener that the simulated org tells of its won opportunities, and that acknowledges as we do."""
    simulator, url = served
    listener = listen(SalesforceSource(connection).acknowledgement)
    simulator.subscribe(await stack.enter_async_context(serve(listener.app)) + "/hook", simulator.settings(url))
    return listener


async def test_a_win_is_told_by_message_and_by_poll_under_one_id(
    simulator: SalesforceSimulator, source: SalesforceSource, heard: Any, deal: str, clock: Any
) -> None:
    async def polled() -> list[str]:
        request = PollRequest(None, clock() - timedelta(days=1), timedelta(0), frozenset({"deal.won"}))
        return [event.id for event in (await source.poll(request)).events]

    await simulator.trigger("deal.won", {"id": deal})
    await simulator.settle()
    first = await polled()
    clock.forward(minutes=10)
    await simulator.trigger("deal.edit", {"id": deal, "title": "Renamed"})
    await simulator.settle()
    assert [source.calls_for_poll(request) for request in heard.requests] == [True, True]
    for request in heard.requests:
        source.verify(request)
    assert await polled() == first
    assert len(first) == 1


async def test_a_bare_200_is_no_acknowledgement_and_the_message_comes_again(
    simulator: SalesforceSimulator, source: SalesforceSource, heard: Any, deal: str
) -> None:
    replies: list[WebhookReply | None] = [WebhookReply(200), WebhookReply(500)]
    heard.answer = lambda request: replies.pop(0) if replies else source.acknowledgement(request)
    await simulator.trigger("deal.won", {"id": deal})
    await simulator.settle()
    assert len(heard.requests) == 3
    assert len({outbound.read(request.body).notifications[0].id for request in heard.requests}) == 1
