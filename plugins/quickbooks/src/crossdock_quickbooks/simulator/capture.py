"""Change data capture: what was changed since an instant, with what was deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from crossdock_quickbooks.instants import instant
from crossdock_quickbooks.simulator import faults

Row = dict[str, Any]
CAP = 1000
REACH = timedelta(days=30)
"""Older changes are left out without a word: what QuickBooks does with an earlier beginning is not documented."""


class Capture:
    """The tombstones of one company, and its answers."""

    def __init__(self) -> None:
        self.tombstones: dict[str, list[Row]] = {}

    def note(self, entity: str, row: Row, at: str) -> None:
        """A record was deleted."""
        stone = {"domain": "QBO", "status": "Deleted", "Id": row["Id"], "MetaData": {"LastUpdatedTime": at}}
        self.tombstones.setdefault(entity, []).append(stone)

    def answer(
        self,
        params: Mapping[str, str],
        entities: Mapping[str, str],
        rows: Callable[[str], Iterable[Row]],
        now: datetime,
    ) -> Row:
        """The body for `?entities=Invoice,Payment&changedSince=…`; what is over the cap is left out."""
        names = [name for name in params.get("entities", "").split(",") if name]
        if not names:
            raise faults.missing("entities")
        since, room, parts = _since(params), CAP, []
        for name in names:
            if name.lower() not in entities:
                raise faults.query_invalid(f"{name} is not supported by change data capture")
            entity = entities[name.lower()]
            every = [*rows(entity), *self.tombstones.get(entity, ())]
            changed = [row for row in every if _at(row) >= max(since, now - REACH)][:room]
            room -= len(changed)
            parts.append({entity: changed, "startPosition": 1, "maxResults": len(changed)} if changed else {})
        return {"CDCResponse": [{"QueryResponse": parts}]}


def _since(params: Mapping[str, str]) -> datetime:
    given = params.get("changedSince", "")
    since = instant(given)
    if since is None:
        raise faults.query_invalid(f"changedSince {given!r} is no instant with a zone")
    return since


def _at(row: Row) -> datetime:
    return datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"])
