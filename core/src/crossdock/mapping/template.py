"""A value of the routing file with expressions in it: a scalar, a list, a mapping, or the `each` form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from jinja2 import nodes

from crossdock.mapping.compiling import Compiler
from crossdock.mapping.errors import ExpressionError, Fault, MappingError
from crossdock.mapping.expr import NOTHING, Expr, Frame
from crossdock.mapping.filters import Filter
from crossdock.mapping.operators import join_text, truth
from crossdock.mapping.parsing import is_plain, parse
from crossdock.mapping.paths import EVERY, Path
from crossdock.mapping.values import Unknown, kind, plain
from crossdock.words import did_you_mean

Shape: TypeAlias = Literal["constant", "expression", "text", "mapping", "list", "each", "broken"]
_EACH_KEYS = ("each", "as", "with", "if")
MAX_NESTING = 20


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A compiled value. `where` is its place in the file, `source` what the file says.

    `parts` are the values of a mapping by key, of a list by index, and the body of an `each` under `*`;
    `each`, `as_` and `condition` belong to the `each` form. `reads` has loop variables resolved.
    """

    where: str
    source: Any
    shape: Shape
    reads: frozenset[Path] = NOTHING
    filters: frozenset[str] = frozenset()
    constant: bool = False
    parts: Mapping[str, Template] = field(default_factory=dict)
    each: Template | None = None
    as_: str = ""
    condition: Template | None = None
    expr: Expr | None = None

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """The value as plain data, or `Unknown` parts in it. Raises `MappingError`.

        `scope` maps names to plain data: dict, list, str, int, Decimal, bool, date, datetime, None.
        """
        try:
            return plain(self.run(Frame(scope)))
        except Fault as fault:
            raise MappingError(self.where, str(fault)) from None
        except RecursionError:
            raise MappingError(self.where, "nested too deeply") from None

    def leaves(self) -> Iterator[Template]:
        """Every scalar in the value, the `each` and `if` of loops included, in the order of the file."""
        if self.each is not None:
            yield from self.each.leaves()
        if self.condition is not None:
            yield from self.condition.leaves()
        for part in self.parts.values():
            yield from part.leaves()
        if self.shape in ("constant", "expression", "text", "broken"):
            yield self

    def run(self, frame: Frame) -> Any:
        """The value within a frame, not yet checked to be plain. For this room; others call `evaluate`."""
        if self.shape == "mapping":
            return {key: part.run(frame) for key, part in self.parts.items()}
        if self.shape == "list":
            return [part.run(frame) for part in self.parts.values()]
        if self.shape == "each":
            return self._loop(frame)
        if self.expr is None:
            raise MappingError(self.where, "the expression has mistakes; `crossdock check` shows them")
        try:
            return self.expr.run(frame)
        except Fault as fault:
            raise MappingError(self.where, str(fault)) from None

    def _loop(self, frame: Frame) -> Any:
        assert self.each is not None
        values = self.each.run(frame)
        if isinstance(values, Unknown):
            return values
        if not isinstance(values, (list, tuple)):
            raise MappingError(self.each.where, f"a list is needed, not {kind(values)}")
        made: list[Any] = []
        for index, value in enumerate(values):
            try:
                turn = frame.turn(self.as_, value)
                wanted = True if self.condition is None else self.condition.run(turn)
                if isinstance(wanted, Unknown):
                    return wanted
                if truth(wanted):
                    made.append(self.parts[EVERY].run(turn))
            except MappingError as error:
                raise MappingError(_numbered(error.where, index), error.message) from None
        return made


def compile_template(
    value: Any,
    filters: Mapping[str, Filter],
    *,
    where: str,
    errors: list[ExpressionError] | None = None,
) -> Template:
    """Compile a value of the routing file. Raises `ExpressionError` for the first mistake.

    With `errors` it raises nothing: every mistake is appended, and a leaf that has one cannot be evaluated.
    """
    found: list[ExpressionError] = []
    template = _TemplateCompiler(filters, found).compile(value, where, {}, 0)
    if errors is None and found:
        raise found[0]
    if errors is not None:
        errors.extend(found)
    return template


_Local: TypeAlias = dict[str, frozenset[Path]]


