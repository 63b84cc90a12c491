"""What the canonical models say about a path: which record stands there, and which names it has."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from crossdock.mapping.paths import PRESENCE, Path
from crossdock.words import SURE, did_you_mean, nearest

FREE = ("custom", "native")
"""Fields of every record whose keys are the account's or the vendor's."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`model` is the record at a place, or None for a scalar; `many` says that it is a list of them."""

    model: type[BaseModel] | None = None
    many: bool = False
    free: bool = False
    """Anything may stand below: `custom`, `native`, or a type that tells no names."""


def shape_of(annotation: Any) -> Shape:
    """The shape of a field with that annotation."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        inner = [shape_of(a) for a in get_args(annotation) if a is not type(None)]
        return inner[0] if len(inner) == 1 else Shape(free=True)
    if origin in (list, tuple, set, frozenset):
        element = next((a for a in get_args(annotation) if a is not Ellipsis), Any)
        inner_shape = shape_of(element)
        return Shape(inner_shape.model, many=True, free=inner_shape.free)
    if hasattr(annotation, "__metadata__"):
        return shape_of(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape(annotation)
    return Shape(free=annotation is Any or origin is dict or annotation is dict)


def fields_of(model: type[BaseModel], *, computed: bool = True) -> dict[str, Shape]:
    """The readable names of a model, computed fields included."""
    shapes = {name: shape_of(info.annotation) for name, info in model.model_fields.items()}
    if computed:
        shapes |= {name: shape_of(info.return_type) for name, info in model.model_computed_fields.items()}
    return shapes


def wrong_steps(roots: Mapping[str, Mapping[str, Shape]], path: Path) -> Iterator[str]:
    """What is wrong with reading `path` from records with those fields; after a wrong name goes the right one."""
    names: Mapping[str, Shape] | None = roots.get(path[0])
    here, shape = path[0], Shape()
    for index, step in enumerate(path[1:], 1):
        if step == PRESENCE:
            return
        if names is None:
            yield f"{here} has no fields, so there is no {here}.{step}" if not shape.many else _of_list(here, step)
            return
        meant: str | None = step
        if step not in names:
            yield _unknown(here, step, names)
            meant = nearest(step, names, SURE)
        if meant is None:
            return
        shape, here = names[meant], f"{here}.{meant}"
        if shape.free:
            return
        if shape.many:
            yield from _below_list(shape, here, path[index + 1 :])
            return
        names = fields_of(shape.model) if shape.model else None


def _below_list(shape: Shape, here: str, rest: Path) -> Iterator[str]:
    if not rest or rest == (PRESENCE,):
        return
    if not (rest[0] == "*" or rest[0].lstrip("-").isdecimal()):
        yield _of_list(here, rest[0])
    elif shape.model is not None:
        item = f"{here}.{rest[0]}"
        yield from wrong_steps({item: fields_of(shape.model)}, (item, *rest[1:]))
    elif rest[1:]:
        yield f"{here} holds no records, so there is no {'.'.join(rest[1:])}"


def _of_list(here: str, step: str) -> str:
    return f"{here} is a list, so it has no {step}; take `| first`, an index or `each`"


def _unknown(here: str, step: str, names: Mapping[str, Shape]) -> str:
    message = f"unknown field {here}.{step}"
    hint = did_you_mean(f"{here}.{step}", [f"{here}.{name}" for name in names])
    if nearest(step, names):
        return message + did_you_mean(step, names).replace("mean ", f"mean {here}.", 1)
    if "custom" in names:
        return f"{message}; the account's own fields are under {here}.custom"
    return message + hint
