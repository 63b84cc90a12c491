"""`GET /api/v2/deals`: which deals it lists, and in which order (API reference, 'Get all deals')."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from crossdock_pipedrive.records import instant
from crossdock_pipedrive.simulator.schema import invalid

Row = dict[str, Any]

_KNOWN = frozenset(
    {
        *("filter_id", "ids", "owner_id", "person_id", "org_id", "pipeline_id", "stage_id", "status", "updated_since"),
        *("updated_until", "sort_by", "sort_direction", "include_fields", "custom_fields", "limit", "cursor"),
    }
)
_CHOICES = {
    "status": ("open", "won", "lost", "deleted"),
    "sort_by": ("id", "update_time", "add_time"),
    "sort_direction": ("asc", "desc"),
}


def listed(deals: Iterable[Row], query: Mapping[str, str]) -> list[Row]:
    """The deals of all pages. Raises `RefusedError`.

    Archived deals are never among them, deleted ones only if they are asked for. Deals with equal instants come in no
    promised order; here the newer first, so that nobody relies on another.
    """
    for name, value in query.items():
        if name not in _KNOWN:
            raise invalid(name, f"Parameter '{name}' is not allowed for this request")
        if value not in _CHOICES.get(name, (value,)):
            raise invalid(name, f"it should be one of {', '.join(_CHOICES[name])}")
    since, until = _instant(query, "updated_since"), _instant(query, "updated_until")
    status = query.get("status")
    rows = [
        deal
        for deal in deals
        if not deal["is_archived"]
        and (deal["status"] == status if status else not deal["is_deleted"])
        and _within(instant(deal["update_time"]), since, until)
    ]
    by, downwards = query.get("sort_by", "id"), query.get("sort_direction") == "desc"
    rows.sort(key=lambda deal: deal["id"], reverse=True)
    return sorted(rows, key=lambda deal: deal[by], reverse=downwards)


def _within(at: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    assert at is not None
    return (since is None or at >= since) and (until is None or at <= until)


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        # A date alone, or v1's notation without a T, is no RFC 3339.
        at = instant(text) if "T" in text else None
    except ValueError:
        at = None
    if at is None:
        raise invalid(name, "it should be an RFC 3339 date-time")
    return at
