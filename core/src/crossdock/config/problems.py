"""Mistakes in the routing file, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, ...]
"""Where something stands in the file: the keys and indices on the way."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `path` is such as `flows.deal-to-invoice.legs.invoice.with.lines`; `line` and `column` from 1."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}: {place}{self.message}{hint}"


class ConfigProblems(Exception):  # noqa: N818 - the plural says what it is: all of them at once
    """The routing file has mistakes: all that can be found at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[str] = ()) -> None:
        self.warnings = tuple(warnings)
        self.problems = sorted(problems, key=lambda p: (p.line, p.column))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake whose place is known as a path only."""

    path: Place
    message: str
    hint: str | None = None


def finding(path: Place, message: str) -> Finding:
    """A finding; a `; did you mean …?` at the end of the message becomes its hint."""
    said, mark, name = message.partition("; did you mean ")
    return Finding(path, said, f"did you mean {name}" if mark else None)
