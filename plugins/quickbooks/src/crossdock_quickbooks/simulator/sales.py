"""Invoices: how QuickBooks checks, computes, numbers, voids and deletes them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from crossdock_quickbooks.simulator import faults
from crossdock_quickbooks.simulator.company import (
    Company,
    amount,
    check_length,
    check_shape,
    reference,
    stamped,
    touch,
)
from crossdock_quickbooks.simulator.names import Names

_CENT = Decimal("0.01")
SERVER_OWNED = (
    "Id",
    "SyncToken",
    "sparse",
    "domain",
    "MetaData",
    "status",
    "TotalAmt",
    "Balance",
    "LinkedTxn",
)
_TERMS = timedelta(days=30)


def cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT, rounding=ROUND_HALF_UP)


class Sales:
    """The transactions of one company."""

    def __init__(self, company: Company, names: Names) -> None:
        self._company = company
        self._names = names
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"Invoice": {}, "Payment": {}}
        self.deleted: list[dict[str, Any]] = []
        self._last_id = 0
        self._last_number = 1000

    def find(self, entity: str, ident: str) -> dict[str, Any]:
        if not ident.isdecimal():
            raise faults.invalid_id(ident)
        try:
            return self.rows[entity][ident]
        except KeyError:
            raise faults.not_found() from None

    def current(self, entity: str, body: dict[str, Any]) -> dict[str, Any]:
        """The record that an operation names, if the caller has seen its newest version."""
        row = self.find(entity, str(body.get("Id", "")))
        if str(body.get("SyncToken")) != row["SyncToken"]:
            raise faults.stale()
        return row

    def create_invoice(self, body: dict[str, Any], *, allow_duplicate: bool = False) -> dict[str, Any]:
        check_shape("Invoice", body)
        row = self._computed({k: v for k, v in body.items() if k not in SERVER_OWNED})
        row |= {"DocNumber": self._number(body, allow_duplicate), "LinkedTxn": [], "Balance": row["TotalAmt"]}
        row = {k: v for k, v in row.items() if v is not None}
        return self.add("Invoice", row)

    def update_invoice(self, body: dict[str, Any]) -> dict[str, Any]:
        check_shape("Invoice", body)
        old = self.current("Invoice", body)
        given = {k: v for k, v in body.items() if k not in SERVER_OWNED}
        base = {k: v for k, v in old.items() if k not in SERVER_OWNED} if body.get("sparse") else {}
        row = self._computed({"DocNumber": old.get("DocNumber"), **base, **given})
        paid = old["TotalAmt"] - old["Balance"]
        row |= {k: old[k] for k in ("Id", "SyncToken", "domain", "sparse", "MetaData", "LinkedTxn")}
        row["Balance"] = row["TotalAmt"] - paid
        self.rows["Invoice"][row["Id"]] = row
        return self.changed("Invoice", row)

    def void_invoice(self, body: dict[str, Any]) -> dict[str, Any]:
        row = self.current("Invoice", body)
        self._unlink(row["Id"])
        row |= {
            "PrivateNote": "Voided",
            "TotalAmt": 0,
            "Balance": 0,
            "TxnTaxDetail": {"TotalTax": 0},
            "LinkedTxn": [],
        }
        row["Line"] = [{**line, "Amount": 0} for line in row["Line"]]
        return self.changed("Invoice", row, "voided")

    def delete_invoice(self, body: dict[str, Any]) -> dict[str, Any]:
        row = self.current("Invoice", body)
        self._unlink(row["Id"])
        self.deleted.append(row)
        return self.remove("Invoice", row)

    def send_invoice(self, ident: str, to: str | None) -> dict[str, Any]:
        row = self.find("Invoice", ident)
        if to is not None:
            row["BillEmail"] = {"Address": to}
        if not row.get("BillEmail", {}).get("Address"):
            raise faults.business("An email address is needed to send the transaction")
        row["EmailStatus"] = "EmailSent"
        row["DeliveryInfo"] = {"DeliveryType": "Email", "DeliveryTime": self._company.now()}
        return self.changed("Invoice", row, "emailed")

    def add(self, entity: str, row: dict[str, Any]) -> dict[str, Any]:
        """Keep a new transaction, under the next id."""
        self._last_id += 1
        ident = str(self._last_id)
        made = self.rows[entity][ident] = stamped(self._company, row, ident)
        self._rebalance(made)
        self._company.tell(entity, "created", made)
        return made

    def changed(self, entity: str, row: dict[str, Any], verb: str = "updated") -> dict[str, Any]:
        """Finish a change: the version rises, the customer's balance follows, and it is told."""
        touch(self._company, row)
        self._rebalance(row)
        self._company.tell(entity, verb, row)
        return row

    def remove(self, entity: str, row: dict[str, Any]) -> dict[str, Any]:
        """Take a transaction out of the books."""
        del self.rows[entity][row["Id"]]
        self._rebalance(row)
        self._company.tell(entity, "deleted", row)
        return {"domain": "QBO", "status": "Deleted", "Id": row["Id"]}

    def _unlink(self, invoice: str) -> None:
        for payment in self.rows["Payment"].values():
            for line in payment.get("Line", []):
                if any(str(link["TxnId"]) == invoice for link in line.get("LinkedTxn", [])):
                    line["LinkedTxn"] = []
                    payment["UnappliedAmt"] += line["Amount"]
                    self.changed("Payment", payment)

    def _rebalance(self, row: dict[str, Any]) -> None:
        ident = reference(row, "CustomerRef")
        customer = self._names.rows["Customer"].get(ident or "")
        if customer is not None:
            open_invoices = [
                r["Balance"] for r in self.rows["Invoice"].values() if reference(r, "CustomerRef") == ident
            ]
            customer["Balance"] = customer["BalanceWithJobs"] = sum(open_invoices, Decimal(0))

    def _number(self, body: dict[str, Any], allow_duplicate: bool) -> str | None:
        number = body.get("DocNumber")
        custom = self._company.custom_txn_numbers
        if number and number != "AUTO_GENERATE":
            self._check_number(str(number), refuse=custom and not allow_duplicate)
            self._last_number = max(self._last_number, int(number) if str(number).isdecimal() else 0)
            return str(number)
        if custom and number != "AUTO_GENERATE":
            return None
        self._last_number += 1
        return str(self._last_number)

    def _check_number(self, number: str, *, refuse: bool) -> None:
        taken = next((r["Id"] for r in self.rows["Invoice"].values() if r.get("DocNumber") == number), None)
        if refuse and taken is not None:
            raise faults.duplicate_number(number, taken)

    def _today(self) -> date:
        return self._company.clock().date()

    def _computed(self, row: dict[str, Any]) -> dict[str, Any]:
        customer = self._customer(row)
        self._check_texts(row)
        lines, subtotal, off = self._lines(row)
        tax = self._tax(row, lines, subtotal, off)
        day = _day(row.get("TxnDate"), "TxnDate") or self._today()
        row |= {
            "CustomerRef": {"value": customer["Id"], "name": customer["DisplayName"]},
            "CustomField": self._custom_fields(row),
            "TxnDate": day.isoformat(),
            "DueDate": (_day(row.get("DueDate"), "DueDate") or day + _TERMS).isoformat(),
            "Line": lines,
            "TxnTaxDetail": {"TotalTax": tax},
            "TotalAmt": cents(subtotal - off + tax),
            "ApplyTaxAfterDiscount": bool(row.get("ApplyTaxAfterDiscount", False)),
            "PrintStatus": row.get("PrintStatus", "NeedToPrint"),
            "EmailStatus": row.get("EmailStatus", "NotSet"),
        }
        row |= self._currency(row, customer)
        if "BillAddr" in customer:
            row.setdefault("BillAddr", customer["BillAddr"])
        return row

    def _customer(self, row: dict[str, Any]) -> dict[str, Any]:
        if reference(row, "CustomerRef") is None:
            raise faults.missing("CustomerRef")
        return self._names.used("Customer", reference(row, "CustomerRef"), "Names")

    def _check_texts(self, row: dict[str, Any]) -> None:
        for name, inner, most in (("CustomerMemo", "value", 1000), ("BillEmail", "Address", 100)):
            given = row.get(name)
            check_length(name, given.get(inner) if isinstance(given, dict) else None, most)
        if row.get("EmailStatus") == "NeedToSend" and not row.get("BillEmail"):
            raise faults.missing("BillEmail")
        if row.get("GlobalTaxCalculation") not in (None, "TaxExcluded", "NotApplicable"):
            raise faults.business("The simulator computes tax on top of the lines only")

    def _currency(self, row: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
        home = self._company.home_currency
        theirs = str(reference(customer, "CurrencyRef"))
        wanted = reference(row, "CurrencyRef") or theirs
        if wanted != theirs:
            raise faults.business("The currency of the transaction must be the currency of the customer")
        known: dict[str, Any] = {"CurrencyRef": self._company.currency(wanted)}
        if self._company.multicurrency:
            rate = amount(row.get("ExchangeRate", 1), "ExchangeRate", 7) if wanted != home else Decimal(1)
            known |= {"ExchangeRate": rate, "HomeTotalAmt": cents(row["TotalAmt"] * rate)}
        return known

    def _custom_fields(self, row: dict[str, Any]) -> list[dict[str, str]]:
        given = {str(f.get("DefinitionId")): f.get("StringValue") for f in row.get("CustomField", [])}
        shown = []
        for ident in given:
            if ident not in self._company.custom_fields:
                raise faults.invalid_reference("CustomField", ident)
        for ident, label in sorted(self._company.custom_fields.items()):
            check_length("StringValue", given.get(ident), 31)
            value = {"StringValue": given[ident]} if given.get(ident) else {}
            shown.append({"DefinitionId": ident, "Name": label, "Type": "StringType", **value})
        return shown

    def _lines(self, row: dict[str, Any]) -> tuple[list[dict[str, Any]], Decimal, Decimal]:
        sold: list[dict[str, Any]] = []
        discounts: list[dict[str, Any]] = []
        for line in row.get("Line") or []:
            check_length("Description", line.get("Description"), 4000)
            kind = line.get("DetailType")
            if kind == "DiscountLineDetail":
                discounts.append(line)
            elif kind == "SalesItemLineDetail":
                sold.append(self._sold(line, len(sold) + 1))
            elif kind == "DescriptionOnly":
                sold.append({**line, "Id": str(len(sold) + 1), "LineNum": len(sold) + 1})
            elif kind != "SubTotalLineDetail":
                raise faults.missing("DetailType")
        if not sold or len(discounts) > 1:
            raise faults.missing("Line")
        subtotal = sum((line.get("Amount", Decimal(0)) for line in sold), Decimal(0))
        subtotal_line: dict[str, Any] = {
            "Amount": subtotal,
            "DetailType": "SubTotalLineDetail",
            "SubTotalLineDetail": {},
        }
        off, shown = self._discount(discounts[0], subtotal) if discounts else (Decimal(0), [])
        return [*sold, subtotal_line, *shown], subtotal, off

    def _sold(self, line: dict[str, Any], number: int) -> dict[str, Any]:
        detail = line.get("SalesItemLineDetail")
        if not isinstance(detail, dict):
            raise faults.missing("SalesItemLineDetail")
        if line.get("Amount") is None:
            raise faults.missing("Amount")
        total = amount(line["Amount"], "Amount")
        # A line without an item is not refused: the company's default item is booked, as seen in 2026.
        item = self._names.used("Item", reference(detail, "ItemRef") or "1", "Items")
        detail = {**detail, "ItemRef": {"value": item["Id"], "name": item["Name"]}}
        if "Qty" in detail and "UnitPrice" in detail:
            quantity, price = amount(detail["Qty"], "Qty", 7), amount(detail["UnitPrice"], "UnitPrice", 7)
            if cents(quantity * price) != total:
                raise faults.wrong_amount(line["Amount"])
        default = {"value": "NON"} if self._company.country == "US" else None
        detail["TaxCodeRef"] = detail.get("TaxCodeRef") or default
        if detail["TaxCodeRef"] is None:
            raise faults.business("Make sure all your transactions have a VAT rate before you save.")
        if reference(detail, "TaxCodeRef") not in self._company.tax_rates:
            raise faults.invalid_reference("TaxCode", reference(detail, "TaxCodeRef"))
        return {
            **line,
            "Id": str(number),
            "LineNum": number,
            "Amount": cents(total),
            "SalesItemLineDetail": detail,
        }

    def _discount(self, line: dict[str, Any], subtotal: Decimal) -> tuple[Decimal, list[dict[str, Any]]]:
        if not self._company.allow_discount:
            raise faults.business("Discounts are switched off in the company's sales settings")
        detail = dict(line.get("DiscountLineDetail") or {})
        if detail.get("PercentBased"):
            percent = amount(detail.get("DiscountPercent"), "DiscountPercent", 7)
            off = cents(subtotal * percent / 100)
        else:
            off = amount(line.get("Amount"), "Amount")
            # A fixed amount beside `DiscountPercent: 0` is taken for nought per cent.
            off = Decimal(0) if detail.get("DiscountPercent") == 0 else off
        if off > subtotal:
            raise faults.business("The discount amount can't be greater than the subtotal")
        detail.setdefault("DiscountAccountRef", {"value": "86", "name": "Discounts given"})
        return off, [{"Amount": off, "DetailType": "DiscountLineDetail", "DiscountLineDetail": detail}]

    def _tax(self, row: dict[str, Any], lines: list[dict[str, Any]], subtotal: Decimal, off: Decimal) -> Decimal:
        base: dict[str, Decimal] = {}
        for line in lines:
            code = reference(line.get("SalesItemLineDetail") or {}, "TaxCodeRef")
            if code is not None:
                base[code] = base.get(code, Decimal(0)) + line["Amount"]
        left = 1 - off / subtotal if row.get("ApplyTaxAfterDiscount") and subtotal else Decimal(1)
        rates = self._company.tax_rates
        return sum((cents(part * left * rates[code] / 100) for code, part in base.items()), Decimal(0))


def _day(value: Any, element: str) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        detail = f"{element} should be a date of the form YYYY-MM-DD. Supplied value:{value}"
        raise faults.Refused("2010", "Request has invalid or unsupported property", detail, element=element) from None
