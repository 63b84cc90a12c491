"""Answers to SOQL over an `Org`, a page at a time."""

from __future__ import annotations

import operator
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crossdock_salesforce.simulator.faults import RefusedError, malformed, no_column
from crossdock_salesforce.simulator.org import Org, Row, long_id
from crossdock_salesforce.simulator.schema import SimField, SimObject
from crossdock_salesforce.simulator.statement import Comparison, Condition, Literal, Statement, parse

_KEPT = timedelta(days=2)
_NUMBERS = frozenset({"double", "currency", "percent", "int"})
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The ids that a query found; their records are read when a page is asked for."""

    statement: Statement
    ids: tuple[str, ...]
    until: datetime


class Queries:
    """`batch`: the most rows of one page. A page after the first is asked for by its locator."""

    def __init__(self, org: Org, clock: Callable[[], datetime], *, batch: int = 2000) -> None:
        self._org = org
        self._clock = clock
        self.batch = batch
        self._cursors: dict[str, _Cursor] = {}

    def ask(self, text: str, root: str) -> Row:
        """The first page. `root` is the path that `nextRecordsUrl` continues. Raises `RefusedError`."""
        statement = parse(text)
        found = self._org.object(statement.source) if self._known(statement.source) else None
        if found is None:
            raise RefusedError(400, "INVALID_TYPE", f"sObject type '{statement.source}' is not supported.")
        ids = [row["Id"] for row in self._select(found, statement, self._org.live(found.name))]
        if statement.count:
            return {"totalSize": len(ids), "done": True, "records": []}
        for column in statement.columns:
            self._field(found, column)
        key = f"01g{secrets.token_hex(8)}"
        self._cursors[key] = _Cursor(statement, tuple(ids), self._clock() + _KEPT)
        return self._page(key, 0, root)

    def more(self, locator: str, root: str) -> Row:
        """A further page. Raises `RefusedError` for a locator that is unknown or two days old."""
        key, _, at = locator.rpartition("-")
        cursor = self._cursors.get(key)
        if cursor is None or not at.isdigit() or self._clock() >= cursor.until:
            raise RefusedError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(key, int(at), root)

    def _page(self, key: str, at: int, root: str) -> Row:
        cursor = self._cursors[key]
        found = self._org.object(cursor.statement.source)
        table, ends = self._org.tables[found.name], at + self.batch
        rows = [table[one] for one in cursor.ids[at:ends] if not table[one]["IsDeleted"]]
        page: Row = {"totalSize": len(cursor.ids), "done": ends >= len(cursor.ids)}
        if not page["done"]:
            page["nextRecordsUrl"] = f"{root}/query/{key}-{ends}"
        return page | {"records": [self._shown(found, row, cursor.statement, root) for row in rows]}

    def _known(self, name: str) -> bool:
        return any(one.casefold() == name.casefold() for one in self._org.objects)

    def _select(self, found: SimObject, statement: Statement, rows: list[Row]) -> list[Row]:
        if statement.where is not None:
            where = statement.where
            rows = [row for row in rows if self._holds(found, row, where)]
            self._holds(found, {}, where)
        for column, descending in reversed(statement.order):
            self._field(found, column)
            rows = sorted(rows, key=lambda row: _sortable(self._value(found, row, column)), reverse=descending)
        ends = None if statement.limit is None else statement.offset + statement.limit
        return rows[statement.offset : ends]

    def _shown(self, found: SimObject, row: Row, statement: Statement, root: str) -> Row:
        shown: Row = {"attributes": {"type": found.name, "url": f"{root}/sobjects/{found.name}/{row['Id']}"}}
        for column in statement.columns:
            self._put(shown, found, row, column, root)
        for inner in statement.subqueries:
            shown[inner.source] = self._children(found, row, inner, root)
        return shown

    def _put(self, shown: Row, found: SimObject, row: Row, column: str, root: str) -> None:
        head, _, rest = column.partition(".")
        if not rest:
            one = self._field(found, head)
            shown[one.name] = row.get(one.name)
            return
        by, parent = self._parent(found, head)
        other = self._org.tables[parent.name].get(str(row.get(by.name)))
        if other is None:
            shown[str(by.relationship)] = None
            return
        url = f"{root}/sobjects/{parent.name}/{other['Id']}"
        inner = shown.setdefault(str(by.relationship), {"attributes": {"type": parent.name, "url": url}})
        self._put(inner, parent, other, rest, root)

    def _children(self, found: SimObject, row: Row, inner: Statement, root: str) -> Row | None:
        if inner.source not in found.children:
            said = f"Didn't understand relationship '{inner.source}' in FROM part of query call."
            raise RefusedError(400, "INVALID_TYPE", said)
        name, by = found.children[inner.source]
        child = self._org.objects[name]
        for column in inner.columns:
            self._field(child, column)
        rows = self._select(child, inner, [one for one in self._org.live(name) if one[by] == row["Id"]])
        if not rows:
            return None
        key = f"01g{secrets.token_hex(8)}"
        plain = Statement(source=name, columns=inner.columns)
        self._cursors[key] = _Cursor(plain, tuple(one["Id"] for one in rows), self._clock() + _KEPT)
        return self._page(key, 0, root)

    def _parent(self, found: SimObject, relationship: str) -> tuple[SimField, SimObject]:
        for one in found.fields.values():
            if one.relationship and one.reference_to and one.relationship.casefold() == relationship.casefold():
                return one, self._org.objects[one.reference_to]
        said = f"Didn't understand relationship '{relationship}' in field path."
        raise RefusedError(400, "INVALID_FIELD", said)

    def _field(self, found: SimObject, column: str) -> SimField:
        head, _, rest = column.partition(".")
        if rest:
            return self._field(self._parent(found, head)[1], rest)
        one = next((one for one in found.fields.values() if one.name.casefold() == head.casefold()), None)
        if one is None:
            raise no_column(head, found.name)
        return one

    def _value(self, found: SimObject, row: Row, column: str) -> Any:
        head, _, rest = column.partition(".")
        if not rest:
            return row.get(self._field(found, head).name)
        by, parent = self._parent(found, head)
        other = self._org.tables[parent.name].get(str(row.get(by.name)))
        return None if other is None else self._value(parent, other, rest)

    def _holds(self, found: SimObject, row: Row, condition: Condition) -> bool:
        if not isinstance(condition, Comparison):
            parts = [self._holds(found, row, one) for one in condition.parts]
            if condition.operator == "NOT":
                return not parts[0]
            return all(parts) if condition.operator == "AND" else any(parts)
        one = self._field(found, condition.field)
        wanted = [_typed(one, literal) for literal in condition.values]
        value = _comparable(one, self._value(found, row, condition.field))
        if condition.operator in ("IN", "NOT IN"):
            return (value in wanted) == (condition.operator == "IN")
        if condition.operator == "LIKE":
            pattern = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in str(wanted[0]))
            return value is not None and re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
        if value is None or wanted[0] is None:
            return condition.operator in ("=", "!=") and _COMPARE[condition.operator](value, wanted[0])
        return _COMPARE[condition.operator](value, wanted[0])


def _typed(one: SimField, literal: Literal) -> Any:
    """The literal as the field's type; Salesforce refuses one of another type."""
    fits = {"boolean": "boolean", "datetime": "instant", "date": "date"}.get(one.type)
    fits = fits or ("number" if one.type in _NUMBERS else "string")
    if literal.kind == "null":
        return None
    if literal.kind != fits:
        quotes = "and should be enclosed in quotes" if fits == "string" else "and should not be enclosed in quotes"
        said = f"value of filter criterion for field '{one.name}' must be of type {one.type} {quotes}"
        raise RefusedError(400, "INVALID_FIELD", said)
    if literal.kind == "number" and "." in str(literal.value) and one.type == "int":
        raise malformed(f"{literal.value} is not an int")
    return _comparable(one, literal.value)


def _comparable(one: SimField, value: Any) -> Any:
    if value is None:
        return None
    if one.type == "datetime":
        return datetime.fromisoformat(value)
    if one.type in _NUMBERS:
        return Decimal(value)
    if one.type in ("id", "reference"):
        return long_id(value) if len(value) == 15 else value
    return value.casefold() if isinstance(value, str) and one.type != "date" else value


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, 0) if value is None else (1, Decimal(value) if isinstance(value, (int, Decimal)) else str(value))
