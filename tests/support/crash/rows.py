"""The crash matrix: each situation with every place that is reached in it, from `tests/reliability/crashes.yaml`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from crash.child import Place

FILE = Path(__file__).resolve().parents[2] / "reliability" / "crashes.yaml"

WAITS = frozenset({"run.claimed", "run.taken_over", "run.rested"})
"""How often a run waits, and so is claimed, depends on how quick the machine is: the rows have the most of it."""
_NONE = "none"
"""What the file has for the leg of a step that belongs to none."""


@dataclass(frozen=True)
class Situation:
    """What has happened before: the earlier processes died at `deaths`. `refused`: the last leg is not wanted."""

    name: str
    deaths: tuple[Place, ...]
    refused: bool
    rows: Mapping[str, Any]

    @property
    def ending(self) -> str:
        return "rolled_back" if self.refused else "succeeded"

    def has(self, reached: Mapping[str, Any]) -> bool:
        """Whether these are its rows, as `rows_of` gives them."""
        fewer = {name: self.rows[name] for name in reached if name in WAITS and reached[name] <= self.rows.get(name, 0)}
        return {**reached, **fewer} == self.rows

    def places(self) -> Iterator[Place]:
        for names, legs in self.rows.items():
            point, _, about = names.partition(" ")
            for leg, times in (legs if isinstance(legs, dict) else {_NONE: legs}).items():
                yield from (Place(point, about, leg.replace(_NONE, ""), nth) for nth in range(1, times + 1))


def situations() -> tuple[Situation, ...]:
    read = yaml.safe_load(FILE.read_text())
    return tuple(
        Situation(name, tuple(Place(*death) for death in one["deaths"]), one["refused"], one["rows"] or {})
        for name, one in read.items()
    )


def rows_of(places: Iterable[Place]) -> dict[str, Any]:
    """Places as the file has them: `{"point about": {leg: times}}`, or times alone where there is no leg."""
    counts: dict[str, Counter[str]] = {}
    for place in places:
        counts.setdefault(f"{place.point} {place.about}".strip(), Counter())[place.leg or _NONE] += 1
    return {name: legs[_NONE] if set(legs) == {_NONE} else dict(legs) for name, legs in counts.items()}


JOURNAL = tuple(Place(point, nth=nth) for point in ("journal.written", "journal.committed") for nth in range(1, 13))
"""Commits are not counted on: how many units they take together depends on the machine."""
