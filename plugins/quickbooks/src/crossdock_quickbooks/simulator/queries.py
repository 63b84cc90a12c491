"""QuickBooks' query language: the documented subset of SQL, and nothing beside it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossdock_quickbooks.simulator import faults

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z][A-Za-z0-9_.]*)|(?P<number>\d+)|(?P<mark><=|>=|[<>=(),*]))"
)
_NAMES = ("Id", "MetaData.CreateTime", "MetaData.LastUpdatedTime", "Active")
_TXNS = (
    "Id",
    "MetaData.CreateTime",
    "MetaData.LastUpdatedTime",
    "TxnDate",
    "TotalAmt",
    "CustomerRef",
    "DocNumber",
)
QUERYABLE: dict[str, tuple[str, ...]] = {
    "Customer": (
        *_NAMES,
        "DisplayName",
        "CompanyName",
        "GivenName",
        "FamilyName",
        "PrimaryEmailAddr",
        "Balance",
    ),
    "Vendor": (*_NAMES, "DisplayName", "CompanyName", "PrimaryEmailAddr"),
    "Employee": (*_NAMES, "DisplayName", "GivenName", "FamilyName", "PrimaryEmailAddr"),
    "Item": (*_NAMES, "Name", "Sku", "Type", "UnitPrice"),
    "Invoice": (*_TXNS, "Balance", "DueDate"),
    "Payment": _TXNS,
}
_MOST_ROWS = 1000


@dataclass(frozen=True)
class Condition:
    property: str
    operator: str
    values: tuple[str | bool, ...]


@dataclass
class Query:
    """One parsed statement."""

    entity: str = ""
    count: bool = False
    where: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    start: int = 1
    most: int = 100


def parse(statement: str) -> Query:
    """Parse a statement. Raises `Refused`: 4000 for what the grammar lacks, 4001 for wrong names."""
    return _Parser(statement).statement()


def run(query: Query, rows: Iterable[dict[str, Any]], *, case_sensitive: bool) -> dict[str, Any]:
    """The `QueryResponse` over an entity's rows; inactive ones only if the query asks about `Active`."""
    asks_active = any(c.property == "Active" for c in query.where)
    kept = [row for row in rows if asks_active or row.get("Active", True)]
    kept = [row for row in kept if all(_holds(c, row, case_sensitive) for c in query.where)]
    if query.count:
        return {"totalCount": len(kept)}
    for name, descending in reversed(query.order):
        kept.sort(key=lambda row: _sortable(_value(row, name)), reverse=descending)
    page = kept[query.start - 1 : query.start - 1 + query.most]
    return {query.entity: page, "startPosition": query.start, "maxResults": len(page)} if page else {}


