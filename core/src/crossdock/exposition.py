"""What the instruments show at one instant, and Prometheus's text format for it, version 0.0.4.

Source: Prometheus docs, "Exposition formats".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Point:
    """One value; `values` are its label values, in the order of the family's labels."""

    values: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """One distribution: how many values fell into each bucket, the last without a bound, and their sum."""

    values: tuple[str, ...]
    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its values. `bounds` are the upper bounds of a histogram's buckets, without infinity.

    `otel` is its name for OpenTelemetry, None where it is not for OTLP; `unit` is in UCUM, such as `s` or `By`.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    unit: str
    otel: str | None
    points: tuple[Point, ...] = ()
    spreads: tuple[Spread, ...] = ()
    bounds: tuple[float, ...] = ()


def page(families: Sequence[Family]) -> str:
    """The page that Prometheus reads."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    told = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {told}\n# TYPE {family.name} {family.kind}\n"
    for point in family.points:
        yield _line(family, point.values, point.value)
    for spread in family.spreads:
        yield from _buckets(family, spread)


def _buckets(family: Family, spread: Spread) -> Iterator[str]:
    total = 0
    for bound, count in zip((*family.bounds, math.inf), spread.counts, strict=True):
        total += count
        yield _line(family, spread.values, total, "_bucket", le=_number(bound))
    yield _line(family, spread.values, spread.sum, "_sum")
    yield _line(family, spread.values, total, "_count")


def _line(family: Family, values: tuple[str, ...], value: float, suffix: str = "", le: str | None = None) -> str:
    pairs = [*zip(family.labels, values, strict=True), *([("le", le)] if le is not None else [])]
    labels = ",".join(f'{k}="{_escaped(v)}"' for k, v in pairs)
    return f"{family.name}{suffix}{f'{{{labels}}}' if pairs else ''} {_number(value)}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
