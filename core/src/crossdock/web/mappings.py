"""A flow's mapping as a table: which field is made of what, where the file says so, and what it came to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossdock.config.compiled import CompiledFlow
from crossdock.config.load import Loaded
from crossdock.mapping.document import Row, rows

_INDEX = re.compile(r"\[\d+\]|\.\d+(?=\.|$)")


@dataclass(frozen=True, slots=True)
class Source:
    """One field of a leg's input. `place` is the file and line that map it, where the flow in force does.

    `value` is what it came to; `blamed` if it is the field that the vendor, or a check, found wrong.
    """

    leg: str
    target: str
    expression: str
    reads: tuple[str, ...]
    filters: tuple[str, ...]
    enabled: bool
    place: str | None = None
    value: Any = None
    blamed: bool = False


def sources(
    flow: CompiledFlow,
    loaded: Loaded | None,
    inputs: Mapping[str, Any],
    *,
    leg: str | None = None,
    wrong: str | None = None,
) -> list[Source]:
    """All fields of the flow, or of one leg, in the order of the file. `inputs` are the legs' inputs as computed.

    `loaded` is the routing file in force, if this is the flow that it has. `wrong` is a field of `leg`.
    """
    wanted = [row for row in rows(flow) if leg in (None, row.leg)]
    return [_source(flow, row, loaded, inputs.get(row.leg), wrong) for row in wanted]


def _source(flow: CompiledFlow, row: Row, loaded: Loaded | None, given: Any, wrong: str | None) -> Source:
    inner = row.target.removeprefix(row.leg).removeprefix(".")
    blamed = wrong is not None and plain_path(wrong) in {inner, row.target, inner.replace(".*", "")}
    expression = row.source if isinstance(row.source, str) else str(row.source)
    place = f"{loaded.file}:{_line(loaded, flow.flow.name, row.leg, inner)}" if loaded else None
    value = value_at(given, inner)
    return Source(row.leg, inner, expression, row.reads, row.filters, row.enabled, place, value, blamed)


def _line(loaded: Loaded, flow: str, leg: str, inner: str) -> int:
    # Under `each` the file has one `with`, where the mapping has a place for every item.
    steps = ["with" if step == "*" else step for step in inner.split(".") if step]
    return loaded.line("flows", flow, "legs", leg, "with", *steps)


def plain_path(field: str) -> str:
    """A field without the numbers of its lines: `lines[0].sku` → `lines.*.sku`."""
    return _INDEX.sub(".*", field)


def value_at(payload: Any, path: str) -> Any:
    """What stands at a dotted path; of a list (`*`) its items' values."""
    value, steps = payload, path.split(".") if path else []
    for place, step in enumerate(steps):
        if step == "*":
            rest = ".".join(steps[place + 1 :])
            items = value if isinstance(value, list) else []
            return [value_at(item, rest) for item in items] if rest else items
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