class _Parser:
    def __init__(self, statement: str) -> None:
        self._tokens = list(_tokens(statement))
        self._at = 0

    def statement(self) -> Query:
        query = Query()
        self._expect("SELECT")
        query.count = self._projection()
        self._expect("FROM")
        query.entity = self._take("word")
        if query.entity not in QUERYABLE:
            raise faults.query_invalid(f"invalid context declaration: {query.entity}")
        if self._accept("WHERE"):
            query.where.append(self._condition(query.entity))
            while self._accept("AND"):
                query.where.append(self._condition(query.entity))
        self._tail(query)
        return query

    def _projection(self) -> bool:
        if self._accept("*"):
            return False
        self._expect("COUNT")
        for mark in "(*)":
            self._expect(mark)
        return True

    def _condition(self, entity: str) -> Condition:
        name = self._property(entity)
        kind, text = self._next()
        symbol = text.upper()
        if symbol == "IN":
            self._expect("(")
            values = [self._literal()]
            while self._accept(","):
                values.append(self._literal())
            self._expect(")")
            return Condition(name, "IN", tuple(values))
        if symbol not in ("=", "<", ">", "<=", ">=", "LIKE"):
            raise faults.query_syntax(f'Encountered " <{kind.upper()}> "{text} "" where an operator is expected')
        return Condition(name, symbol, (self._literal(),))

    def _property(self, entity: str) -> str:
        name = self._take("word")
        if name not in QUERYABLE[entity]:
            raise faults.query_invalid(f"property '{name}' is not queryable for entity {entity}")
        return name

    def _literal(self) -> str | bool:
        kind, text = self._next()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "word" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise faults.query_syntax(f'Encountered " <{kind.upper()}> "{text} "" where a quoted value is expected')

    def _tail(self, query: Query) -> None:
        while self._at < len(self._tokens):
            if self._accept("ORDERBY"):
                query.order.append(self._sorting(query.entity))
                while self._accept(","):
                    query.order.append(self._sorting(query.entity))
            elif self._accept("STARTPOSITION"):
                query.start = self._at_least_one()
            elif self._accept("MAXRESULTS"):
                query.most = min(self._at_least_one(), _MOST_ROWS)
            else:
                kind, text = self._next()
                raise faults.query_syntax(f'Encountered " <{kind.upper()}> "{text} "" at the end of the statement')

    def _sorting(self, entity: str) -> tuple[str, bool]:
        name = self._property(entity)
        descending = self._accept("DESC")
        if not descending:
            self._accept("ASC")
        return name, descending

    def _at_least_one(self) -> int:
        number = int(self._take("number"))
        if number < 1:
            raise faults.query_invalid(f"value {number} is too small. Min allowed value is 1")
        return number

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise faults.query_syntax('Encountered "<EOF>"')
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, text: str) -> bool:
        there = self._at < len(self._tokens)
        kind, found = self._tokens[self._at] if there else ("", "")
        if kind == "string" or found.upper() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            kind, found = self._next()
            raise faults.query_syntax(f'Encountered " <{kind.upper()}> "{found} "" where {text} is expected')

    def _take(self, kind: str) -> str:
        found, text = self._next()
        if found != kind:
            raise faults.query_syntax(f'Encountered " <{found.upper()}> "{text} "" where a {kind} is expected')
        return text


def _tokens(statement: str) -> Iterable[tuple[str, str]]:
    at, end = 0, len(statement.rstrip())
    while at < end:
        found = _TOKEN.match(statement, at)
        if found is None or found.lastgroup is None:
            raise faults.query_syntax(
                f"Lexical error at line 1, column {at + 1}. Encountered: {statement[at : at + 1]!r}"
            )
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _value(row: dict[str, Any], name: str) -> Any:
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get("value", value.get("Address"))
    return value


def _sortable(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, Decimal)):
        return (0, Decimal(value))
    return (1, "" if value is None else str(value))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _holds(condition: Condition, row: dict[str, Any], case_sensitive: bool) -> bool:
    value = _value(row, condition.property)
    if value is None:
        return False
    fold = (lambda text: text) if case_sensitive else str.casefold
    if condition.operator == "LIKE":
        pattern = ".*".join(re.escape(fold(part)) for part in str(condition.values[0]).split("%"))
        return re.fullmatch(pattern, fold(str(value)), re.DOTALL) is not None
    compare = _COMPARE["=" if condition.operator == "IN" else condition.operator]
    return any(compare(*_alike(value, wanted, condition.property, fold)) for wanted in condition.values)


def _alike(value: Any, wanted: str | bool, name: str, fold: Callable[[str], str]) -> tuple[Any, Any]:
    """Both sides as one type: the field's."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return bool(value), wanted is True or wanted == "true"
    try:
        if name.startswith("MetaData."):
            return datetime.fromisoformat(value), _instant(wanted)
        if isinstance(value, (int, Decimal)):
            return Decimal(value), Decimal(wanted)
    except (ValueError, ArithmeticError):
        raise faults.query_invalid(f"value {wanted} is not of the type of property {name}") from None
    return fold(str(value)), fold(wanted)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
