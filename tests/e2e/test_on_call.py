"""What whoever is on call does from a terminal: find, edit, replay one or many, beside a server or through it."""

from __future__ import annotations

import json
from typing import Any

import pytest

BAD = ({"code": "NO-SUCH-SKU", "name": "Consulting", "quantity": 2, "unit_price": "100.00"},)
GOOD = ({"code": "CONSULT-DAY", "name": "Consulting", "quantity": 2, "unit_price": "100.00"},)


@pytest.fixture(params=["journal", "server"])
def where(request: pytest.FixtureRequest, firm: Any) -> tuple[str, ...]:
    """The options that say whom the commands ask."""
    return ("--url", firm.server.url) if request.param == "server" else ()


async def test_many_failed_runs_are_found_and_replayed_with_one_edit(firm: Any, where: tuple[str, ...]) -> None:
    await firm.server.start()
    for number in range(3):
        await firm.win(f"Deal {number}", customer=f"Customer {number}", lines=BAD)
    await firm.ended(3)
    code, said = await firm.command("runs", "list", "--needs-person", "--json", *where)
    assert (code, len(json.loads(said)["items"])) == (0, 3), said
    many = ("--filter", "status=rolled_back", "--filter", "since=1h")
    edit = ("--edit", "deal.products.0.code=CONSULT-DAY", "--why", "the catalogue was renamed")
    code, said = await firm.command("runs", "replay", *many, *edit, "--pace", "20", "--yes", *where)
    assert (code, "3 ended well, 0 failed, 0 left out of 3" in said) == (0, True), said
    assert len(firm.invoices) == 3
    code, said = await firm.command("runs", "replay", *many, "--yes", *where)
    assert (code, "no run that matches can be replayed" in said) == (2, True), said


async def test_an_invoice_is_made_again_from_its_leg_on(firm: Any, where: tuple[str, ...]) -> None:
    await firm.server.start()
    await firm.win("Two days", customer="Blue Harbour", lines=GOOD)
    (run,) = await firm.ended()
    before = firm.invoices[0]["Id"]
    code, said = await firm.command("runs", "replay", run["id"], *where)
    assert (code, "replay it from a leg" in said) == (1, True), said
    code, said = await firm.command("runs", "replay", run["id"], "--from", "invoice", "--json", *where)
    assert code == 0, said
    runs = await firm.ended(2)
    assert (runs[0]["id"], runs[0]["status"]) == (json.loads(said)["id"], "succeeded")
    [again] = firm.invoices
    assert again["Id"] != before


async def test_a_held_run_is_ended_and_what_it_made_is_left(firm: Any, where: tuple[str, ...]) -> None:
    firm.flow["on_failure"] = "hold"
    firm.write()
    await firm.server.start()
    await firm.win("Half", customer="Half Ltd", lines=BAD)
    (run,) = await firm.until(lambda runs: bool(runs) and runs[0]["status"] == "held")
    code, said = await firm.command("runs", "cancel", run["id"], "--keep", "--why", "billed by hand", *where)
    assert code == 0, said
    (run,) = await firm.ended()
    assert (run["status"], len(firm.customers("Half Ltd"))) == ("cancelled", 1)
