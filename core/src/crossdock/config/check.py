"""Every mistake in a flow that can be found without calling anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crossdock_sdk import EventSpec

from crossdock.config.compiled import CompiledFlow, CompiledLeg, compile_flow
from crossdock.config.follow import Following
from crossdock.config.inputs import input_findings
from crossdock.config.models import ORIGIN, Flow
from crossdock.config.names import Named, Names
from crossdock.config.patterns import names_a_field
from crossdock.config.problems import Finding, finding
from crossdock.config.salvage import Salvage
from crossdock.mapping import ExpressionError, Path, Template
from crossdock.mapping.paths import PRESENCE
from crossdock.mapping.shapes import Shape, fields_of, wrong_steps
from crossdock.mapping.template import Loops
from crossdock.plugins import Registry
from crossdock.words import did_you_mean, nearest

_Roots = Mapping[str, Mapping[str, Shape]]
_NO_LOOPS: Loops = {}


@dataclass(frozen=True, slots=True)
class Checked:
    """The flow as far as it compiles, and all that is wrong with it; paths begin inside the flow."""

    compiled: CompiledFlow
    findings: tuple[Finding, ...]


def check_flow(
    flow: Flow, salvaged: Salvage, registry: Registry, names: Names, flows: Mapping[str, Flow | None]
) -> Checked:
    """Check one flow beside the others of the file. What the salvage has reported, or cannot tell, is not judged again.

    Where a name is wrong and a right one is near, the rest is held against that.
    """
    event = names.event(flow.when) if salvaged.event_known else names.only_event()
    actions = {leg.name: names.action(leg.do) for leg in flow.legs if leg.name not in salvaged.lost}
    errors: list[ExpressionError] = []
    compiled = compile_flow(flow, registry, names.known, errors=errors)
    meant = compile_flow(_meant(flow, event, actions), registry, names.known, errors=[])
    checker = _Checker(meant, salvaged, registry, names, event, actions, flows)
    findings = [finding(place(error.where), error.message) for error in errors]
    return Checked(compiled, (*findings, *checker.findings()))


def _meant(flow: Flow, event: Named, actions: Mapping[str, Named]) -> Flow:
    """The flow with the names that were meant."""
    right = {name: action.right for name, action in actions.items() if action.right}
    legs = tuple(leg.model_copy(update={"do": right.get(leg.name, leg.do)}) for leg in flow.legs)
    return flow.model_copy(update={"when": event.right or flow.when, "legs": legs})


def place(where: str) -> tuple[str, ...]:
    """A template's `where` as a path inside the flow: `invoice.lines.*.sku` → legs, invoice, with, lines, with, sku."""
    steps = where.split(".")
    if steps[0] in ("key", "checks", "approve"):
        return (*steps, "that") if steps[0] == "checks" else tuple(steps)
    return ("legs", steps[0], "with", *("with" if step == "*" else step for step in steps[1:]))


