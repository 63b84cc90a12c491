"""Patterns of `ignore`: whether they can name any field at all."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from crossdock.mapping.shapes import Shape, fields_of


def names_a_field(pattern: str, roots: Mapping[str, Mapping[str, Shape]]) -> bool:
    """Whether `deal.products.*.custom.color` can match a field below a root; a root alone is no field."""
    first, *rest = pattern.split(".")
    return (
        bool(rest)
        and all(rest)
        and any(_matches(rest, names) for root, names in roots.items() if fnmatchcase(root, first))
    )


def _matches(steps: list[str], names: Mapping[str, Shape]) -> bool:
    return any(_below(steps[1:], shape) for name, shape in names.items() if fnmatchcase(name, steps[0]))


def _below(steps: list[str], shape: Shape) -> bool:
    if not steps or shape.free:
        return True
    if shape.many:
        item = steps[0] == "*" or steps[0].isdecimal()
        return item and _below(steps[1:], Shape(shape.model))
    return shape.model is not None and _matches(steps, fields_of(shape.model))
