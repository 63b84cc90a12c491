"""Pipedrive's JSON as canonical records.

Every function here may raise `LookupError`, `TypeError`, `ValueError` or `AttributeError` for JSON that is
not as documented; the connection turns these into an unusable reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crossdock_sdk import Address, Deal, DealProduct, Discount, Organization, Person

from crossdock_pipedrive.values import exact, linked_id


def instant(text: str | None) -> datetime | None:
    """An instant: RFC 3339 in v2, `YYYY-MM-DD HH:MM:SS` in UTC in v1 (docs, 'Date format')."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def organization(row: Mapping[str, Any], custom: dict[str, Any], url: str | None) -> Organization:
    return Organization(
        id=row["id"],
        name=row["name"],
        address=_address(row.get("address")),
        url=url,
        custom=custom,
        native=dict(row),
    )


def person(row: Mapping[str, Any], custom: dict[str, Any], url: str | None) -> Person:
    """v2 names the lists `emails` and `phones`, v1 `email` and `phone`."""
    return Person(
        id=row["id"],
        name=row["name"],
        email=_first_choice(row.get("emails") or row.get("email")),
        phone=_first_choice(row.get("phones") or row.get("phone")),
        url=url,
        custom=custom,
        native=dict(row),
    )


def line(row: Mapping[str, Any], product: Mapping[str, Any]) -> DealProduct:
    """A product as attached to the deal; `product` is the catalogue's record, whose `code` is the SKU."""
    off = exact(row.get("discount") or 0)
    by_amount = row.get("discount_type") == "amount"
    return DealProduct(
        id=row["id"],
        product_id=row["product_id"],
        code=product.get("code") or None,
        name=row["name"],
        description=row.get("comments") or product.get("description") or None,
        quantity=exact(row["quantity"]),
        unit_price=exact(row["item_price"]),
        discount_percent=None if by_amount else off,
        discount_amount=off if by_amount else None,
        tax_percent=None if row.get("tax") is None else exact(row["tax"]),
        tax_method=row.get("tax_method"),
        total=None if row.get("sum") is None else exact(row["sum"]),
        billing_frequency=row.get("billing_frequency"),
        native={"line": dict(row), "product": dict(product)},
    )


def discount(row: Mapping[str, Any]) -> Discount:
    """A discount over the whole deal, apart from those on its lines."""
    amount = exact(row["amount"])
    if row["type"] not in ("percentage", "amount"):
        raise ValueError(f"a discount of type {row['type']!r}")
    by_amount = row["type"] == "amount"
    return Discount(
        id=row["id"],
        description=row.get("description"),
        percent=None if by_amount else amount,
        amount=amount if by_amount else None,
        native=dict(row),
    )


def deal(
    row: Mapping[str, Any],
    custom: dict[str, Any],
    *,
    of: Organization | None,
    contact: Person | None,
    lines: Sequence[DealProduct],
    discounts: Sequence[Discount],
    url: str | None,
) -> Deal:
    return Deal(
        id=row["id"],
        title=row["title"],
        status=row["status"],
        value=exact(row["value"]),
        currency=row.get("currency"),
        won_at=instant(row.get("won_time")),
        updated_at=instant(row.get("update_time")),
        close_date=row.get("expected_close_date"),
        owner_id=linked_id(row.get("owner_id")),
        pipeline_id=linked_id(row.get("pipeline_id")),
        stage_id=linked_id(row.get("stage_id")),
        organization=of,
        person=contact,
        products=tuple(lines),
        discounts=tuple(discounts),
        url=url,
        custom=custom,
        native=dict(row),
    )


def _first_choice(entries: Any) -> str | None:
    """The primary of a person's e-mail addresses or phones, else the first that is filled in."""
    if isinstance(entries, str):
        return entries or None
    filled = [entry for entry in entries or () if entry.get("value")]
    chosen = next((entry for entry in filled if entry.get("primary")), filled[0] if filled else None)
    return None if chosen is None else str(chosen["value"])


def _address(raw: Any) -> Address | None:
    """An address that Pipedrive geocoded has parts; one that it could not has only the text as typed."""
    if isinstance(raw, str):
        raw = {"value": raw}
    if not raw or not any(raw.values()):
        return None
    street = _street(raw)
    located = any(raw.get(part) for part in ("route", "locality", "postal_code", "country"))
    return Address(
        line1=street if located else raw.get("value"),
        line2=raw.get("subpremise") or None,
        city=raw.get("locality") or None,
        region=raw.get("admin_area_level_1") or None,
        postal_code=raw.get("postal_code") or None,
        country=raw.get("country") or None,
        native=dict(raw),
    )


def _street(raw: Mapping[str, Any]) -> str | None:
    """Street and house number in the order in which the account's own text has them."""
    route, house = raw.get("route") or "", raw.get("street_number") or ""
    if route and house and f"{route} {house}" in (raw.get("value") or ""):
        return f"{route} {house}"
    return f"{house} {route}".strip() or None
