"""A flow with its expressions compiled: from the loader, or again from a plan that a run has kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossdock_sdk import Action

from crossdock.config.models import ALWAYS, Check, Flow, Leg
from crossdock.mapping import ExpressionError, Filter, Path, Template, compile_template, filter_box
from crossdock.plugins import Registry


@dataclass(frozen=True, slots=True)
class CompiledLeg:
    """`action_class` is None where no installed connector has the action."""

    leg: Leg
    template: Template
    action_class: type[Action[Any]] | None

    @property
    def name(self) -> str:
        return self.leg.name

    @property
    def looks_first(self) -> bool:
        """Whether the action reads what stands before it writes."""
        return self.action_class is not None and self.action_class.before is not Action.before


@dataclass(frozen=True, slots=True)
class CompiledCheck:
    check: Check
    template: Template

    @property
    def roots(self) -> frozenset[str]:
        """The records and legs that it reads."""
        return frozenset(path[0] for path in self.template.reads)


@dataclass(frozen=True, slots=True)
class CompiledFlow:
    """`legs` has all legs by name, in the order of the file. `reads` is what enabled legs, checks and key read."""

    flow: Flow
    key: Template | None
    legs: Mapping[str, CompiledLeg]
    checks: tuple[CompiledCheck, ...]
    reads: frozenset[Path]
    plan_hash: str

    enabled: tuple[CompiledLeg, ...] = ()
    """The legs that run, in order."""
    approve: Template | None = None
    """Whether a run waits for a person's yes; None where the flow does not say, or always."""

    def checks_at(self, leg: str) -> tuple[CompiledCheck, ...]:
        """The checks that read this leg, and none that comes after it."""
        names = [other.name for other in self.enabled]
        later = set(names[names.index(leg) + 1 :])
        return tuple(check for check in self.checks if leg in check.roots and not check.roots & later)


def compile_flow(
    flow: Flow,
    registry: Registry,
    connectors: Mapping[str, str],
    *,
    errors: list[ExpressionError] | None = None,
) -> CompiledFlow:
    """Compile all expressions of a flow. `connectors` maps connection names to connector names.

    Raises `ExpressionError`; with `errors` it collects them instead, and what has one cannot be evaluated.
    """
    box = filter_box(zone=flow.zone, tables=flow.tables, transforms=registry.transforms)
    key = compile_template(flow.key, box, where="key", errors=errors) if flow.key is not None else None
    legs = {leg.name: _leg(leg, box, registry, connectors, errors) for leg in flow.legs}
    checks = tuple(
        CompiledCheck(check, compile_template(check.that, box, where=f"checks.{index}", errors=errors))
        for index, check in enumerate(flow.checks)
    )
    approve = _approve(flow, box, errors)
    enabled = tuple(leg for leg in legs.values() if leg.leg.enabled)
    used = [leg.template for leg in enabled]
    used += [check.template for check in checks] + ([key] if key else []) + ([approve] if approve else [])
    reads = frozenset(path for template in used for path in template.reads)
    return CompiledFlow(flow, key, legs, checks, reads, flow.plan_hash(), enabled, approve)


def _approve(flow: Flow, box: Mapping[str, Filter], errors: list[ExpressionError] | None) -> Template | None:
    if flow.approve is None or flow.approve.when == ALWAYS:
        return None
    return compile_template(flow.approve.when, box, where="approve.when", errors=errors)


def _leg(
    leg: Leg,
    box: Mapping[str, Filter],
    registry: Registry,
    connectors: Mapping[str, str],
    errors: list[ExpressionError] | None,
) -> CompiledLeg:
    action = registry.action(connectors.get(leg.connection, ""), leg.action)
    return CompiledLeg(leg, compile_template(leg.with_, box, where=leg.name, errors=errors), action)
