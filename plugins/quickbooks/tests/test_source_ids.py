"""One happening has one id, by whichever way it is told: both formats of webhooks, and change data capture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.simulator.webhooks import Format
from crossdock_quickbooks.source import QuickBooksSource
from crossdock_sdk import Event, EventVoid

Poll = Callable[..., Any]


async def holding(source: QuickBooksSource, events: list[Event]) -> set[str]:
    """The ids of the events that hold when they are read."""
    kept = set()
    for event in events:
        try:
            await source.hydrate(event)
        except EventVoid:
            continue
        kept.add(event.id)
    return kept


@pytest.mark.parametrize("written", ["cloudevents", "notifications", "alternating"])
async def test_what_a_delivery_tells_and_holds_is_what_the_poll_tells(
    written: Format,
    source: QuickBooksSource,
    books: QuickBooksSimulator,
    invoice: Callable[..., str],
    listener: Any,
    poll: Poll,
    clock: Any,
) -> None:
    books.webhooks.format = written
    one, two, three, four = (invoice(total) for total in (100, 60, 30, 10))
    books.webhooks.flush()
    clock.pass_by(seconds=61.75)
    await books.trigger("payment.create", {"invoices": {one: None, two: 20}})
    await books.trigger("invoice.void", {"invoice": three})
    await books.trigger("invoice.edit", {"invoice": four, "PrivateNote": "by hand"})
    await books.settle()
    told = listener.events(source)
    # What each invoice was when it was made is past: a poll shows only what stands now.
    first = told[0].occurred_at
    assert first is not None
    latest = [e for e in told if e.occurred_at and e.occurred_at > first + timedelta(seconds=30)]
    polled = (await poll()).events
    clock.pass_by(seconds=4)
    assert {e.id for e in polled} == await holding(source, latest)
    assert {(e.type, e.subject) for e in polled} == {
        ("invoice.updated", one),
        ("invoice.paid", one),
        ("invoice.updated", two),
        ("invoice.updated", three),
        ("invoice.voided", three),
        ("invoice.updated", four),
        ("payment.created", "5"),
    }
    assert [e.data for e in polled if e.type == "payment.created"] == [{"payment": {"id": "5"}}]


async def test_a_payment_that_is_edited_later_is_not_created_again(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    ident = invoice()
    await books.trigger("payment.create", {"invoice": ident})
    (before,) = (await poll(frozenset({"payment.created"}))).events
    clock.pass_by(minutes=5)
    # Its invoice goes, so the payment is changed.
    await books.trigger("invoice.delete", {"invoice": ident})
    again = (await poll(frozenset({"payment.created"}))).events
    assert [e.id for e in again] == [before.id]
    clock.pass_by(days=2)
    await poll(frozenset({"payment.created"}))
    payment = books.sales.rows["Payment"][before.subject]
    books.sales.changed("Payment", payment)
    assert (await poll(frozenset({"payment.created"}))).events == ()


async def test_a_shuffled_and_doubled_delivery_tells_the_same(
    source: QuickBooksSource, books: QuickBooksSimulator, invoice: Callable[..., str], listener: Any
) -> None:
    books.webhooks.held = True
    for total in (10, 20, 30):
        await books.trigger("payment.create", {"invoice": invoice(total)})
    waiting = list(books.webhooks.pending)
    books.webhooks.held = False
    books.webhooks.flush()
    await books.settle()
    plain = {e.id for e in listener.events(source)}
    listener.requests.clear()
    books.webhooks.pending = waiting
    books.webhooks.shuffled = books.webhooks.duplicated = True
    books.webhooks.flush()
    await books.settle()
    assert len(listener.requests) == 2
    assert {e.id for e in listener.events(source)} == plain
    assert len(source.parse(listener.requests[0])) == len(plain)
