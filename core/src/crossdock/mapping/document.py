"""The mapping document: which field of the source ends up in which field of the target, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossdock.mapping.paths import PRESENCE, Path
from crossdock.mapping.template import Template

if TYPE_CHECKING:
    from crossdock.config.compiled import CompiledFlow


@dataclass(frozen=True, slots=True)
class Row:
    """One target field, such as `invoice.lines.*.sku`. `reads` are dotted source fields, sorted."""

    leg: str
    action: str
    target: str
    source: Any
    reads: tuple[str, ...]
    filters: tuple[str, ...]
    enabled: bool = True


def rows(flow: CompiledFlow) -> list[Row]:
    """One row per target field, in the order of the file; disabled legs too, marked as such."""
    return [
        Row(
            leg.name,
            leg.leg.do,
            ".".join((leg.name, *target)),
            _shown(template),
            tuple(sorted({_dotted(path) for path in template.reads})),
            tuple(sorted(template.filters)),
            leg.leg.enabled,
        )
        for leg in flow.legs.values()
        for target, template in _targets(leg.template, ())
    ]


def _targets(template: Template, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Template]]:
    if template.each is not None:
        yield at, template.each
    if not template.parts and (at or template.shape != "mapping"):
        yield at, template
    for key, part in template.parts.items():
        yield from _targets(part, (*at, key))


def _shown(template: Template) -> Any:
    source = template.source
    return source.strip() if isinstance(source, str) else source


def _dotted(path: Path) -> str:
    return ".".join(step for step in path if step != PRESENCE)
