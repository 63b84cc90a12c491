"""Salesforce's JSON as canonical records.

Every function here may raise `LookupError`, `TypeError`, `ValueError` or `AttributeError` for JSON that is not as
documented; the source turns these into a transient error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from crossdock_sdk import Address, Deal, DealProduct, Organization, Person

from crossdock_salesforce import soql
from crossdock_salesforce.values import exact

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a deal is made of beside its own row."""

    status: str
    won_at: datetime | None
    currency: str | None
    organization: Organization | None
    person: Person | None
    lines: Sequence[DealProduct]
    url: str


def deal(row: Row, custom: dict[str, Any], parts: Parts) -> Deal:
    """An opportunity. `Amount` is what its products come to, where it has any; without amount it is worth 0."""
    return Deal(
        id=row["Id"],
        title=row["Name"],
        status=parts.status,
        value=Decimal(0) if row["Amount"] is None else exact(row["Amount"]),
        currency=row.get("CurrencyIsoCode") or parts.currency,
        won_at=parts.won_at,
        updated_at=soql.instant(row["SystemModstamp"]),
        close_date=row["CloseDate"],
        owner_id=row["OwnerId"],
        pipeline_id=row.get("RecordTypeId"),
        stage_id=row["StageName"],
        organization=parts.organization,
        person=parts.person,
        products=tuple(parts.lines),
        url=parts.url,
        custom=custom,
        native=_plain(row),
    )


def organization(row: Row, custom: dict[str, Any], url: str) -> Organization:
    return Organization(
        id=row["Id"], name=row["Name"], address=_address(row), url=url, custom=custom, native=_plain(row)
    )


def person(row: Row, custom: dict[str, Any], url: str) -> Person:
    return Person(
        id=row["Id"],
        name=row["Name"],
        email=row.get("Email") or None,
        phone=row.get("Phone") or None,
        url=url,
        custom=custom,
        native=_plain(row),
    )


def line(row: Row, custom: dict[str, Any]) -> DealProduct:
    """A product of the opportunity. `Discount` is a percentage off the line, `TotalPrice` is after it."""
    product = row.get("Product2") or {}
    return DealProduct(
        id=row["Id"],
        product_id=row.get("Product2Id"),
        code=product.get("ProductCode") or None,
        name=product.get("Name") or row["Name"],
        description=row.get("Description") or None,
        quantity=exact(row["Quantity"]),
        unit_price=exact(row["UnitPrice"]),
        discount_percent=None if row["Discount"] is None else exact(row["Discount"]),
        total=None if row.get("TotalPrice") is None else exact(row["TotalPrice"]),
        custom=custom,
        native=_plain(row),
    )


def contact(roles: Sequence[Row]) -> Row | None:
    """The primary contact; else the only one. Of several, none of them primary, nobody can tell."""
    primary = [role["Contact"] for role in roles if role["IsPrimary"] and role.get("Contact")]
    named = [role["Contact"] for role in roles if role.get("Contact")]
    return primary[0] if primary else named[0] if len(named) == 1 else None


def _address(row: Row) -> Address | None:
    """The billing address; the street may have several lines."""
    parts = {name: row.get(f"Billing{name}") for name in ("Street", "City", "State", "PostalCode", "Country")}
    if not any(parts.values()):
        return None
    street = [part.strip() for part in (parts["Street"] or "").splitlines() if part.strip()]
    return Address(
        line1=street[0] if street else None,
        line2=", ".join(street[1:]) or None,
        city=parts["City"] or None,
        region=parts["State"] or None,
        postal_code=parts["PostalCode"] or None,
        country=parts["Country"] or None,
        native={f"Billing{name}": value for name, value in parts.items()},
    )


def _plain(row: Row) -> dict[str, Any]:
    """The row without what is told elsewhere: its metadata, and the records and lists within it."""
    return {name: value for name, value in row.items() if name != "attributes" and not isinstance(value, dict)}
