"""A person takes the books' connection away and gives it back; and books that forget what they were asked."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def books(firm: Any) -> Any:
    firm.flow["retry"] = {"attempts": 3, "first": "100ms", "factor": 1, "max": "100ms"}
    firm.write()
    return firm.sandbox.simulators["quickbooks"]


async def revoke(firm: Any, books: Any) -> None:
    """One run succeeds, so that the vault has tokens; the next one meets a revoked connection."""
    await firm.server.start()
    await firm.win("Before")
    await firm.ended(1)
    await books.trigger("token.revoke", {})
    await firm.win("Meanwhile", customer="Beta")
    await firm.until(lambda runs: [r["status"] for r in runs] == ["waiting", "succeeded"])
    (said,) = await firm.told()
    assert "put its new refresh_token into the connection's settings" in str(said)
    states = {c["name"]: c["status"] for c in (await firm.get("/connections"))["items"]}
    assert states["books"] == "paused"


@pytest.mark.parametrize("restarts", [False, True], ids=["reload", "restart"])
async def test_a_revoked_connection_goes_on_with_the_refresh_token_of_its_settings(
    firm: Any, books: Any, restarts: bool
) -> None:
    await revoke(firm, books)
    if restarts:
        await firm.server.end()
    anew = await books.trigger("token.reconnect", {})
    firm.routing["connections"]["books"]["refresh_token"] = anew["refresh_token"]
    firm.write()
    if restarts:
        await firm.server.start()
    runs = await firm.ended(2)
    assert [r["status"] for r in runs] == ["succeeded", "succeeded"]
    assert (len(firm.invoices), len(firm.customers("Beta")), len(firm.threads)) == (2, 1, 1)
    await firm.told_in(0, "connection books is back after")
    await books.trigger("token.expire", {})
    await firm.win("After", customer="Gamma")
    assert [r["status"] for r in await firm.ended(3)] == ["succeeded"] * 3
    assert len(firm.messages) == 2


@pytest.mark.parametrize("kind", ["drop_after", "garbage"])
async def test_books_that_ignore_the_request_id_get_one_invoice_after_a_lost_reply(
    firm: Any, books: Any, kind: str
) -> None:
    books.keeps_request_ids = False
    await firm.server.start()
    firm.fault(kind=kind, connector="quickbooks", method="POST", path="*/invoice")
    deal = await firm.win("Once")
    (run,) = await firm.ended()
    assert firm.sandbox.faults[0].struck == 1
    assert run["status"] == "succeeded", run
    (invoice,) = firm.invoices
    assert firm.deal(deal["id"])["custom"]["invoice_number"] == invoice["DocNumber"]
    sent = [r for r in firm.sandbox.requests if r["method"] == "POST" and r["path"].endswith("/invoice")]
    assert len(sent) == 1
