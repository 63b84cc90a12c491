from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from crossdock.cli.verdict import verdict

DEAL = {"id": 2, "title": "T", "status": "won", "value": Decimal("10.02"), "currency": "USD", "org_id": 1}
BEFORE: dict[str, Any] = {
    "crm": {"deals": [DEAL | {"custom": {}}], "organizations": [{"id": 1, "name": "Acme"}]},
    "books": {"customers": [{"Id": "1", "DisplayName": "Old", "Active": True}], "invoices": []},
    "board": {"tasks": []},
    "alerts": {"messages": []},
}


def made() -> dict[str, Any]:
    """What stands after all has gone well."""
    invoice = {"Id": "7", "DocNumber": "1001", "TotalAmt": Decimal("10.02"), "CustomerRef": {"value": "2"}, "Line": []}
    customers = [*BEFORE["books"]["customers"], {"Id": "2", "DisplayName": "Acme", "Active": True}]
    return {
        "crm": BEFORE["crm"] | {"deals": [DEAL | {"custom": {"invoice_number": "1001"}}]},
        "books": {"customers": customers, "invoices": [invoice]},
        "board": {"tasks": [{"gid": "3", "name": "Kick off", "notes": "", "completed": False}]},
        "alerts": {"messages": []},
    }


def wrong(
    after: dict[str, Any], runs: list[str] | None = None, paid: str | None = None, *, with_task: bool = True
) -> list[str]:
    told = [{"status": status} for status in (runs or ["succeeded"])]
    found = verdict(DEAL, BEFORE, after, told, {"status": paid} if paid else None, with_task=with_task)
    assert found.ok is all(check["ok"] for check in found.checks)
    return [check["what"] for check in found.checks if not check["ok"]]


def test_all_is_well_if_every_system_holds_what_it_should() -> None:
    assert wrong(made()) == []


def paid() -> dict[str, Any]:
    """What stands after the invoice was paid, too."""
    after = made()
    after["books"]["invoices"][0]["Balance"] = Decimal(0)
    after["crm"]["deals"][0]["custom"]["invoice_status"] = "paid"
    after["board"]["tasks"][0]["completed"] = True
    return after


def test_a_payment_is_held_against_what_it_must_come_to() -> None:
    assert wrong(paid(), paid="succeeded") == []
    assert wrong(paid(), paid="dead") == ["the payment's run succeeded"]
    after = paid()
    after["books"]["invoices"][0]["Balance"] = Decimal("0.01")
    after["crm"]["deals"][0]["custom"]["invoice_status"] = "voided"
    after["board"]["tasks"][0]["completed"] = False
    assert wrong(after, paid="succeeded") == [
        "nothing is owed any more",
        "the deal says that it is paid",
        "every task is done",
    ]


def _second_invoice(after: dict[str, Any]) -> None:
    after["books"]["invoices"].append(after["books"]["invoices"][0] | {"Id": "8"})


def _a_cent_off(after: dict[str, Any]) -> None:
    after["books"]["invoices"][0]["TotalAmt"] = Decimal("10.03")


def _taxed(after: dict[str, Any]) -> None:
    after["books"]["invoices"][0] |= {"TotalAmt": Decimal("11.02"), "TxnTaxDetail": {"TotalTax": Decimal("1.01")}}


def _second_customer(after: dict[str, Any]) -> None:
    after["books"]["customers"].append({"Id": "9", "DisplayName": "Acme", "Active": True})


def _other_customers_invoice(after: dict[str, Any]) -> None:
    after["books"]["invoices"][0]["CustomerRef"]["value"] = "1"


def _no_number(after: dict[str, Any]) -> None:
    after["crm"]["deals"][0]["custom"]["invoice_number"] = None


def _no_task(after: dict[str, Any]) -> None:
    after["board"]["tasks"].clear()


def _told(after: dict[str, Any]) -> None:
    after["alerts"]["messages"].append({"text": "oh"})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_second_invoice, "one invoice"),
        (_a_cent_off, "to the cent"),
        (_taxed, "to the cent"),
        (_second_customer, "one customer"),
        (_other_customers_invoice, "the customer's"),
        (_no_number, "carries the invoice's number"),
        (_no_task, "one task"),
        (_told, "nobody had to be told"),
    ],
)
def test_each_harm_is_named(harm: Callable[[dict[str, Any]], None], said: str) -> None:
    after = made()
    harm(after)
    assert any(said in what for what in wrong(after))


def test_a_task_of_a_leg_that_is_off_is_wrong() -> None:
    assert wrong(made(), with_task=False) == ["no task, for its leg is off"]


@pytest.mark.parametrize("runs", [["dead"], ["succeeded", "succeeded"], ["running"]])
def test_any_other_run_is_wrong(runs: list[str]) -> None:
    assert wrong(made(), runs) == ["one run, and it succeeded"]


def test_a_rolled_back_customer_is_no_customer() -> None:
    after = made()
    after["books"]["customers"][1]["Active"] = False
    after["books"]["invoices"].clear()
    assert {"one customer", "one invoice, its total the deal's value to the cent"} <= set(wrong(after))
