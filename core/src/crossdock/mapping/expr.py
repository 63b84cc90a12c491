"""One compiled expression: how to compute it, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crossdock.mapping.errors import Fault
from crossdock.mapping.paths import PRESENCE, Path
from crossdock.mapping.values import MAX_ITEMS, MAX_STEPS

NOTHING: frozenset[Path] = frozenset()


@dataclass(slots=True)
class Budget:
    """What is left of the work that one evaluation may make: turns of loops, and steps through values."""

    turns: int = MAX_ITEMS
    steps: int = MAX_STEPS


@dataclass(frozen=True, slots=True)
class Frame:
    """What one evaluation sees: names, and how much work it may still make."""

    scope: Mapping[str, Any]
    budget: Budget = field(default_factory=Budget)

    def turn(self, name: str, value: Any) -> Frame:
        """The frame of one loop turn. Raises `Fault` when there were too many."""
        self.budget.turns -= 1
        if self.budget.turns < 0:
            raise Fault(f"more than {MAX_ITEMS} items")
        return Frame({**self.scope, name: value}, self.budget)

    def walked(self, steps: int) -> None:
        """Charge what a filter or a comparison goes through. Raises `Fault` when it was too much."""
        self.budget.steps -= steps
        if self.budget.steps < 0:
            raise Fault(f"more than {MAX_STEPS} steps; a filter or `in` inside `each` walks its whole list every turn")


Run: TypeAlias = Callable[[Frame], Any]


@dataclass(frozen=True, slots=True)
class Expr:
    """`refs` are the fields whose value this expression hands on; whoever uses that value reads them.

    `reads` are the fields that are read whatever happens to the value. `label` is what messages call it.
    """

    run: Run
    label: str
    refs: frozenset[Path] = NOTHING
    reads: frozenset[Path] = NOTHING
    filters: frozenset[str] = frozenset()
    constant: bool = False

    @property
    def consumed(self) -> frozenset[Path]:
        """All that is read when the value is used whole."""
        return self.reads | self.refs

    @property
    def noticed(self) -> frozenset[Path]:
        """All that is read when only the value's truth, presence or number of items counts."""
        return self.reads | {(*ref, PRESENCE) for ref in self.refs}

    def beneath(self, *steps: str) -> frozenset[Path]:
        """The fields at `steps` below what this expression hands on."""
        return frozenset((*ref, *steps) for ref in self.refs)


def used_filters(parts: Iterable[Expr]) -> frozenset[str]:
    return frozenset(name for part in parts for name in part.filters)
