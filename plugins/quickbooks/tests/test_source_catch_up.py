"""More changes than one reply of change data capture holds: all of them are told, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_quickbooks.simulator.company import touch
from crossdock_sdk import TransientError
from crossdock_sdk.testing import Fault

Poll = Callable[..., Any]
UPDATED = frozenset({"invoice.updated"})


def many(books: QuickBooksSimulator, count: int, invoice: Callable[..., str]) -> set[str]:
    made = {invoice() for _ in range(count)}
    books.webhooks.pending.clear()
    return made


async def drained(poll: Poll, events: frozenset[str] = UPDATED, between: Callable[[], Any] = lambda: None) -> list[Any]:
    """All events of one poll, page by page; `between` is done after each page."""
    found: list[Any] = []
    for _ in range(20):
        page = await poll(events)
        found += page.events
        if not page.more:
            return found
        between()
    raise AssertionError("the poll comes to no end")


async def test_a_reply_below_the_cap_is_all_there_is(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    made = many(books, 999, invoice)
    page = await poll(UPDATED)
    assert ({e.subject for e in page.events}, page.more) == (made, False)


async def test_a_full_reply_is_read_on_by_queries_in_the_order_of_the_changes(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    made = set()
    for _ in range(9):
        made |= many(books, 150, invoice)
        clock.pass_by(seconds=7)
    # The cap is shared: the invoices leave no room for the payment.
    await books.trigger("payment.create", {"invoice": min(made, key=int)})
    found = await drained(poll, UPDATED | {"payment.created"})
    assert {e.subject for e in found if e.type == "invoice.updated"} == made
    assert [e.subject for e in found if e.type == "payment.created"] == ["1351"]
    asked = [r["query"] for r in books.requests if "/query" in r["path"]]
    assert len(asked) == 3
    assert all("ORDERBY%20MetaData.LastUpdatedTime%20STARTPOSITION%201%20" in query for query in asked)
    assert (await poll()).more is True


async def test_exactly_the_cap_may_hide_more(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    made = many(books, 1000, invoice)
    await books.trigger("invoice.delete", {"invoice": max(made, key=int)})
    page = await poll(UPDATED)
    assert (page.events, page.more) == ((), True)
    assert len({e.id for e in await drained(poll)}) == 999


async def test_the_cap_is_shared_by_all_entities(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    many(books, 600, invoice)
    money = {"CustomerRef": {"value": "1"}, "TotalAmt": 5}
    paid = {books.payments.create(money)["Id"] for _ in range(450)}
    assert len(await drained(poll, frozenset({"payment.created"}))) == 450
    both = await drained(poll, UPDATED | {"payment.created"})
    assert {e.subject for e in both if e.type == "payment.created"} == paid
    assert len({e.subject for e in both if e.type == "invoice.updated"}) == 600


async def test_changes_between_the_pages_push_none_over_the_edge(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    made = many(books, 1700, invoice)
    early = sorted(made, key=int)

    def edited() -> None:
        """Some rows that were read already leave the second in which all were made, and the others move up."""
        clock.pass_by(seconds=1)
        for ident in [early.pop(0) for _ in range(200)]:
            touch(books.company, books.sales.rows["Invoice"][ident])

    found = await drained(poll, between=edited)
    assert {e.subject for e in found} == made
    assert max(e.occurred_at for e in found) > min(e.occurred_at for e in found)


async def test_what_is_missed_is_said_with_a_full_reply_too(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll, clock: Any
) -> None:
    await poll(UPDATED)
    clock.pass_by(days=40)
    many(books, 1000, invoice)
    page = await poll(UPDATED)
    assert page.more
    assert page.missed is not None
    assert (await poll(UPDATED)).missed is None


async def test_rows_out_of_order_are_not_read_on(
    books: QuickBooksSimulator, invoice: Callable[..., str], poll: Poll
) -> None:
    many(books, 1000, invoice)
    await poll(UPDATED)
    rows = [{"Id": str(n), "MetaData": {"LastUpdatedTime": f"2026-11-2{at}T00:00:00Z"}} for n, at in ((1, 3), (2, 1))]
    for wrong in (rows, [{"Id": "1"}]):
        books.faults.append(
            Fault(kind="status", path="*/query", status=200, body={"QueryResponse": {"Invoice": wrong}})
        )
        with pytest.raises(TransientError, match="not in the order of the changes"):
            await poll(UPDATED)
    assert len({e.id for e in await drained(poll)}) == 1000
