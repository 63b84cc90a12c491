"""A value of the routing file with expressions in it: a scalar, a list, a mapping, or the `each` form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from jinja2 import nodes

from crossdock.mapping.compiling import Compiler
from crossdock.mapping.errors import ExpressionError, Fault, MappingError
from crossdock.mapping.expr import NOTHING, Expr, Frame, used_filters
from crossdock.mapping.filters import Filter
from crossdock.mapping.loops import Loop, is_loop, read_loop
from crossdock.mapping.operators import join_text, truth
from crossdock.mapping.parsing import is_plain, parse, pieces
from crossdock.mapping.paths import EVERY, Path
from crossdock.mapping.values import Unknown, kind, plain

Shape: TypeAlias = Literal["constant", "expression", "text", "mapping", "list", "each", "broken"]
Loops: TypeAlias = Mapping[str, frozenset[Path]]
"""Loop variables, and the paths of what each stands for."""
MAX_NESTING = 20


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A compiled value. `where` is its place in the file, `source` what the file says.

    `parts` are the values of a mapping by key, of a list by index, and the body of an `each` under `*`;
    `each`, `as_` and `condition` belong to the `each` form. `reads` has loop variables resolved. What is broken
    still tells, for `crossdock check`, what is known of it.
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

    def leaves(self, loops: Loops = MappingProxyType({})) -> Iterator[tuple[Template, Loops]]:
        """Every scalar in the value, the `each` and `if` of loops included, with the loop variables that it sees."""
        if self.each is not None:
            yield from self.each.leaves(loops)
        expr = self.each.expr if self.each else None
        inner = {**loops, self.as_: expr.beneath(EVERY) if expr else NOTHING} if self.as_ else loops
        if self.condition is not None:
            yield from self.condition.leaves(inner)
        for part in self.parts.values():
            yield from part.leaves(inner)
        if self.shape in ("constant", "expression", "text", "broken"):
            yield self, loops

    def run(self, frame: Frame) -> Any:
        """The value within a frame, not yet checked to be plain. For this room; others call `evaluate`."""
        if self.shape == "mapping":
            return {key: part.run(frame) for key, part in self.parts.items()}
        if self.shape == "list":
            return [part.run(frame) for part in self.parts.values()]
        if self.shape == "each":
            return self._loop(frame)
        if self.shape == "broken" or self.expr is None:
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
            return (self._each if is_loop(value) else self._mapping)(value, where, local, depth)
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
        compiler = Compiler(self._filters, local)
        try:
            found, alone = _read(source, compiler.faults)
            parts = [compiler.compile(node) for node in found]
        except RecursionError:
            return self._broken(source, where, "nested too deeply")
        made = parts[0] if alone else _joined(parts)
        template = _leaf(where, source, "expression" if alone else "text", made)
        self._errors += [ExpressionError(where, fault) for fault in dict.fromkeys(compiler.faults)]
        return replace(template, shape="broken", constant=False) if compiler.faults else template

    def _each(self, value: Mapping[str, Any], where: str, local: _Local, depth: int) -> Template:
        loop = read_loop(value, local)
        self._errors += [ExpressionError(f"{where}.{key}" if key else where, said) for key, said in loop.mistakes]
        each = self._one(loop, "each", where, local, "must be one {{ expression }} that gives a list")
        expr = each.expr if each else None
        inner = {**local, loop.name: expr.beneath(EVERY) if expr else NOTHING} if loop.name else local
        condition = self._one(loop, "if", where, inner, "must be one {{ expression }}")
        body = self.compile(value.get(loop.keys.get("with", "")), f"{where}.{EVERY}", inner, depth + 1)
        # Without the loop's name, all that the body says of its items would look wrong.
        parts = {EVERY: body} if loop.name else {}
        made = Template(where, value, "each", parts=parts, each=each, as_=loop.name, condition=condition)
        if loop.mistakes:
            return replace(made, shape="broken")
        reads = (expr.noticed if expr else NOTHING) | body.reads | (condition.reads if condition else NOTHING)
        filters = (part.filters for part in (each, body, condition) if part)
        return replace(made, reads=reads, filters=frozenset(name for names in filters for name in names))

    def _one(self, loop: Loop, key: str, where: str, local: _Local, message: str) -> Template | None:
        """The expression under `each` or `if` of a loop."""
        source = loop.text(key)
        if source is None:
            return None
        where = f"{where}.{loop.keys[key]}"
        made = self._text(source, where, local)
        return made if made.shape in ("expression", "broken") else self._broken(source, where, message)

    def _broken(self, source: Any, where: str, message: str) -> Template:
        self._errors.append(ExpressionError(where, message))
        return Template(where, source, "broken")


def _read(source: str, faults: list[str]) -> tuple[list[nodes.Expr], bool]:
    """The parts of a text, and whether it is one expression alone; of one that cannot be read, what can."""
    try:
        stripped = parse(source.strip())
        alone = len(stripped) == 1 and not isinstance(stripped[0], nodes.TemplateData)
        return (stripped if alone else parse(source)), alone
    except Fault as fault:
        parts: list[nodes.Expr] = []
        before = len(faults)
        for piece in pieces(source):
            try:
                parts += parse(piece)
            except Fault as wrong:
                faults.append(str(wrong))
        if len(faults) == before:
            faults.append(str(fault))
        return parts, False


def _joined(parts: Sequence[Expr]) -> Expr:
    return Expr(
        lambda frame: join_text([part.run(frame) for part in parts]),
        "the text",
        NOTHING,
        frozenset(path for part in parts for path in part.consumed),
        used_filters(parts),
        all(part.constant for part in parts),
    )


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
