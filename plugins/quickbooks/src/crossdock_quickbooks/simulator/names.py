"""Customers, vendors, employees and items: lists whose records are never deleted, only made inactive."""

from __future__ import annotations

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

PARTIES = ("Customer", "Vendor", "Employee")
_SERVER_OWNED = ("Id", "SyncToken", "sparse", "domain", "MetaData", "status")
_DELETED = " (deleted)"


class Names:
    """The name lists. Display names are unique over the active records of all three kinds of party."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self.rows: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in (*PARTIES, "Item")}
        self._party = 0
        self._item = 0

    def find(self, entity: str, ident: str) -> dict[str, Any]:
        if not ident.isdecimal():
            raise faults.invalid_id(ident)
        try:
            return self.rows[entity][ident]
        except KeyError:
            raise faults.not_found() from None

    def used(self, entity: str, ident: str | None, kind: str) -> dict[str, Any]:
        """The record that a transaction names; refused if unknown (2500) or inactive (610)."""
        row = self.rows[entity].get(ident or "")
        if row is None:
            raise faults.invalid_reference(kind, ident)
        if not row["Active"]:
            raise faults.not_found()
        return row

    def create(self, entity: str, body: dict[str, Any]) -> dict[str, Any]:
        check_shape(entity, body)
        row = {k: v for k, v in body.items() if k not in _SERVER_OWNED} | {"Active": body.get("Active", True)}
        row = self._item_row(row) if entity == "Item" else self._party_row(entity, row)
        self._check_unique(entity, row, None)
        ident = self._next(entity)
        self.rows[entity][ident] = stamped(self._company, row, ident)
        return self.rows[entity][ident]

    def update(self, entity: str, body: dict[str, Any]) -> dict[str, Any]:
        check_shape(entity, body)
        old = self.find(entity, str(body["Id"]))
        if str(body.get("SyncToken")) != old["SyncToken"]:
            raise faults.stale()
        given = {k: v for k, v in body.items() if k not in _SERVER_OWNED}
        kept = (
            old if body.get("sparse") else {k: old[k] for k in (*_SERVER_OWNED, "Balance", "CurrencyRef") if k in old}
        )
        row = {**kept, "Active": old["Active"], **given}
        if entity != "Item":
            self._check_party(row, old)
        self._rename(row, old)
        self._check_unique(entity, row, old["Id"])
        if row != old:
            touch(self._company, row)
        self.rows[entity][old["Id"]] = row
        return row

    def _next(self, entity: str) -> str:
        if entity == "Item":
            self._item += 1
            return str(self._item)
        self._party += 1
        return str(self._party)

    def _party_row(self, entity: str, row: dict[str, Any]) -> dict[str, Any]:
        parts = [str(row[name]) for name in ("GivenName", "FamilyName", "CompanyName") if row.get(name)]
        row["DisplayName"] = str(row.get("DisplayName") or " ".join(parts)).strip()
        if not row["DisplayName"]:
            raise faults.missing("DisplayName")
        currency = reference(row, "CurrencyRef") or self._company.home_currency
        row["CurrencyRef"] = self._company.currency(currency)
        self._check_party(row, None)
        shown = {"PrintOnCheckName": row["DisplayName"]}
        if entity == "Customer":
            plain = {
                "Taxable": True,
                "Job": False,
                "BillWithParent": False,
                "Balance": 0,
                "BalanceWithJobs": 0,
            }
            shown |= {"FullyQualifiedName": row["DisplayName"], "PreferredDeliveryMethod": "Print"}
            return {**plain, **shown, **row}
        return {"Balance": 0, **shown, **row} if entity == "Vendor" else {**shown, **row}

    def _item_row(self, row: dict[str, Any]) -> dict[str, Any]:
        for needed in ("Name", "IncomeAccountRef"):
            if not row.get(needed):
                raise faults.missing(needed)
        if "UnitPrice" in row:
            row["UnitPrice"] = amount(row["UnitPrice"], "UnitPrice", 7)
        plain = {"FullyQualifiedName": row["Name"], "Taxable": False, "UnitPrice": 0, "Type": "Service"}
        return {**plain, "TrackQtyOnHand": False, **row}

    def _check_party(self, row: dict[str, Any], old: dict[str, Any] | None) -> None:
        if any(mark in row["DisplayName"] for mark in ":\t\n\r"):
            raise faults.business("A name must not contain a colon, a tab or a new line")
        email = row.get("PrimaryEmailAddr")
        check_length("PrimaryEmailAddr", email.get("Address") if isinstance(email, dict) else None, 100)
        currency = reference(row, "CurrencyRef")
        if old is not None and currency != reference(old, "CurrencyRef"):
            raise faults.business("The currency of a customer or vendor cannot be changed")
        if currency != self._company.home_currency and not self._company.multicurrency:
            raise faults.business("Multicurrency is not enabled for this company")

    def _rename(self, row: dict[str, Any], old: dict[str, Any]) -> None:
        label = "Name" if "Name" in old else "DisplayName"
        if old["Active"] and not row["Active"]:
            row[label] += _DELETED
        elif row["Active"] and not old["Active"]:
            row[label] = row[label].removesuffix(_DELETED)
        row["FullyQualifiedName"] = row[label]

    def _check_unique(self, entity: str, row: dict[str, Any], own: str | None) -> None:
        label, kinds = ("Name", ("Item",)) if entity == "Item" else ("DisplayName", PARTIES)
        wanted = row[label].strip().casefold()
        for kind in kinds:
            for ident, other in self.rows[kind].items():
                if (
                    (kind, ident) != (entity, own)
                    and other["Active"]
                    and other[label].casefold() == wanted
                    and row["Active"]
                ):
                    raise faults.duplicate_name()
