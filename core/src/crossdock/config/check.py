"""Every mistake in a flow that can be found without calling anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crossdock_sdk import EventSpec

from crossdock.config.compiled import CompiledFlow, CompiledLeg, compile_flow
from crossdock.config.inputs import input_findings
from crossdock.config.models import Flow
from crossdock.config.patterns import names_a_field
from crossdock.config.problems import Finding, finding
from crossdock.mapping import ExpressionError, Path, Template
from crossdock.mapping.shapes import Shape, fields_of, wrong_step
from crossdock.plugins import Registry
from crossdock.words import did_you_mean

_Roots = Mapping[str, Mapping[str, Shape]]


@dataclass(frozen=True, slots=True)
class Checked:
    """The flow as far as it compiles, and all that is wrong with it; paths begin inside the flow."""

    compiled: CompiledFlow
    findings: tuple[Finding, ...]


def check_flow(
    flow: Flow,
    registry: Registry,
    connectors: Mapping[str, str | None],
    *,
    lost: frozenset[str] = frozenset(),
    event_known: bool = True,
) -> Checked:
    """Check one flow. `connectors` has every connection; None where its connector is not known.

    `lost` are legs left out because they are reported elsewhere: what reads them is not judged.
    """
    known = {name: connector for name, connector in connectors.items() if connector is not None}
    errors: list[ExpressionError] = []
    compiled = compile_flow(flow, registry, known, errors=errors)
    checker = _Checker(compiled, registry, connectors, lost, event_known)
    findings = [finding(place(error.where), error.message) for error in errors]
    return Checked(compiled, (*findings, *checker.findings()))


def place(where: str) -> tuple[str, ...]:
    """A template's `where` as a path inside the flow: `invoice.lines.*.sku` → legs, invoice, with, lines, with, sku."""
    steps = where.split(".")
    if steps[0] in ("key", "checks"):
        return (*steps, "that") if steps[0] == "checks" else tuple(steps)
    return ("legs", steps[0], "with", *("with" if step == "*" else step for step in steps[1:]))


