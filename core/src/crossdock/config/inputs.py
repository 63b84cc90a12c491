"""A leg's `with` against the input model of its action."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from crossdock.config.explain import one
from crossdock.config.problems import Finding, finding
from crossdock.mapping import MappingError, Template
from crossdock.mapping.shapes import Shape, shape_of
from crossdock.words import did_you_mean

_Place = Callable[[str], tuple[str, ...]]


def input_findings(
    template: Template,
    model: type[BaseModel],
    path: tuple[str, ...],
    place: _Place,
    what: str,
    *,
    partial: bool = False,
) -> Iterator[Finding]:
    """Missing and unknown inputs, and values that can never fit. `what` names the action in messages.

    `partial`: nothing is said of what is missing.
    """
    if template.shape != "mapping":
        return
    fields = model.model_fields
    for name, info in fields.items():
        if info.is_required() and name not in template.parts and not partial:
            yield finding(path, f"{what} needs the input {name}")
    for key, part in template.parts.items():
        if key in fields:
            yield from _value(part, fields[key], place(part.where), place, f"{what}, {key}")
        else:
            yield finding(place(part.where), f"{what} has no input {key}{did_you_mean(key, fields)}")


def _value(template: Template, info: FieldInfo, path: tuple[str, ...], place: _Place, what: str) -> Iterator[Finding]:
    shape = shape_of(info.annotation)
    broken_loop = template.shape == "broken" and template.parts
    if (template.shape == "broken" and not broken_loop) or (shape.free and not shape.many):
        return
    if template.shape == "list" and not template.parts:
        yield from _literal(template, Annotated[info.annotation, info], path, what)
    elif template.shape in ("mapping", "list", "each") or broken_loop:
        yield from _composite(template, shape, path, place, what)
    elif template.constant:
        yield from _literal(template, Annotated[info.annotation, info], path, what)


def _composite(template: Template, shape: Shape, path: tuple[str, ...], place: _Place, what: str) -> Iterator[Finding]:
    takes = "a list" if shape.many else "a mapping" if shape.model else "a single value"
    given = "a mapping" if template.shape == "mapping" else "a list"
    if takes != given:
        loop = "; a loop is {each: …, as: item, with: …}" if shape.many else ""
        yield finding(path, f"{what} takes {takes}, not {given}{loop}")
    elif shape.model is None:
        return
    elif template.shape == "mapping":
        yield from input_findings(template, shape.model, path, place, what)
    else:
        for part in template.parts.values():
            yield from _item(part, shape.model, place, what)


def _item(template: Template, model: type[BaseModel], place: _Place, what: str) -> Iterator[Finding]:
    if template.shape == "mapping":
        yield from input_findings(template, model, place(template.where), place, what)
    elif template.constant or template.shape in ("list", "each"):
        yield finding(place(template.where), f"an item of {what} must be a mapping")


def _literal(template: Template, annotation: Any, path: tuple[str, ...], what: str) -> Iterator[Finding]:
    try:
        TypeAdapter(annotation).validate_python(template.evaluate({}))
    except MappingError as error:
        yield finding(path, error.message)
    except ValidationError as error:
        first: dict[str, Any] = dict(error.errors(include_url=False)[0])
        given = "" if "too_short" in first["type"] else f", not {template.source!r}"
        said, mark, hint = one(first | {"loc": ("value",)}, BaseModel).partition("; did you mean ")
        yield finding(path, f"{what} {said}{given}{mark}{hint}")
