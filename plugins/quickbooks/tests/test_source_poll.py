"""Polling by change data capture: what it asks, what it tells, and what it says of what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import PollRequest, TransientError, jsonio
from crossdock_sdk.testing import Fault

Poll = Callable[..., Any]


def asked(books: QuickBooksSimulator) -> list[dict[str, str]]:
    """The queries of all polls so far."""
    calls = [r["query"] for r in books.requests if r["path"].endswith("/cdc")]
    return [{name: values[0] for name, values in parse_qs(call).items()} for call in calls]


@pytest.mark.parametrize(
    ("events", "entities"),
    [
        ({"invoice.paid"}, "Invoice"),
        ({"payment.created"}, "Payment"),
        ({"invoice.voided", "payment.created"}, "Invoice,Payment"),
    ],
)
async def test_only_what_flows_wait_for_is_read_and_told(
    events: set[str], entities: str, books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    ident = invoice()
    await books.trigger("payment.create", {"invoice": ident})
    await books.trigger("invoice.void", {"invoice": invoice()})
    page = await poll(frozenset(events))
    assert [call["entities"] for call in asked(books)] == [entities]
    assert {e.type for e in page.events} == events
    assert (page.more, page.missed) == (False, None)


async def test_where_no_flow_waits_nothing_is_asked(books: QuickBooksSimulator, poll: Poll) -> None:
    page = await poll(frozenset())
    assert (page.events, page.more, asked(books)) == ((), False, [])


async def test_events_come_oldest_first_and_each_poll_goes_back_by_the_overlap(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    first = invoice()
    clock.pass_by(minutes=1)
    await books.trigger("payment.create", {"invoice": invoice(), "amount": 1})
    clock.pass_by(minutes=1)
    await books.trigger("invoice.edit", {"invoice": first, "PrivateNote": "x"})
    page = await poll()
    assert [e.occurred_at for e in page.events] == sorted(e.occurred_at for e in page.events)
    assert [e.subject for e in page.events if e.type == "invoice.updated"] == ["2", first]
    assert [e.type for e in page.events if e.subject == "3"] == ["payment.created"]
    await poll(overlap=timedelta(minutes=7))
    assert asked(books)[0]["changedSince"] == "2026-11-20T00:00:00+00:00"
    assert asked(books)[1]["changedSince"] == "2026-11-23T09:25:00+00:00"


async def test_quickbooks_clock_says_how_far_it_was_read(
    source: QuickBooksSource, books: QuickBooksSimulator, clock: Any
) -> None:
    books.clock = lambda: clock() - timedelta(minutes=20)
    request = PollRequest(None, clock() - timedelta(days=1), timedelta(minutes=10), frozenset({"invoice.paid"}))
    cursor = (await source.poll(request)).cursor
    await source.poll(PollRequest(cursor, request.since, request.overlap, request.events))
    assert asked(books)[1]["changedSince"] == "2026-11-23T09:00:00+00:00"


async def test_what_happened_before_the_beginning_is_not_told(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    await books.trigger("payment.create", {"invoice": invoice()})
    clock.pass_by(minutes=3)
    since = clock()
    later = invoice()
    books.sales.changed("Payment", books.sales.rows["Payment"]["2"])
    page = await poll(since=since)
    assert [(e.type, e.subject) for e in page.events] == [("invoice.updated", later)]
    page = await poll(since=since)
    assert asked(books)[1]["changedSince"] == since.isoformat()


async def test_what_was_deleted_is_told_by_tombstones_and_is_no_event(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    await books.trigger("invoice.delete", {"invoice": invoice()})
    assert books.capture.tombstones["Invoice"][0]["status"] == "Deleted"
    assert (await poll()).events == ()


async def test_a_void_payment_is_not_told(books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll) -> None:
    ident = invoice()
    made = (await books.trigger("payment.create", {"invoice": ident}))["payment"]
    await books.trigger("payment.void", {"payment": made["Id"]})
    assert [(e.type, e.subject) for e in (await poll()).events] == [("invoice.updated", ident)]


async def test_an_invoice_whose_state_is_not_clear_is_left_to_the_reading(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    del books.sales.rows["Invoice"][invoice()]["Balance"]
    assert {e.type for e in (await poll()).events} == {"invoice.updated", "invoice.paid", "invoice.voided"}


async def test_what_is_older_than_thirty_days_is_said_to_be_missed_once(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    await poll()
    lost = invoice()
    clock.pass_by(days=31)
    kept = invoice()
    page = await poll()
    assert page.missed == (
        "QuickBooks tells of the last 30 days only; "
        "look by hand for invoices and payments of 2026-11-23 09:20 to 2026-11-24 09:35 UTC"
    )
    assert [e.subject for e in page.events] == [kept]
    assert lost != kept
    assert asked(books)[1]["changedSince"] == "2026-11-24T09:35:00+00:00"
    page = await poll()
    assert (page.missed, asked(books)[2]["changedSince"]) == (None, "2026-12-24T09:20:00+00:00")


async def test_a_cursor_of_another_hand_is_read_from_the_beginning(
    source: QuickBooksSource, books: QuickBooksSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    since = datetime(2026, 11, 20, tzinfo=UTC)
    wrong = ["", "17", "{}", '{"seen": "x", "after": null, "reading": []}']
    wrong.append('{"seen": "2026-11-20T00:00:00Z", "after": null, "reading": [["Bill", "2026-11-20T00:00:00Z", 1]]}')
    for cursor in wrong:
        page = await source.poll(PollRequest(cursor, since, timedelta(0), frozenset({"invoice.paid"})))
        assert jsonio.loads(page.cursor)["seen"] == "2026-11-23T09:30:00+00:00"
    assert {call["changedSince"] for call in asked(books)} == {since.isoformat()}
    assert len([r for r in caplog.records if "is none of QuickBooks'" in r.getMessage()]) == len(wrong)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"CDCResponse": 5},
        {"CDCResponse": [{}]},
        {"CDCResponse": [{"QueryResponse": [5]}]},
        {"CDCResponse": [{"QueryResponse": [{"Fault": {"Error": []}}]}]},
        {"CDCResponse": [{"QueryResponse": [{"Invoice": {}}]}]},
        {"CDCResponse": [{"QueryResponse": [{"Invoice": [{"SyncToken": "0"}]}]}]},
        {"CDCResponse": [{"QueryResponse": [{"Invoice": [{"Id": "7"}]}]}]},
    ],
)
async def test_a_reply_that_is_not_as_documented_is_never_taken_for_no_changes(
    body: Any, books: QuickBooksSimulator, poll: Poll
) -> None:
    books.faults.append(Fault(kind="status", path="*/cdc", status=200, body=body))
    with pytest.raises(TransientError, match=r"/cdc: HTTP 200, "):
        await poll()


async def test_no_changes_are_no_events(books: QuickBooksSimulator, poll: Poll) -> None:
    for body in (
        {"CDCResponse": []},
        {"CDCResponse": [{"QueryResponse": [{}, {}]}], "time": "2026-11-23T01:00:00-08:00"},
    ):
        books.faults.append(Fault(kind="status", path="*/cdc", status=200, body=body))
        assert (await poll()).events == ()