class _TemplateCompiler:
    def __init__(self, filters: Mapping[str, Filter], errors: list[ExpressionError]) -> None:
        self._filters = filters
        self._errors = errors

    def compile(self, value: Any, where: str, local: _Local, depth: int) -> Template:
        if depth > MAX_NESTING:
            return self._broken(value, where, f"nested more than {MAX_NESTING} deep")
        if isinstance(value, str):
            return self._text(value, where, local)
        if isinstance(value, Mapping):
            return (self._each if "each" in value else self._mapping)(value, where, local, depth)
        if isinstance(value, (list, tuple)):
            named = {str(index): part for index, part in enumerate(value)}
            parts = {k: self.compile(part, f"{where}.{k}", local, depth + 1) for k, part in named.items()}
            return _composed(where, value, "list", parts)
        try:
            plain(value)
        except Fault as fault:
            return self._broken(value, where, str(fault))
        return Template(where, value, "constant", constant=True, expr=Expr(lambda frame: value, "the value"))

    def _mapping(self, value: Mapping[str, Any], where: str, local: _Local, depth: int) -> Template:
        parts = {str(k): self.compile(v, f"{where}.{k}", local, depth + 1) for k, v in value.items()}
        return _composed(where, value, "mapping", parts)

    def _text(self, source: str, where: str, local: _Local) -> Template:
        if is_plain(source):
            if len(source) > 65_536:
                return self._broken(source, where, "the text is longer than 65536 characters")
            return Template(where, source, "constant", constant=True, expr=Expr(lambda frame: source, "the text"))
        try:
            stripped = parse(source.strip())
            if len(stripped) == 1 and not isinstance(stripped[0], nodes.TemplateData):
                expr = Compiler(self._filters, local).compile(stripped[0])
                return _leaf(where, source, "expression", expr)
            parts = [Compiler(self._filters, local).compile(node) for node in parse(source)]
        except Fault as fault:
            return self._broken(source, where, str(fault))
        except RecursionError:
            return self._broken(source, where, "nested too deeply")
        reads = frozenset(path for part in parts for path in part.consumed)
        names = frozenset(name for part in parts for name in part.filters)
        joined = Expr(
            lambda frame: join_text([part.run(frame) for part in parts]),
            "the text",
            NOTHING,
            reads,
            names,
            all(part.constant for part in parts),
        )
        return _leaf(where, source, "text", joined)

    def _each(self, value: Mapping[str, Any], where: str, local: _Local, depth: int) -> Template:
        mistake = _each_mistake(value, local)
        if mistake:
            return self._broken(value, where, mistake)
        each = self._text(value["each"], f"{where}.each", local)
        if each.shape not in ("expression", "broken"):
            each = self._broken(value["each"], f"{where}.each", "must be one {{ expression }} that gives a list")
        expr = each.expr
        inner = {**local, value["as"]: expr.beneath(EVERY) if expr else NOTHING}
        condition = self._condition(value, where, inner)
        body = self.compile(value["with"], f"{where}.{EVERY}", inner, depth + 1)
        reads = (expr.noticed if expr else NOTHING) | body.reads | (condition.reads if condition else NOTHING)
        return Template(
            where,
            value,
            "each",
            reads,
            each.filters | body.filters | (condition.filters if condition else frozenset()),
            parts={EVERY: body},
            each=each,
            as_=value["as"],
            condition=condition,
        )

    def _condition(self, value: Mapping[str, Any], where: str, local: _Local) -> Template | None:
        if "if" not in value:
            return None
        condition = self._text(value["if"], f"{where}.if", local)
        if condition.shape not in ("expression", "broken"):
            return self._broken(value["if"], f"{where}.if", "must be one {{ expression }}")
        return condition

    def _broken(self, source: Any, where: str, message: str) -> Template:
        self._errors.append(ExpressionError(where, message))
        return Template(where, source, "broken")


def _each_mistake(value: Mapping[str, Any], local: _Local) -> str | None:
    for key in value:
        if key not in _EACH_KEYS:
            return f"unknown key {key} beside each{did_you_mean(str(key), _EACH_KEYS)}"
    for key in ("as", "with"):
        if key not in value:
            return f"each needs {key}: write {{each: …, as: item, with: …}}"
    if not isinstance(value["each"], str) or not isinstance(value.get("if", ""), str):
        return "each and if must be {{ expressions }}"
    name = value["as"]
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        return "as must be a name such as product"
    return f"{name} is already the name of an outer loop's item" if name in local else None


def _leaf(where: str, source: str, shape: Shape, expr: Expr) -> Template:
    return Template(where, source, shape, expr.consumed, expr.filters, expr.constant, expr=expr)


def _composed(where: str, source: Any, shape: Shape, parts: Mapping[str, Template]) -> Template:
    return Template(
        where,
        source,
        shape,
        frozenset(path for part in parts.values() for path in part.reads),
        frozenset(name for part in parts.values() for name in part.filters),
        all(part.constant for part in parts.values()),
        parts,
    )


def _numbered(where: str, index: int) -> str:
    before, star, after = where.rpartition(EVERY)
    return f"{before}{index}{after}" if star else where
