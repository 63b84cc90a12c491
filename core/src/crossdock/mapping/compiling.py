"""From the syntax tree to closures, by a whitelist of nodes: what is not listed here cannot be written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from jinja2 import nodes

from crossdock.mapping.calls import call_filter
from crossdock.mapping.errors import Fault
from crossdock.mapping.expr import NOTHING, Expr, Frame, used_filters
from crossdock.mapping.filters import Filter
from crossdock.mapping.operators import ARITHMETIC, arithmetic, compare, join_text, negative, positive, truth
from crossdock.mapping.paths import EVERY, PRESENCE, Path, field, item
from crossdock.mapping.values import Unknown, bounded, walk
from crossdock.words import SURE, did_you_mean, nearest

MAX_DEPTH = 60

_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "a call is not allowed; a function is used as a filter: {{ value | name(…) }}",
    nodes.Pow: "a power (**) is not allowed",
    nodes.Slice: "a slice is not allowed; use `| first`, `| last` or `| truncate(…)`",
    nodes.Test: "a test (is …) is not allowed; compare with `== none`, or use `| default(…)`",
    nodes.Tuple: "a tuple is not allowed; write a list: [a, b]",
}


class Compiler:
    """Compiles expressions of one place. `local` maps a loop variable to the paths of what it stands for.

    Writers compile what is inside before they complain, so that one mistake hides none of the others.
    """

    def __init__(self, filters: Mapping[str, Filter], local: Mapping[str, frozenset[Path]]) -> None:
        self.filters = filters
        self.local = local
        self.faults: list[str] = []
        """What is not allowed, in the order in which it was found."""
        self._depth = 0
        self._inside: list[Expr] = []

    def compile(self, node: nodes.Node) -> Expr:
        """The compiled expression; one with `faults` still tells what it reads, but cannot be computed."""
        around, self._inside = self._inside, []
        self._depth += 1
        try:
            made = self._write(node)
        except Fault as fault:
            self.faults.append(str(fault))
            made = self._broken()
        finally:
            self._depth -= 1
            self._inside = around
        around.append(made)
        return made

    def _write(self, node: nodes.Node) -> Expr:
        if self._depth > MAX_DEPTH:
            raise Fault(f"nested more than {MAX_DEPTH} deep")
        write = _WRITERS.get(type(node))
        if write is not None:
            return write(self, node)
        for part in _parts(node):
            self.compile(part)
        name = type(node).__name__.lower()
        raise Fault(_REFUSED.get(type(node), f"{name} is not allowed in an expression"))

    def data(self, node: nodes.TemplateData) -> Expr:
        return _constant(node.data)

    def const(self, node: nodes.Const) -> Expr:
        if not (node.value is None or isinstance(node.value, (bool, int, str, Decimal))):
            raise Fault("only numbers, texts, true, false and none can be written out")
        return _constant(node.value)

    def name(self, node: nodes.Name) -> Expr:
        name = _safe(node.name)

        def run(frame: Frame) -> Any:
            if name not in frame.scope:
                raise Fault(f"unknown name {name}{did_you_mean(name, frame.scope)}")
            return bounded(frame.scope[name])

        return Expr(run, name, refs=self.local.get(name, frozenset({(name,)})))

    def getattr(self, node: nodes.Getattr) -> Expr:
        base = self.compile(node.node)
        return self._field(base, _safe(node.attr))

    def getitem(self, node: nodes.Getitem) -> Expr:
        base, key = self.compile(node.node), _constant_key(node.arg)
        if isinstance(key, str):
            return self._field(base, _safe(key))
        return Expr(
            lambda frame: item(base.run(frame), key, base.label),
            f"{base.label}[{key}]",
            base.beneath(str(key)),
            base.reads,
            base.filters,
            base.constant,
        )

    def _field(self, base: Expr, name: str) -> Expr:
        return Expr(
            lambda frame: field(base.run(frame), name, base.label),
            f"{base.label}.{name}",
            base.beneath(name),
            base.reads,
            base.filters,
            base.constant,
        )

    def list(self, node: nodes.List) -> Expr:
        parts = [self.compile(part) for part in node.items]
        return _combined(parts, lambda frame: [part.run(frame) for part in parts], "the list")

    def dict(self, node: nodes.Dict) -> Expr:
        parts = [self.compile(pair.value) for pair in node.items]
        keys = [_constant_key(pair.key) for pair in node.items]
        names = [_safe(key) for key in keys if isinstance(key, str)]
        if len(set(names)) < len(keys):
            raise Fault("the keys of a record must be different texts")

        def run(frame: Frame) -> Any:
            return {name: part.run(frame) for name, part in zip(names, parts, strict=True)}

        return _combined(parts, run, "the record")

    def binary(self, node: nodes.BinExpr) -> Expr:
        left, right = self.compile(node.left), self.compile(node.right)
        operation = ARITHMETIC[type(node).__name__]

        def run(frame: Frame) -> Any:
            return arithmetic(operation, left.run(frame), right.run(frame))

        return _combined([left, right], run, "the result")

    def unary(self, node: nodes.UnaryExpr) -> Expr:
        operand = self.compile(node.node)
        operation = negative if isinstance(node, nodes.Neg) else positive
        return _combined([operand], lambda frame: operation(operand.run(frame)), "the result")

    def negation(self, node: nodes.Not) -> Expr:
        operand = self.compile(node.node)

        def run(frame: Frame) -> Any:
            value = operand.run(frame)
            return value if isinstance(value, Unknown) else not truth(value)

        return Expr(run, "the result", NOTHING, operand.noticed, operand.filters, operand.constant)

    def conjunction(self, node: nodes.BinExpr) -> Expr:
        left, right = self.compile(node.left), self.compile(node.right)
        stops_at = isinstance(node, nodes.Or)

        def run(frame: Frame) -> Any:
            value = left.run(frame)
            if isinstance(value, Unknown) or truth(value) is stops_at:
                return value
            return right.run(frame)

        return _either([left, right], run, reads=NOTHING)

    def condition(self, node: nodes.CondExpr) -> Expr:
        test, yes = self.compile(node.test), self.compile(node.expr1)
        if node.expr2 is None:
            raise Fault("an `if` needs its `else`: {{ a if condition else b }}")
        no = self.compile(node.expr2)

        def run(frame: Frame) -> Any:
            decided = test.run(frame)
            if isinstance(decided, Unknown):
                return decided
            return (yes if truth(decided) else no).run(frame)

        chosen = _either([yes, no], run, reads=test.noticed)
        filters, constant = chosen.filters | test.filters, chosen.constant and test.constant
        return Expr(run, chosen.label, chosen.refs, chosen.reads, filters, constant)

    def comparison(self, node: nodes.Compare) -> Expr:
        sides = [self.compile(node.expr), *(self.compile(operand.expr) for operand in node.ops)]
        operators = [operand.op for operand in node.ops]
        with_null = any(_is_null(side) for side in (node.expr, *(operand.expr for operand in node.ops)))

        def run(frame: Frame) -> Any:
            left, result = sides[0].run(frame), None
            for operator, side in zip(operators, sides[1:], strict=True):
                right = side.run(frame)
                if isinstance(right, (list, tuple, dict)):
                    frame.walked(walk(right, []))
                result = compare(operator, left, right)
                if isinstance(result, Unknown) or not result:
                    return result
                left = right
            return result

        reads = frozenset(path for side in sides for path in (side.noticed if with_null else side.consumed))
        return Expr(run, "the result", NOTHING, reads, used_filters(sides), all(s.constant for s in sides))

    def concat(self, node: nodes.Concat) -> Expr:
        parts = [self.compile(part) for part in node.nodes]
        return _combined(parts, lambda frame: join_text([part.run(frame) for part in parts]), "the text")

    def filter(self, node: nodes.Filter) -> Expr:
        base = self.compile(node.node or nodes.Const(None))
        positional = [self.compile(argument) for argument in node.args]
        named = {str(pair.key): self.compile(pair.value) for pair in node.kwargs}
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Fault(f"* and ** are not allowed in {node.name}(…)")
        texts = [_text_of(argument) for argument in node.args]
        if node.name in self.filters:
            return call_filter(self.filters[node.name], base, positional, named, texts)
        self.faults.append(f"unknown filter {node.name}{did_you_mean(node.name, self.filters)}")
        meant = self.filters.get(nearest(node.name, self.filters, SURE) or "")
        with contextlib.suppress(Fault):
            return call_filter(meant, base, positional, named, texts) if meant else self._broken()
        return self._broken()

    def _broken(self) -> Expr:
        return _combined(self._inside, _not_computed, "the value")


def _parts(node: nodes.Node) -> list[nodes.Expr]:
    """What is inside a node that is not allowed, and can be right or wrong by itself."""
    parts = list(node.iter_child_nodes(exclude=("node",) if isinstance(node, nodes.Call) else None))
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        parts = [node.node.node, *parts]
    parts = [part.value if isinstance(part, nodes.Keyword) else part for part in parts]
    return [part for part in parts if isinstance(part, nodes.Expr)]


def _not_computed(frame: Frame) -> Any:
    raise Fault("the expression has mistakes; `crossdock check` shows them")


def _text_of(node: nodes.Node) -> str | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else None


def _is_null(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None


def _constant(value: Any) -> Expr:
    return Expr(lambda frame: value, "the value", constant=True)


def _constant_key(node: nodes.Node) -> str | int:
    if isinstance(node, nodes.Slice):
        raise Fault(_REFUSED[nodes.Slice])
    sign = -1 if isinstance(node, nodes.Neg) else 1
    key = node.node if isinstance(node, nodes.Neg) else node
    if isinstance(key, nodes.Const) and isinstance(key.value, int) and not isinstance(key.value, bool):
        return sign * key.value
    if sign == 1 and isinstance(key, nodes.Const) and isinstance(key.value, str):
        return key.value
    raise Fault('what stands in brackets must be written out: ["a name"] or [0]')


def _safe(name: str) -> str:
    if name.startswith("__"):
        raise Fault(f"{name}: names that start with two underscores are not allowed")
    if name in (EVERY, PRESENCE) or not name:
        raise Fault(f"{name!r} is no name of a field")
    return name


def _combined(parts: list[Expr], run: Callable[[Frame], Any], label: str) -> Expr:
    """A new value made from all parts: each is read."""
    reads = frozenset(path for part in parts for path in part.consumed)
    return Expr(run, label, NOTHING, reads, used_filters(parts), all(part.constant for part in parts))


def _either(parts: list[Expr], run: Callable[[Frame], Any], *, reads: frozenset[Path]) -> Expr:
    """One of the parts, handed on as it is."""
    refs = frozenset(ref for part in parts for ref in part.refs)
    merged = frozenset(path for part in parts for path in part.reads) | reads
    return Expr(run, parts[0].label, refs, merged, used_filters(parts), all(part.constant for part in parts))


_WRITERS: dict[type[nodes.Node], Callable[[Compiler, Any], Expr]] = {
    nodes.TemplateData: Compiler.data,
    nodes.Const: Compiler.const,
    nodes.Name: Compiler.name,
    nodes.Getattr: Compiler.getattr,
    nodes.Getitem: Compiler.getitem,
    nodes.List: Compiler.list,
    nodes.Dict: Compiler.dict,
    nodes.Add: Compiler.binary,
    nodes.Sub: Compiler.binary,
    nodes.Mul: Compiler.binary,
    nodes.Div: Compiler.binary,
    nodes.FloorDiv: Compiler.binary,
    nodes.Mod: Compiler.binary,
    nodes.Neg: Compiler.unary,
    nodes.Pos: Compiler.unary,
    nodes.Not: Compiler.negation,
    nodes.And: Compiler.conjunction,
    nodes.Or: Compiler.conjunction,
    nodes.CondExpr: Compiler.condition,
    nodes.Compare: Compiler.comparison,
    nodes.Concat: Compiler.concat,
    nodes.Filter: Compiler.filter,
}
