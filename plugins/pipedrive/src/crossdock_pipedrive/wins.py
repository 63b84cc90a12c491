"""Won deals as events: the same by webhook and by poll."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from crossdock_sdk import Change, Event, PollPage, PollRequest, TransientError, read_changes

from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.records import instant
from crossdock_pipedrive.replies import MISSHAPEN
from crossdock_pipedrive.values import linked_id

Json = dict[str, Any]

WON = "deal.won"
TOLD = f"{WON}:"
"""How the ids of events begin that Pipedrive told."""

_LIST = "/api/v2/deals"
_PAGE = 500
_LONG_AGO = timedelta(days=30)
"""A win so much older than what was read last has been told, and a runtime need not remember it for longer."""


def deal_won(deal: Json, subject: str, won_at: datetime | None, otherwise: str, occurred: datetime | None) -> Event:
    """The event; `otherwise` tells this win from another where Pipedrive gives no `won_time`."""
    token = won_at.strftime("%Y-%m-%dT%H:%M:%SZ") if won_at else otherwise
    known = {"id": subject} | ({"title": deal["title"]} if isinstance(deal.get("title"), str) else {})
    return Event(WON, f"{TOLD}{subject}:{token}", subject, {"deal": known}, occurred)


async def read_wins(connection: PipedriveConnection, request: PollRequest) -> PollPage:
    """One page of the won deals that were changed since, by the v2 list. Raises `ConnectorError`.

    A deal that was won before, and is edited now, is listed again: it is the same event. Archived deals are not listed.
    """
    # Pipedrive tells whole seconds.
    request = replace(request, since=request.since.replace(microsecond=0))

    async def read(at: datetime, deal_id: str) -> tuple[Sequence[Change], bool]:
        won_after = max(request.since, at - _LONG_AGO)
        changes: list[Change] = []
        cursor: str | None = None
        while True:
            page, cursor = await _page(connection, at, cursor)
            changes += [_change(row, won_after) for row in page]
            if any(later.at < earlier.at for earlier, later in pairwise(changes)):
                raise TransientError("Pipedrive's list of won deals is not in the order of update_time")
            after = sorted((c for c in changes if (c.at, c.id) > (at, deal_id)), key=lambda c: (c.at, c.id))
            if cursor is None:
                return after, False
            # Deals of the last instant may go on in the next page, in any order.
            whole = [change for change in after if change.at < changes[-1].at]
            if whole:
                return whole, True

    return await read_changes(request, read)


async def _page(connection: PipedriveConnection, since: datetime, cursor: str | None) -> tuple[list[Json], str | None]:
    params = {
        "status": "won",
        "updated_since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sort_by": "update_time",
        "sort_direction": "asc",
        "limit": _PAGE,
        "cursor": cursor,
    }
    reply = await connection.client.get(_LIST, params=params)
    try:
        rows = [dict(row) for row in reply.require("data")]
        following = (reply.json().get("additional_data") or {}).get("next_cursor") or None
    except MISSHAPEN as error:
        raise reply.unusable(f"the list is not as documented: {error}") from None
    if following is not None and following == cursor:
        raise reply.unusable("the list's next_cursor does not move on")
    return rows, following


def _change(row: Json, won_after: datetime) -> Change:
    try:
        deal_id, changed_at, won_at = linked_id(row["id"]), instant(row["update_time"]), instant(row.get("won_time"))
        if deal_id is None or changed_at is None:
            raise ValueError("id or update_time is empty")
    except MISSHAPEN as error:
        raise TransientError(f"a deal in Pipedrive's list is not as documented: {error}") from None
    told = row.get("status") == "won" and (won_at is None or won_at >= won_after)
    return Change(changed_at, deal_id, deal_won(row, deal_id, won_at, "untold", won_at or changed_at) if told else None)