class _Checker:
    def __init__(
        self,
        compiled: CompiledFlow,
        salvaged: Salvage,
        registry: Registry,
        names: Names,
        event: Named,
        actions: Mapping[str, Named],
        flows: Mapping[str, Flow | None],
    ) -> None:
        self._compiled = compiled
        self._flow = compiled.flow
        self._salvaged = salvaged
        self._names = names
        self._event = event
        self._actions = actions
        connector = names.known.get(self._flow.source, "")
        self._spec: EventSpec | None = registry.event(connector, self._flow.event)
        self._records: _Roots = {n: fields_of(m) for n, m in self._spec.records.items()} if self._spec else {}
        self._following = Following(self._flow, flows, self._spec, registry, names)

    def findings(self) -> Iterator[Finding]:
        yield from (finding(("when",), wrong) for wrong in self._event.wrong)
        if ORIGIN in self._records:
            yield finding(("when",), f"its connector calls a record {ORIGIN}, which is what a flow follows")
        yield from self._following.findings()
        yield from self._key()
        yield from self._ignore()
        yield from self._notify()
        for leg in self._compiled.legs.values():
            yield from self._leg(leg)
        yield from self._checks()
        yield from self._approve()

    def _key(self) -> Iterator[Finding]:
        template = self._compiled.key
        if template is None:
            return
        if template.constant:
            yield finding(("key",), "the key is the same for every event; write {{ … }} that reads the record's id")
        if self._spec is None:
            return
        known = [tuple(path.split(".")) for path in self._spec.known]
        for path in sorted(template.reads):
            if not any(path[: len(have)] == have for have in known):
                yield from (finding(("key",), wrong) for wrong in self._not_known(path, self._spec))

    def _not_known(self, path: Path, spec: EventSpec) -> list[str]:
        """What is wrong with a field in the key."""
        wrong = list(wrong_steps(self._records, path)) if path[0] != ORIGIN else []
        if path[0] not in self._records and path[0] not in {*self._compiled.legs, ORIGIN}:
            wrong = [f"unknown name {path[0]}{did_you_mean(path[0], self._records)}"]
        may = f"a key may read {', '.join(spec.known)}"
        return [f"{said}; {may}" if "did you mean" not in said else said for said in wrong] or [
            f"{_dotted(path)} is not known when the event arrives; {may}"
        ]

    def _ignore(self) -> Iterator[Finding]:
        for index, pattern in enumerate(self._flow.ignore):
            if self._spec is None or names_a_field(pattern, self._records):
                continue
            steps = tuple(pattern.split("."))
            wrong = list(wrong_steps(self._records, steps)) if steps[0] in self._records else []
            reasons = wrong or [f"{pattern} names no field{did_you_mean(pattern, self._ignorable())}"]
            yield from (finding(("ignore", str(index)), reason) for reason in reasons)

    def _ignorable(self) -> list[str]:
        return [f"{root}.{name}" for root, names in self._records.items() for name in names]

    def _notify(self) -> Iterator[Finding]:
        for index, name in enumerate(self._flow.notify):
            wrong = self._names.notifier(name)
            if wrong:
                yield finding(("notify", str(index)), wrong)

    def _leg(self, leg: CompiledLeg) -> Iterator[Finding]:
        path = ("legs", leg.name)
        action = self._actions.get(leg.name, Named())
        if leg.name in self._records:
            yield finding(path, f"the leg has the name of the record {leg.name}; rename the leg")
        yield from (finding((*path, "do"), wrong) for wrong in action.wrong)
        if leg.template.shape == "each":
            yield finding((*path, "with"), "with must be a mapping of inputs; `each` belongs to one of them")
        elif leg.action_class is not None:
            model = leg.action_class.input_model()
            partial = bool(action.wrong) or leg.name in self._salvaged.partial
            yield from input_findings(leg.template, model, (*path, "with"), place, leg.leg.do, partial=partial)
        yield from self._loops(leg.template)
        for leaf, loops in leg.template.leaves():
            # What is wrong with a loop's list is said there, and not again of all that reads its items.
            items = [path for paths in loops.values() for path in paths]
            told = {wrong.message for path in items for wrong in self._read(path, (), leg)}
            for read in sorted(leaf.reads):
                found = self._read(read, place(leaf.where), leg, loops)
                yield from (wrong for wrong in found if wrong.message not in told)

    def _loops(self, template: Template) -> Iterator[Finding]:
        taken = {*self._records, *self._compiled.legs}
        if template.as_ in taken:
            yield finding((*place(template.where), "as"), f"{template.as_} is already the name of a record or leg")
        elif template.as_ == ORIGIN:
            yield finding((*place(template.where), "as"), f"{ORIGIN} is what a flow follows; choose another name")
        for part in template.parts.values():
            yield from self._loops(part)

    def _checks(self) -> Iterator[Finding]:
        for index, check in enumerate(self._compiled.checks):
            path = ("checks", str(index), "that")
            if check.template.shape in ("constant", "text"):
                yield finding(path, "a check must be one expression: {{ … }}")
            for read in sorted(check.template.reads):
                yield from self._read(read, path)

    def _approve(self) -> Iterator[Finding]:
        template, path = self._compiled.approve, ("approve", "when")
        if template is None:
            return
        if template.shape in ("constant", "text"):
            yield finding(path, "write always, or one expression that is true or false: {{ … }}")
        for read in sorted(template.reads):
            wrong = list(self._read(read, path))
            yield from wrong
            leg = self._compiled.legs.get(read[0])
            if not wrong and leg is not None and leg.action_class is not None and len(read) > 1:
                known = fields_of(leg.action_class.input_model())
                if read[1] not in known:
                    yield finding(
                        path, f"{_said(read)} is known only when {leg.name} is written; a yes comes before that"
                    )

    def _read(
        self, read: Path, path: tuple[str, ...], reader: CompiledLeg | None = None, loops: Loops = _NO_LOOPS
    ) -> Iterator[Finding]:
        """What is wrong with one field that a leg's input (or, without reader, a check) reads."""
        root = read[0]
        if root in self._salvaged.lost:
            return
        if root == ORIGIN:
            yield from self._following.read(read, path)
        elif root in self._compiled.legs and root not in self._records:
            yield from self._read_receipt(read, path, reader)
        elif root in self._records:
            yield from (finding(path, wrong) for wrong in wrong_steps(self._records, read))
        elif self._spec is not None:
            yield from self._unknown(read, path, reader, loops)

    def _unknown(
        self, read: Path, path: tuple[str, ...], reader: CompiledLeg | None, loops: Loops
    ) -> Iterator[Finding]:
        root = read[0]
        legs = [leg.name for leg in self._before(reader) if ("legs", leg.name) not in self._salvaged.renamed]
        names = dict.fromkeys([*self._records, *([ORIGIN] if self._flow.follow else []), *legs, *loops])
        meant = nearest(root, names)
        if meant is None and not self._salvaged.legs_known:
            return
        hint = f"did you mean {meant}?" if meant else f"known here: {', '.join(names)}"
        yield finding(path, f"unknown name {root}; {hint}")
        for right in loops.get(meant, {(meant,)}) if meant else ():
            yield from self._read((*right, *read[1:]), path, reader)

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
        if leg.action_class is not None:
            names = fields_of(leg.action_class.receipt)
            names.pop("undo", None)
            if reader is None:
                names = fields_of(leg.action_class.input_model()) | names
            yield from (finding(path, wrong) for wrong in wrong_steps({leg.name: names}, read))


def _dotted(path: Path) -> str:
    return ".".join(path)


def _said(path: Path) -> str:
    """A field as the file says it, without the mark of a mere look whether it is there."""
    return ".".join(step for step in path if step != PRESENCE)
