"""Our events, from a notification or from a changed record, with the same ids by either way.

An invoice's event is known by company, invoice and the second of the change in UTC: a record shows whole seconds, a
delivery fractions. A payment is created once, so its event is known by company and payment alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crossdock_sdk import Event

from crossdock_quickbooks.instants import second, told_at
from crossdock_quickbooks.notifications import Entity, Notification
from crossdock_quickbooks.records import status_of

INVOICE_UPDATED = "invoice.updated"
INVOICE_PAID = "invoice.paid"
INVOICE_VOIDED = "invoice.voided"
PAYMENT_CREATED = "payment.created"

_CANDIDATES: dict[tuple[Entity, str], tuple[str, ...]] = {
    ("Invoice", "created"): (INVOICE_UPDATED, INVOICE_PAID),
    ("Invoice", "updated"): (INVOICE_UPDATED, INVOICE_PAID, INVOICE_VOIDED),
    ("Invoice", "emailed"): (INVOICE_UPDATED,),
    ("Invoice", "voided"): (INVOICE_UPDATED, INVOICE_VOIDED),
    ("Payment", "created"): (PAYMENT_CREATED,),
}
"""What may have happened; whether it did is seen from the record. Nothing is told of what was deleted."""


def entities_for(types: frozenset[str]) -> tuple[Entity, ...]:
    """The entities that must be read for these event types."""
    wanted: dict[Entity, bool] = {
        "Invoice": any(t.startswith("invoice.") for t in types),
        "Payment": PAYMENT_CREATED in types,
    }
    return tuple(entity for entity, needed in wanted.items() if needed)


def of_notification(told: Notification, account: str) -> list[Event]:
    """The events that a notification may mean, in the account that it names."""
    types = _CANDIDATES.get((told.entity, told.verb), ())
    return [_event(t, told.realm, told.id, told.at, told.verb == "voided", account) for t in types]


def of_record(entity: Entity, row: dict[str, Any], realm: str, at: datetime) -> list[Event]:
    """What holds of a record that was changed at `at`; what it does not say clearly is left to the reading."""
    if entity == "Payment":
        made = told_at(row, "CreateTime") or at
        return [] if row.get("TotalAmt") == 0 else [_event(PAYMENT_CREATED, realm, row["Id"], made)]
    types = [INVOICE_UPDATED]
    try:
        status: str | None = status_of(row)
    except (LookupError, TypeError, ValueError):
        status = None
    types += [INVOICE_PAID] if status in ("paid", None) else []
    types += [INVOICE_VOIDED] if status in ("voided", None) else []
    return [_event(t, realm, row["Id"], at) for t in types]


def says_void(event: Event) -> bool:
    """Whether the delivery itself called it a void."""
    known = event.data.get("invoice")
    return isinstance(known, dict) and known.get("status") == "voided"


def was_told(event: Event) -> bool:
    """Whether a delivery or a poll told it; what `crossdock plan` makes up claims nothing that could no longer hold."""
    return event.id.startswith(f"{event.type}:")


def _event(kind: str, realm: str, ident: str, at: datetime, void: bool = False, account: str | None = None) -> Event:
    named = f"{kind}:{realm}:{ident}"
    if kind == PAYMENT_CREATED:
        return Event(kind, named, ident, {"payment": {"id": ident}}, at, account)
    known = {"id": ident} | ({"status": "voided"} if void and kind == INVOICE_VOIDED else {})
    return Event(kind, f"{named}:{second(at)}", ident, {"invoice": known}, at, account)
