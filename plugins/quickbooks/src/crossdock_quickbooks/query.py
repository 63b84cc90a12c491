"""QuickBooks' query language: statements that no name can break out of.

Intuit docs, 'Data queries': AND only, no OR, no joins; `\\'` escapes a quote. That a backslash is escaped by
a second one is not documented.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

PAGE = 1000
"""Rows in one page, the most that QuickBooks gives."""


def literal(value: str) -> str:
    """The value as a quoted literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def equals(name: str, value: str) -> str:
    """`name = 'value'`."""
    return f"{name} = {literal(value)}"


def since(name: str, instant: datetime) -> str:
    """`name >= '2026-11-23T09:30:00+00:00'`, in whole seconds, cut off."""
    return f"{name} >= {literal(instant.isoformat(timespec='seconds'))}"


def within(name: str, values: Iterable[str]) -> str:
    """`name IN ('a', 'b')`."""
    return f"{name} IN ({', '.join(literal(value) for value in values)})"


ALSO_INACTIVE = "Active IN (true, false)"
"""Without it a query over a name list gives the active records only."""


CHANGED = "MetaData.LastUpdatedTime"


def select(entity: str, *conditions: str, order: str | None = None, start: int = 1) -> str:
    """One page of an entity, from row `start` (the first is 1), by rising `order`."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    by = f" ORDERBY {order}" if order else ""
    # Every value in the conditions has been through `literal`.
    return f"SELECT * FROM {entity}{where}{by} STARTPOSITION {start} MAXRESULTS {PAGE}"  # noqa: S608 - see above