class _Checker:
    def __init__(
        self,
        compiled: CompiledFlow,
        registry: Registry,
        connectors: Mapping[str, str | None],
        lost: frozenset[str],
        event_known: bool,
    ) -> None:
        self._compiled = compiled
        self._flow = compiled.flow
        self._registry = registry
        self._connectors = connectors
        self._lost = lost
        self._spec: EventSpec | None = self._event() if event_known else None
        self._event_known = event_known
        self._records: _Roots = {n: fields_of(m) for n, m in self._spec.records.items()} if self._spec else {}

    def findings(self) -> Iterator[Finding]:
        if self._event_known:
            yield from self._when()
        yield from self._key()
        yield from self._ignore()
        yield from self._notify()
        for leg in self._compiled.legs.values():
            yield from self._leg(leg)
        yield from self._checks()

    def _event(self) -> EventSpec | None:
        return self._registry.event(self._connectors.get(self._flow.source) or "", self._flow.event)

    def _when(self) -> Iterator[Finding]:
        flow, path = self._flow, ("when",)
        connector = self._connectors.get(flow.source)
        if flow.source not in self._connectors:
            yield finding(path, self._no_connection(flow.source))
        elif connector is not None and connector not in self._registry.sources:
            yield finding(path, f"connection {flow.source} ({connector}) brings no events")
        elif connector is not None and self._spec is None:
            events = [f"{flow.source}.{event.type}" for event in self._registry.sources[connector].events]
            hint = did_you_mean(flow.when, events) or f"; it has {', '.join(sorted(events))}"
            yield finding(path, f"unknown event {flow.when}{hint}")

    def _no_connection(self, name: str) -> str:
        hint = did_you_mean(name, self._connectors)
        return f"unknown connection {name}{hint or '; add it under connections'}"

    def _key(self) -> Iterator[Finding]:
        template = self._compiled.key
        if template is None or template.shape == "broken":
            return
        if template.constant:
            yield finding(("key",), "the key is the same for every event; write {{ … }} that reads the record's id")
        if self._spec is None:
            return
        known = [tuple(path.split(".")) for path in self._spec.known]
        for path in sorted(template.reads):
            if not any(path[: len(have)] == have for have in known):
                names = ", ".join(self._spec.known)
                yield finding(("key",), f"{_dotted(path)} is not known when the event arrives; a key may read {names}")

    def _ignore(self) -> Iterator[Finding]:
        for index, pattern in enumerate(self._flow.ignore):
            if self._spec is None or names_a_field(pattern, self._records):
                continue
            steps = tuple(pattern.split("."))
            wrong = wrong_step(self._records, steps) if steps[0] in self._records else None
            reason = wrong or f"{pattern} names no field{did_you_mean(pattern, self._ignorable())}"
            yield finding(("ignore", str(index)), reason)

    def _ignorable(self) -> list[str]:
        return [f"{root}.{name}" for root, names in self._records.items() for name in names]

    def _notify(self) -> Iterator[Finding]:
        for index, name in enumerate(self._flow.notify):
            path = ("notify", str(index))
            connector = self._connectors.get(name)
            if name not in self._connectors:
                yield finding(path, self._no_connection(name))
            elif connector is not None and connector not in self._registry.notifiers:
                able = [n for n, c in self._connectors.items() if c in self._registry.notifiers]
                others = f"; these can: {', '.join(sorted(able))}" if able else ""
                yield finding(path, f"connection {name} ({connector}) cannot notify anyone{others}")

    def _leg(self, leg: CompiledLeg) -> Iterator[Finding]:
        path = ("legs", leg.name)
        if leg.name in self._records:
            yield finding(path, f"the leg has the name of the record {leg.name}; rename the leg")
        yield from self._action(leg, (*path, "do"))
        if leg.template.shape == "each":
            yield finding((*path, "with"), "with must be a mapping of inputs; `each` belongs to one of them")
        elif leg.action_class is not None:
            model = leg.action_class.input_model()
            yield from input_findings(leg.template, model, (*path, "with"), place, leg.leg.do)
        yield from self._loops(leg.template)
        for leaf in leg.template.leaves():
            for read in sorted(leaf.reads):
                yield from self._read(read, place(leaf.where), reader=leg)

    def _action(self, leg: CompiledLeg, path: tuple[str, ...]) -> Iterator[Finding]:
        connection = leg.leg.connection
        connector = self._connectors.get(connection)
        if connection not in self._connectors:
            yield finding(path, self._no_connection(connection))
        elif connector is not None and connector not in self._registry.sinks:
            yield finding(path, f"connection {connection} ({connector}) has no actions")
        elif connector is not None and leg.action_class is None:
            actions = [f"{connection}.{action.name}" for action in self._registry.sinks[connector].actions]
            hint = did_you_mean(leg.leg.do, actions) or f"; it has {', '.join(sorted(actions))}"
            yield finding(path, f"unknown action {leg.leg.do}{hint}")

    def _loops(self, template: Template) -> Iterator[Finding]:
        taken = {*self._records, *self._compiled.legs}
        if template.as_ in taken:
            yield finding((*place(template.where), "as"), f"{template.as_} is already the name of a record or leg")
        for part in template.parts.values():
            yield from self._loops(part)

    def _checks(self) -> Iterator[Finding]:
        for index, check in enumerate(self._compiled.checks):
            path = ("checks", str(index), "that")
            if check.template.shape in ("constant", "text"):
                yield finding(path, "a check must be one expression: {{ … }}")
            for read in sorted(check.template.reads):
                yield from self._read(read, path, reader=None)

    def _read(self, read: Path, path: tuple[str, ...], *, reader: CompiledLeg | None) -> Iterator[Finding]:
        """What is wrong with one field that a leg's input (or, without reader, a check) reads."""
        root = read[0]
        if root in self._lost:
            return
        if root in self._compiled.legs and root not in self._records:
            yield from self._read_receipt(read, path, reader)
        elif root in self._records:
            wrong = wrong_step(self._records, read)
            if wrong:
                yield finding(path, wrong)
        elif self._spec is not None:
            names = dict.fromkeys([*self._records, *(leg.name for leg in self._before(reader))])
            hint = did_you_mean(root, names) or f"; known here: {', '.join(names)}"
            yield finding(path, f"unknown name {root}{hint}")

    def _before(self, reader: CompiledLeg | None) -> list[CompiledLeg]:
        legs = list(self._compiled.legs.values())
        return legs if reader is None else legs[: legs.index(reader)]

    def _read_receipt(self, read: Path, path: tuple[str, ...], reader: CompiledLeg | None) -> Iterator[Finding]:
        leg = self._compiled.legs[read[0]]
        if reader is leg:
            yield finding(path, f"the leg {leg.name} reads its own receipt")
        elif leg not in self._before(reader):
            yield finding(path, f"reads the leg {leg.name}, which comes later; move it up")
        elif not leg.leg.enabled and (reader is None or reader.leg.enabled):
            yield finding(path, f"reads the leg {leg.name}, which is not enabled")
        elif leg.action_class is not None:
            names = fields_of(leg.action_class.receipt)
            names.pop("undo", None)
            if reader is None:
                names = fields_of(leg.action_class.input_model()) | names
            wrong = wrong_step({leg.name: names}, read)
            if wrong:
                yield finding(path, wrong)


def _dotted(path: Path) -> str:
    return ".".join(path)
