"""What stands after the demo's deal, held against what should. Pure; states are as the simulators give them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`systems`: what this deal made, by connection; `checks`: `{what, ok}`, with `found` where not ok."""

    systems: Shown
    checks: list[Shown]

    @property
    def ok(self) -> bool:
        return all(check["ok"] for check in self.checks)


def verdict(
    deal: Shown, before: Shown, after: Shown, runs: list[Shown], paid: Shown | None, *, with_task: bool
) -> Verdict:
    """`deal` as it was won; `before` and `after` are the states of all systems by connection name.

    `runs` are the deal's; `paid` is the run of the payment, None if nothing was there to be paid.
    """
    customers = _new(before["books"]["customers"], after["books"]["customers"], "Id")
    invoices = _new(before["books"]["invoices"], after["books"]["invoices"], "Id")
    tasks = _new(before["board"]["tasks"], after["board"]["tasks"], "gid")
    messages = after["alerts"]["messages"][len(before["alerts"]["messages"]) :]
    now = next(row for row in after["crm"]["deals"] if row["id"] == deal["id"])
    number = invoices[0].get("DocNumber") if invoices else None
    totals = [net_total(invoice) for invoice in invoices]
    written = now["custom"].get("invoice_number")
    checks = [
        _check("one run, and it succeeded", [run["status"] for run in runs], ["succeeded"]),
        _check("one customer", [row["DisplayName"] for row in customers], [_payer(deal, after["crm"])]),
        _check("one invoice, its total the deal's value to the cent", totals, [Decimal(deal["value"])]),
        _check("the invoice is the customer's", _owners(invoices), [row["Id"] for row in customers]),
        _check("the deal carries the invoice's number", written, number or "an invoice number"),
        _check(f"{'one task' if with_task else 'no task, for its leg is off'}", len(tasks), int(with_task)),
        *(_way_back(paid, now, invoices, tasks) if paid else ()),
        _check("nobody had to be told", len(messages), 0),
    ]
    systems = {
        "crm": {"deals": [_picked(now, "id", "title", "status", "value", "currency") | _written(now)]},
        "books": {
            "customers": [{"id": row["Id"], "name": row["DisplayName"]} for row in customers],
            "invoices": [_invoice(row) for row in invoices],
        },
        "board": {"tasks": [_picked(task, "gid", "name", "notes", "completed") for task in tasks]},
        "alerts": {"messages": [_picked(message, "text") for message in messages]},
    }
    return Verdict(systems, checks)


def _way_back(paid: Shown, deal: Shown, invoices: list[Shown], tasks: list[Shown]) -> list[Shown]:
    """What the payment must have come to."""
    return [
        _check("the payment's run succeeded", paid["status"], "succeeded"),
        _check("nothing is owed any more", [Decimal(row["Balance"]) for row in invoices], [Decimal(0)]),
        _check("the deal says that it is paid", deal["custom"].get("invoice_status"), "paid"),
        _check("every task is done", [task["completed"] for task in tasks], [True] * len(tasks)),
    ]


def _written(deal: Shown) -> Shown:
    """What we write on a deal."""
    return {name: deal["custom"].get(name) for name in ("invoice_number", "invoice_status")}


def net_total(invoice: Shown) -> Decimal:
    """What the invoice comes to before tax."""
    tax = (invoice.get("TxnTaxDetail") or {}).get("TotalTax") or 0
    return Decimal(invoice["TotalAmt"]) - Decimal(tax)


def _new(before: list[Shown], after: list[Shown], name: str) -> list[Shown]:
    known = {row[name] for row in before}
    return [row for row in after if row[name] not in known and row.get("Active", True)]


def _check(what: str, found: Any, wanted: Any) -> Shown:
    ok = found == wanted
    return {"what": what, "ok": ok} if ok else {"what": what, "ok": ok, "found": found, "wanted": wanted}


def _picked(row: Shown, *names: str) -> Shown:
    return {name: row.get(name) for name in names}


def _payer(deal: Shown, crm: Shown) -> str | None:
    named = (row["name"] for row in crm["organizations"] if row["id"] == deal["org_id"])
    return next(named, None)


def _owners(invoices: list[Shown]) -> list[str]:
    return [invoice["CustomerRef"]["value"] for invoice in invoices]


def _invoice(row: Shown) -> Shown:
    kinds = [line["DetailType"] for line in row["Line"]]
    return {
        "id": row["Id"],
        "number": row.get("DocNumber"),
        "lines": kinds.count("SalesItemLineDetail"),
        "total": net_total(row),
        "currency": (row.get("CurrencyRef") or {}).get("value"),
        "due": row.get("DueDate"),
    }
