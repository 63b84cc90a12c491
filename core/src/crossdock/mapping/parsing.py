"""From text to a syntax tree: Jinja2's lexer and parser, narrowed to `{{ expressions }}`.

Jinja2 itself never evaluates anything here. Its lexer turns `10.10` into a float; ours into a `Decimal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import Lexer, Token
from jinja2.parser import Parser

from crossdock.mapping.errors import Fault

MAX_SOURCE = 20_000
MAX_EXPRESSION = 2_000
MAX_BRACKETS = 40
_MAX_DIGITS = 50

_REFUSED = {
    "block_begin": "statements ({% … %}) are not part of the expression language",
    "raw_begin": "statements ({% … %}) are not part of the expression language",
    "comment_begin": "comments ({# … #}) are not part of the expression language; use a YAML comment",
}
_PIECE = re.compile(r"""\{\{(?:'[^']*'|"[^"]*"|[^'"])*?\}\}""")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def is_plain(source: str) -> bool:
    """Whether the text has nothing in it for the parser."""
    return not any(mark in source for mark in ("{{", "{%", "{#"))


def pieces(source: str) -> list[str]:
    """Each `{{ … }}` of a text that cannot be read whole; nothing of one that is longer than people write."""
    return _PIECE.findall(source) if len(source) <= MAX_EXPRESSION else []


def parse(source: str) -> list[nodes.Expr]:
    """The parts of a text: `TemplateData` nodes (wrapped text) and expressions. Raises `Fault`."""
    if len(source) > MAX_SOURCE:
        raise Fault(f"longer than {MAX_SOURCE} characters")
    try:
        body = Parser(_ENVIRONMENT, source).parse().body
    except TemplateSyntaxError as error:
        raise Fault(f"cannot be read: {error.message}") from None
    except RecursionError:
        raise Fault("nested too deeply") from None
    parts: list[nodes.Expr] = []
    for output in body:
        if not isinstance(output, nodes.Output):
            raise Fault("only {{ expressions }} are allowed")
        parts.extend(output.nodes)
    return parts


class _ExactLexer(Lexer):
    """Refuses what is no expression, caps sizes, and keeps numbers exact."""

    def wrap(
        self,
        stream: Iterable[tuple[int, str, str]],
        name: str | None = None,
        filename: str | None = None,
    ) -> Iterator[Token]:
        length = depth = 0
        for lineno, kind, value in stream:
            if kind in _REFUSED:
                raise Fault(_REFUSED[kind])
            length = 0 if kind == "variable_begin" else length + (len(value) if kind != "data" else 0)
            if length > MAX_EXPRESSION:
                raise Fault(f"an expression is longer than {MAX_EXPRESSION} characters")
            if kind == "operator":
                depth += (value in _OPEN) - (value in _CLOSE)
                if depth > MAX_BRACKETS:
                    raise Fault(f"brackets are nested more than {MAX_BRACKETS} deep")
            if kind in ("integer", "float"):
                yield Token(lineno, kind, _number(value))  # type: ignore[arg-type]  # Jinja2 puts numbers there too
            elif kind == "string":
                yield Token(lineno, kind, _string(value))
            else:
                yield from super().wrap([(lineno, kind, value)], name, filename)


class _ExpressionEnvironment(Environment):
    """An environment for parsing only, with our lexer."""

    def __init__(self) -> None:
        super().__init__(keep_trailing_newline=True)
        self._exact = _ExactLexer(self)

    @property
    def lexer(self) -> Lexer:
        return self._exact


def _number(literal: str) -> int | Decimal:
    digits = literal.replace("_", "").lower()
    if len(digits) > _MAX_DIGITS:
        raise Fault(f"a number has more than {_MAX_DIGITS} digits")
    if "." not in digits and (digits.startswith(("0x", "0o", "0b")) or "e" not in digits):
        return int(digits, 0)
    value = Decimal(digits)
    if abs(value.adjusted()) > _MAX_DIGITS:
        raise Fault(f"a number has more than {_MAX_DIGITS} digits")
    return value


def _string(literal: str) -> str:
    def unescape(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPED:
            raise Fault(f"unknown escape \\{match[1]} in a string; known: \\\\ \\' \\\" \\n \\t")
        return _ESCAPED[match[1]]

    return _ESCAPE.sub(unescape, literal[1:-1])


_ENVIRONMENT = _ExpressionEnvironment()
