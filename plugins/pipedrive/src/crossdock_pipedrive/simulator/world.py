"""The simulated company account: its records and how they change, without HTTP."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from crossdock_sdk import RejectedError

from crossdock_pipedrive.fields import FieldMap, Kind, custom_field
from crossdock_pipedrive.simulator.pricing import deal_value, line_sum, plain

Row = dict[str, Any]
USER = 5
_OPTIONS_FROM = 31
_STATUS_TIMES = {"won": "won_time", "lost": "lost_time"}


@dataclass(frozen=True, slots=True)
class Happening:
    """What a webhook tells of: `action` create, change or delete; `source` app or api."""

    action: str
    data: Row | None
    previous: Row | None
    source: str


class World:
    """All records by id. `tell` hears of every change to a deal."""

    def __init__(self, clock: Callable[[], datetime], tell: Callable[[Happening], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._last_id: dict[str, int] = {}
        self.fields: dict[Kind, list[Row]] = {"deal": [], "organization": [], "person": []}
        self.products: dict[int, Row] = {}
        self.organizations: dict[int, Row] = {}
        self.persons: dict[int, Row] = {}
        self.deals: dict[int, Row] = {}
        self.lines: dict[int, list[Row]] = {}
        self.discounts: dict[int, list[Row]] = {}
        self.notes: dict[int, Row] = {}

    def now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def v1_now(self) -> str:
        return self._clock().strftime("%Y-%m-%d %H:%M:%S")

    def next_id(self, what: str) -> int:
        self._last_id[what] = self._last_id.get(what, 0) + 1
        return self._last_id[what]

    def add_field(self, kind: Kind, name: str, field_type: str, options: Iterable[str] = ()) -> Row:
        """Define a custom field. Its code looks random but is the same in every run."""
        code = hashlib.sha1(f"{kind}:{name}:{len(self.fields[kind])}".encode(), usedforsecurity=False).hexdigest()
        labelled = [{"id": _OPTIONS_FROM + self.next_id("option"), "label": label} for label in options]
        row: Row = {"field_name": name, "field_code": code, "description": "", "field_type": field_type}
        row |= {"is_custom_field": True, "is_optional_response_field": False, "subfields": None}
        row["options"] = labelled if field_type in ("enum", "set") else None
        self.fields[kind].append(row)
        records = {"deal": self.deals, "organization": self.organizations, "person": self.persons}[kind]
        for record in records.values():
            record["custom_fields"] = (record["custom_fields"] or {}) | {code: None}
        return row

    def field_map(self, kind: Kind) -> FieldMap:
        rows = (custom_field(row) for row in self.fields[kind])
        return FieldMap.named_by_label(field for field in rows if field is not None)

    def custom_values(self, kind: Kind, named: Mapping[str, Any], currency: str | None = None) -> Row | None:
        """`custom_fields` of a new record: all defined fields, those in `named` set, by readable name or
        label.

        None, not `{}`, where the account defines none. Raises `ValueError` for a name that it does not
        define.
        """
        fields = self.field_map(kind)
        values: Row = dict.fromkeys(fields.by_code)
        for name, value in named.items():
            field = fields.find(name)
            if field is None:
                raise ValueError(f"the account has no custom {kind} field {name!r}; there are {sorted(fields.by_name)}")
            try:
                values[field.code] = _jsonable(field.write(value, currency))
            except RejectedError as error:
                raise ValueError(error.message) from None
        return values or None

    def add_product(self, code: str | None, name: str, price: Decimal, currency: str = "EUR") -> Row:
        product_id = self.next_id("product")
        prices = [{"product_id": product_id, "price": plain(price), "currency": currency, "cost": 0, "notes": ""}]
        row: Row = {"id": product_id, "name": name, "code": code, "description": None, "unit": "", "tax": 0}
        row |= {"category": None, "is_linkable": True, "is_deleted": False, "visible_to": 3, "owner_id": USER}
        row |= {"billing_frequency": "one-time", "billing_frequency_cycles": None, "prices": prices}
        self.products[product_id] = row | self._stamps() | {"custom_fields": None}
        return self.products[product_id]

    def add_organization(self, name: str, address: Row | None, custom: Mapping[str, Any]) -> Row:
        row: Row = {"id": self.next_id("organization"), "name": name, "owner_id": USER, "address": address}
        row |= {"is_deleted": False, "visible_to": 3, "label_ids": []} | self._stamps()
        row["custom_fields"] = self.custom_values("organization", custom)
        self.organizations[row["id"]] = row
        return row

    def add_person(
        self, name: str, email: str | None, phone: str | None, org_id: int | None, custom: Mapping[str, Any]
    ) -> Row:
        row: Row = {"id": self.next_id("person"), "name": name, "owner_id": USER, "org_id": org_id}
        row["emails"] = [{"value": email, "primary": True, "label": "work"}] if email else []
        row["phones"] = [{"value": phone, "primary": True, "label": "work"}] if phone else []
        row |= {"is_deleted": False, "visible_to": 3, "label_ids": []} | self._stamps()
        row["custom_fields"] = self.custom_values("person", custom)
        self.persons[row["id"]] = row
        return row

    def add_deal(
        self,
        title: str,
        currency: str,
        *,
        value: Decimal | None,
        org_id: int | None,
        person_id: int | None,
        custom: Row | None,
        lines: Iterable[Row],
        discounts: Iterable[Row],
    ) -> Row:
        """A new open deal. `value` stands as given; None derives it from the lines. Tells of the creation."""
        deal_id = self.next_id("deal")
        self.lines[deal_id] = [self._line(deal_id, currency, order, line) for order, line in enumerate(lines, 1)]
        self.discounts[deal_id] = [self._discount(deal_id, discount) for discount in discounts]
        derived = deal_value(self.lines[deal_id], self.discounts[deal_id]) if value is None else value
        row: Row = {
            "id": deal_id,
            "title": title,
            "owner_id": USER,
            "creator_user_id": USER,
            "currency": currency,
        }
        row |= {
            "value": plain(derived or Decimal(0)),
            "person_id": person_id,
            "org_id": org_id,
            "stage_id": 1,
        }
        row |= {"pipeline_id": 1, "status": "open", "probability": None, "lost_reason": None, "visible_to": 3}
        row |= dict.fromkeys(("won_time", "lost_time", "close_time", "stage_change_time", "expected_close_date"))
        row |= {"is_deleted": False, "is_archived": False, "label_ids": [], "origin": "ManuallyCreated"}
        row |= {"origin_id": None, "channel": None, "channel_id": None} | self._stamps() | {"custom_fields": custom}
        self.deals[deal_id] = row
        self._tell(Happening("create", dict(row), None, "app"))
        return row

    def change_deal(self, deal_id: int, changes: Mapping[str, Any], *, source: str) -> Row:
        """Set top-level keys, and `custom_fields` by code; tells only of what really changed."""
        deal = self.deals[deal_id]
        custom = deal["custom_fields"] or {}
        wanted = dict(changes)
        new_custom = {k: _jsonable(v) for k, v in wanted.pop("custom_fields", {}).items() if custom.get(k) != v}
        changed = {key: _jsonable(value) for key, value in wanted.items() if deal.get(key) != value}
        if not changed and not new_custom:
            return deal
        if "status" in changed:
            changed |= self._status_times(changed["status"])
        changed["update_time"] = self.now()
        previous = {key: deal.get(key) for key, value in changed.items() if deal.get(key) != value}
        if new_custom:
            previous["custom_fields"] = {code: custom.get(code) for code in new_custom}
            changed["custom_fields"] = custom | new_custom
        deal |= changed
        self._tell(Happening("change", dict(deal), previous, source))
        return deal

    def delete_deal(self, deal_id: int, source: str) -> None:
        """Into the bin, from which a person can restore it for 30 days."""
        deal = self.deals[deal_id]
        before = dict(deal)
        deal |= {"is_deleted": True, "status": "deleted", "update_time": self.now()}
        self._tell(Happening("delete", None, before, source))

    def _status_times(self, status: str) -> Row:
        closed = status in _STATUS_TIMES
        times = {key: self.now() if _STATUS_TIMES.get(status) == key else None for key in _STATUS_TIMES.values()}
        return times | {"close_time": self.now() if closed else None}

    def _line(self, deal_id: int, currency: str, order: int, line: Row) -> Row:
        total = line_sum(line["quantity"], line["item_price"], line["discount"], line["discount_type"])
        row: Row = {"id": self.next_id("line"), "deal_id": deal_id, "product_id": line["product_id"]}
        row |= {"product_variation_id": None, "name": line["name"], "order_nr": order, "comments": ""}
        row |= {key: plain(line[key]) for key in ("quantity", "item_price", "discount")}
        row |= {
            "discount_type": line["discount_type"],
            "tax": 0,
            "tax_method": "exclusive",
            "sum": plain(total),
        }
        row |= {
            "currency": currency,
            "is_enabled": line.get("is_enabled", True),
            "billing_frequency": "one-time",
        }
        return row | {"billing_frequency_cycles": None, "billing_start_date": None} | self._stamps()

    def _discount(self, deal_id: int, discount: Row) -> Row:
        name = uuid.uuid5(uuid.NAMESPACE_OID, f"{deal_id}:{self.next_id('discount')}")
        row: Row = {
            "id": str(name),
            "description": discount["description"],
            "amount": plain(discount["amount"]),
        }
        row |= {"type": discount["type"], "deal_id": deal_id, "created_by": USER, "updated_by": USER}
        return row | {"created_at": self.now(), "updated_at": self.now()}

    def _stamps(self) -> Row:
        return {"add_time": self.now(), "update_time": self.now()}


def _jsonable(value: Any) -> Any:
    """Numbers as Pipedrive's JSON writes them."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return plain(value) if isinstance(value, Decimal) else value
