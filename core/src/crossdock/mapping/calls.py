"""One filter applied: what it reads, its arguments checked at load, its failures put into words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from crossdock.mapping.errors import Absent, Fault
from crossdock.mapping.expr import NOTHING, Expr, Frame, used_filters
from crossdock.mapping.filters import Filter, Reads
from crossdock.mapping.paths import EVERY, PRESENCE, Path
from crossdock.mapping.values import Unknown, bounded, merge, walk


def call_filter(
    found: Filter,
    base: Expr,
    positional: Sequence[Expr],
    named: Mapping[str, Expr],
    texts: Sequence[str | None],
) -> Expr:
    """`base | found(positional, named)`; `texts` has the positional arguments that are written-out texts."""
    _check_arguments(found, len(positional), named)
    _check_first(found, texts)
    steps = _field_argument(found, texts, named)
    arguments = [*positional, *named.values()]
    refs, reads = _reading(found.reads, base, steps)
    reads |= frozenset(path for argument in arguments for path in argument.reads)
    handed = frozenset(ref for argument in arguments for ref in argument.refs)
    if found.name == "default":
        refs |= handed
        run = _default(base, positional, named)
    else:
        reads |= handed
        run = _plain(found, base, positional, named)
    parts = [base, *arguments]
    constant = all(part.constant for part in parts)
    return Expr(run, base.label, refs, reads, used_filters(parts) | {found.name}, constant)


def _check_arguments(found: Filter, count: int, named: Mapping[str, Expr]) -> None:
    try:
        inspect.signature(found.call).bind(None, *[None] * count, **dict.fromkeys(named))
    except TypeError as error:
        raise Fault(f"{found.name}: {error}") from None
    except ValueError:
        return


def _check_first(found: Filter, texts: Sequence[str | None]) -> None:
    if found.argument is not None and texts and texts[0] is not None:
        try:
            found.argument(texts[0])
        except Fault as fault:
            raise Fault(f"{found.name}: {fault}") from None


def _field_argument(found: Filter, texts: Sequence[str | None], named: Mapping[str, Expr]) -> tuple[str, ...]:
    """The field that `map`, `where`, `sort` and `sum` take first; it must be written out to be known at load."""
    if not found.takes_field:
        return ()
    if "field" in named or (texts and not texts[0]):
        raise Fault(f"{found.name}: the field must be the first argument, written out in quotes")
    if not texts:
        return ()
    steps = tuple(str(texts[0]).split("."))
    if not all(steps) or any(step.startswith("__") or step in (EVERY, PRESENCE) for step in steps):
        raise Fault(f"{found.name}: {texts[0]!r} is no field name")
    return steps


def _reading(how: Reads, base: Expr, steps: tuple[str, ...]) -> tuple[frozenset[Path], frozenset[Path]]:
    """(handed on, read) of the operand."""
    if how is Reads.COUNT:
        return NOTHING, base.noticed
    if how is Reads.FIRST:
        return base.beneath("0"), base.reads
    if how is Reads.LAST:
        return base.beneath("-1"), base.reads
    if how is Reads.SAME:
        return base.refs, base.reads | (base.beneath(EVERY, *steps) if steps else NOTHING)
    if how is Reads.FIELD and steps:
        return NOTHING, base.reads | base.beneath(EVERY, *steps)
    return NOTHING, base.consumed


def _plain(found: Filter, base: Expr, positional: Sequence[Expr], named: Mapping[str, Expr]) -> Any:
    def run(frame: Frame) -> Any:
        value = base.run(frame)
        arguments = [argument.run(frame) for argument in positional]
        keywords = {name: argument.run(frame) for name, argument in named.items()}
        waiting: list[Unknown] = []
        steps = walk(value, waiting)
        for argument in (*arguments, *keywords.values()):
            steps += walk(argument, waiting)
        if waiting:
            return merge(waiting)
        if value is None and not found.takes_null:
            raise Absent(f"{base.label} is null; put `| default(…)` before `| {found.name}`")
        try:
            frame.walked(steps)
            return bounded(found.call(value, *arguments, **keywords))
        except Fault as fault:
            raise type(fault)(f"{found.name}: {fault}") from None
        except ValueError as error:
            raise Fault(f"{found.name}: {error}") from None
        except Exception as error:
            raise Fault(f"{found.name} failed with {type(error).__name__}: {error}") from error

    return run


def _default(base: Expr, positional: Sequence[Expr], named: Mapping[str, Expr]) -> Any:
    fallback = [*positional, *(e for n, e in named.items() if n == "fallback")][0]
    blank = [*positional[1:], *(e for n, e in named.items() if n == "blank")]

    def run(frame: Frame) -> Any:
        try:
            value = base.run(frame)
        except Absent:
            return fallback.run(frame)
        if isinstance(value, Unknown):
            return value
        too = blank and blank[0].run(frame) is True and isinstance(value, str) and not value.strip()
        return fallback.run(frame) if value is None or too else value

    return run
