"""Replies about changed records: change data capture, and pages of a query in the order of the changes.

Intuit docs, 'Change data capture': `CDCResponse[].QueryResponse[].<Entity>[]`, whole records, at most 1,000 in one
reply over all entities together, and no pages; what was deleted stands there with `status: Deleted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock_sdk import Reply, TransientError

from crossdock_quickbooks.instants import instant, told_at

Json = dict[str, Any]
CAP = 1000
"""Objects in one reply; one that has as many may lack others."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a reply told: the records of each entity that stand, whether others may be missing, and QuickBooks' time."""

    rows: dict[str, list[Json]]
    full: bool
    at: datetime | None


def told(reply: Reply, entities: Sequence[str]) -> Told:
    """Take a reply of change data capture apart. One that is not as documented is unusable, never 'no changes'."""
    answers = _answers(reply)
    rows: dict[str, list[Json]] = {entity: [] for entity in entities}
    count = 0
    for answer in answers:
        if "Fault" in answer:
            raise reply.unusable(f"a part of CDCResponse is a fault: {str(answer['Fault'])[:200]}")
        for entity in entities:
            listed = answer.get(entity, [])
            if not isinstance(listed, list) or not all(isinstance(row, dict) and row.get("Id") for row in listed):
                raise reply.unusable(f"CDCResponse.{entity} is not a list of records")
            count += len(listed)
            rows[entity] += [{**row, "Id": str(row["Id"])} for row in listed if row.get("status") != "Deleted"]
    for entity, standing in rows.items():
        for row in standing:
            if told_at(row) is None:
                raise reply.unusable(f"{entity} {row['Id']} does not say when it was changed")
    body = reply.json()
    return Told(rows, count >= CAP, instant(body.get("time")))


def in_order(rows: list[Json], entity: str) -> list[Json]:
    """The rows, if each says when it was changed and none comes before an older one; reading on relies on that."""
    times = [told_at(row) for row in rows]
    known = [at for at in times if at is not None]
    if len(known) < len(rows) or known != sorted(known):
        raise TransientError(f"QuickBooks: a query of {entity} by change is not in the order of the changes")
    return rows


def _answers(reply: Reply) -> list[Json]:
    found: list[Any] = []
    parts = reply.require("CDCResponse")
    for part in parts if isinstance(parts, list) else [parts]:
        listed = part.get("QueryResponse") if isinstance(part, dict) else None
        if not isinstance(listed, list):
            raise reply.unusable("CDCResponse has no list QueryResponse")
        found += listed
    if not all(isinstance(answer, dict) for answer in found):
        raise reply.unusable("CDCResponse.QueryResponse is not a list of objects")
    return found
