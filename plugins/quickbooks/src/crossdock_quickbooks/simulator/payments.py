"""Payments: how they are put to invoices, and what voiding or deleting them undoes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crossdock_quickbooks.simulator import faults
from crossdock_quickbooks.simulator.company import Company, amount, check_shape, reference
from crossdock_quickbooks.simulator.names import Names
from crossdock_quickbooks.simulator.sales import SERVER_OWNED, Sales

Body = dict[str, Any]


class Payments:
    """The payments of one company; each changes the invoices that it pays, whose versions rise."""

    def __init__(self, company: Company, names: Names, sales: Sales) -> None:
        self._company = company
        self._names = names
        self._sales = sales

    def create(self, body: Body) -> Body:
        check_shape("Payment", body)
        customer = self._names.used("Customer", reference(body, "CustomerRef"), "Names")
        total = amount(body.get("TotalAmt"), "TotalAmt")
        parts = [part for line in body.get("Line", []) for part in self._parts(line)]
        row = {k: v for k, v in body.items() if k not in SERVER_OWNED}
        row |= {
            "TotalAmt": total,
            "UnappliedAmt": total - sum((part for _, part in parts), Decimal(0)),
            "TxnDate": body.get("TxnDate", self._company.clock().date().isoformat()),
            "CustomerRef": {"value": customer["Id"], "name": customer["DisplayName"]},
            "CurrencyRef": customer["CurrencyRef"],
            # Kept apart from the caller's own.
            "Line": [dict(line) for line in body.get("Line", [])],
        }
        made = self._sales.add("Payment", row)
        for invoice, part in parts:
            invoice["Balance"] -= part
            invoice["LinkedTxn"] = [*invoice["LinkedTxn"], {"TxnId": made["Id"], "TxnType": "Payment"}]
            self._sales.changed("Invoice", invoice)
        return made

    def void(self, body: Body) -> Body:
        row = self._sales.current("Payment", body)
        self._release(row)
        row |= {"PrivateNote": "Voided", "TotalAmt": 0, "UnappliedAmt": 0, "Line": []}
        return self._sales.changed("Payment", row, "voided")

    def delete(self, body: Body) -> Body:
        row = self._sales.current("Payment", body)
        self._release(row)
        return self._sales.remove("Payment", row)

    def _parts(self, line: Body) -> list[tuple[Body, Decimal]]:
        part = amount(line.get("Amount"), "Amount")
        found = []
        for link in line.get("LinkedTxn", []):
            if link.get("TxnType") != "Invoice":
                raise faults.business(f"A payment cannot be applied to {link.get('TxnType')}")
            invoice = self._sales.rows["Invoice"].get(str(link.get("TxnId")))
            if invoice is None:
                raise faults.invalid_reference("Txn", link.get("TxnId"))
            found.append((invoice, part))
        return found

    def _release(self, row: Body) -> None:
        """The invoices owe again what this payment had paid."""
        for line in row["Line"]:
            for invoice, part in self._parts(line):
                invoice["Balance"] += part
                invoice["LinkedTxn"] = [link for link in invoice["LinkedTxn"] if link["TxnId"] != row["Id"]]
                self._sales.changed("Invoice", invoice)
