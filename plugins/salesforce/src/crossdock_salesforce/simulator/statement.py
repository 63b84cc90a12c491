"""SOQL: the documented subset that connectors use, and a MALFORMED_QUERY for everything beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crossdock_salesforce.simulator.faults import malformed

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')"
    r"|(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*)"
    r"|(?P<mark><=|>=|!=|<>|[<>=(),]))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "\\": "\\", "'": "'", '"': '"', "%": "%", "_": "_"}
_MARKS = ("=", "!=", "<>", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind`: string, number, boolean, null, instant or date."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    field: str
    operator: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Logic:
    """`operator` is AND, OR or NOT."""

    operator: str
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Logic


@dataclass
class Statement:
    source: str = ""
    columns: list[str] = field(default_factory=list)
    subqueries: list[Statement] = field(default_factory=list)
    count: bool = False
    where: Condition | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)
    """(column, descending)"""
    limit: int | None = None
    offset: int = 0


def parse(text: str) -> Statement:
    """Raises `RefusedError` (MALFORMED_QUERY)."""
    parser = _Parser(text)
    statement = parser.statement()
    parser.end()
    return statement


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def statement(self, *, inner: bool = False) -> Statement:
        made = Statement()
        self._expect("SELECT")
        while True:
            self._column(made, inner)
            if not self._accept(","):
                break
        self._expect("FROM")
        made.source = self._take("word")
        if self._accept("WHERE"):
            made.where = self._condition()
        self._tail(made)
        return made

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise malformed(f"unexpected token: '{self._tokens[self._at][1]}'")

    def _column(self, made: Statement, inner: bool) -> None:
        if self._accept("("):
            if inner:
                raise malformed("subqueries may not be nested")
            made.subqueries.append(self.statement(inner=True))
            self._expect(")")
        elif self._peek("COUNT") and not made.columns:
            self._expect("COUNT")
            self._expect("(")
            self._expect(")")
            made.count = True
        else:
            name = self._take("word")
            if name in made.columns:
                raise malformed(f"duplicate field selected: {name}")
            made.columns.append(name)

    def _tail(self, made: Statement) -> None:
        if self._accept("ORDER"):
            self._expect("BY")
            while True:
                column = self._take("word")
                descending = self._accept("DESC")
                if not descending:
                    self._accept("ASC")
                made.order.append((column, descending))
                if not self._accept(","):
                    break
        if self._accept("LIMIT"):
            made.limit = int(self._take("number"))
        if self._accept("OFFSET"):
            made.offset = int(self._take("number"))

    def _condition(self) -> Condition:
        parts, operator = [self._term()], ""
        while self._peek("AND") or self._peek("OR"):
            found = self._next()[1].upper()
            if operator and found != operator:
                raise malformed("AND and OR are mixed without brackets")
            operator = found
            parts.append(self._term())
        return parts[0] if not operator else Logic(operator, tuple(parts))

    def _term(self) -> Condition:
        if self._accept("NOT"):
            return Logic("NOT", (self._term(),))
        if self._accept("("):
            inner = self._condition()
            self._expect(")")
            return inner
        name = self._take("word")
        negated = self._accept("NOT")
        _, text = self._next()
        operator = text.upper()
        if operator == "IN":
            return Comparison(name, "NOT IN" if negated else "IN", self._list())
        if negated or (operator != "LIKE" and operator not in _MARKS):
            raise malformed(f"unexpected token: '{text}'")
        return Comparison(name, operator.replace("<>", "!="), (self._literal(),))

    def _list(self) -> tuple[Literal, ...]:
        self._expect("(")
        values = [self._literal()]
        while self._accept(","):
            values.append(self._literal())
        self._expect(")")
        return tuple(values)

    def _literal(self) -> Literal:
        kind, text = self._next()
        if kind == "string":
            return Literal("string", re.sub(r"\\(.)", _unescaped, text[1:-1]))
        if kind in ("instant", "date", "number"):
            return Literal(kind, text)
        if kind == "word" and text.lower() in ("true", "false"):
            return Literal("boolean", text.lower() == "true")
        if kind == "word" and text.lower() == "null":
            return Literal("null", None)
        raise malformed(f"unexpected token: '{text}'")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise malformed("unexpected token: '<EOF>'")
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self, word: str) -> bool:
        there = self._at < len(self._tokens)
        kind, text = self._tokens[self._at] if there else ("", "")
        return kind != "string" and text.upper() == word

    def _accept(self, word: str) -> bool:
        found = self._peek(word)
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise malformed(f"unexpected token: '{self._next()[1]}', expecting '{word}'")

    def _take(self, kind: str) -> str:
        found, text = self._next()
        if found != kind:
            raise malformed(f"unexpected token: '{text}'")
        return text


def _unescaped(found: re.Match[str]) -> str:
    if found[1] not in _ESCAPES:
        raise malformed(f"invalid string escape: \\{found[1]}")
    return _ESCAPES[found[1]]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise malformed(f"unexpected token: '{text[at:].strip()[:20]}'")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
