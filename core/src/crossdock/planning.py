"""What a run would write: every leg's input, the guard and the checks, from the records alone. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossdock_sdk import EventSpec, Receipt, Record, jsonio
from pydantic import ValidationError

from crossdock.config.compiled import CompiledCheck, CompiledFlow, CompiledLeg
from crossdock.config.models import ORIGIN
from crossdock.following import lack
from crossdock.mapping import MappingError, Pending, Unknown
from crossdock.mapping.guard import unmapped
from crossdock.state import LegState, Phase, Run, stays, unsettled

Scope = dict[str, Any]
ReceiptKinds = Callable[[str], type[Receipt] | None]
"""The model of the receipt of an action, such as `books.invoice.create`; None where nothing brings it."""


def no_receipts(do: str) -> type[Receipt] | None:
    """For a flow that follows no other."""
    return None


_WORDS = {
    "missing": "is missing",
    "too_short": "is empty, and at least one item is needed",
    "string_too_short": "is empty, and a text is needed",
}


class PlanError(Exception):
    """The run must not write: says which field, and why. `facts` is the error as the journal keeps it."""

    def __init__(self, message: str, *, leg: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        named = {"leg": leg, "field": field}
        self.facts = {"kind": "mapping", "message": message} | {k: v for k, v in named.items() if v}


@dataclass(frozen=True, slots=True)
class Planned:
    """`inputs`: leg → input as it would be sent; `fingerprint`: equal for records that would be written alike.

    `changed`: the legs that stand since an earlier run, or from before an edit, written with another input than they
    would be now.
    `left_out`: the legs without which the run goes on, and why, for the origin has no receipt that they read.
    """

    inputs: dict[str, Any]
    fingerprint: str
    changed: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    approve: str | None = None
    """Why the flow wants a person's yes; None if it does not."""


def restore(records: Mapping[str, Any], spec: EventSpec) -> Scope:
    """Records from the journal's JSON, with dates and instants as such again. Raises `PlanError`."""
    restored: Scope = {}
    for name, body in records.items():
        try:
            restored[name] = spec.records[name].model_validate(body).model_dump()
        except KeyError:
            told = f"there is no record {name} any more: another version of the connector read it"
            raise PlanError(f"{told}; replay the run to read it anew") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, (name, *first["loc"])))
            told = f"{field} is {_shown(first['input'])}: {first['msg'].removeprefix('Value error, ')}"
            advice = "it was edited so, or read by another version of the connector; correct it, or have it read anew"
            raise PlanError(f"{told}; {advice}", field=field) from None
    return restored


class Known:
    """What a run of one flow knows so far, under the names that expressions use: records, origin and receipts.

    It is kept from step to step: to read all of it anew out of JSON would be a third of the work of a step.
    """

    def __init__(self, flow: CompiledFlow, spec: EventSpec, receipts: ReceiptKinds = no_receipts) -> None:
        self.flow = flow
        self.spec = spec
        self._kinds = receipts
        self._origin: tuple[dict[str, Any], Scope] | None = None
        self._records: Mapping[str, Any] | None = None
        self._restored: Scope = {}
        self._receipts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def records(self, run: Run) -> Scope:
        """The records and what the run follows. Raises `PlanError`."""
        if self._records is None or run.records is not self._records:
            self._restored = restore(run.records or {}, self.spec)
            self._records = run.records
        return self._restored | ({ORIGIN: self._followed(run)} if self.flow.flow.follow else {})

    def _followed(self, run: Run) -> Scope | Pending:
        if run.origin is None:
            return Pending({}, after=ORIGIN)
        if self._origin is None or self._origin[0] is not run.origin:
            self._origin = run.origin, {name: self._known(**leg) for name, leg in run.origin["legs"].items()}
        return self._origin[1]

    def _known(self, do: str, receipt: dict[str, Any]) -> dict[str, Any]:
        """A receipt of the origin with dates and instants as such again."""
        kind = self._kinds(do)
        try:
            return visible(kind.model_validate(receipt).model_dump()) if kind else receipt
        except ValidationError:
            told = f"the origin's receipt of {do} is of another version of its connector; put that back"
            raise PlanError(told) from None

    def scope(self, run: Run) -> Scope:
        """The records and the receipts so far. Raises `PlanError`."""
        scope = self.records(run)
        for leg in self.flow.enabled:
            state = run.leg(leg.name)
            if state.phase is Phase.APPLIED and state.receipt is not None:
                scope[leg.name] = self._receipt(leg, state.receipt)
        return scope

    def _receipt(self, leg: CompiledLeg, receipt: dict[str, Any]) -> dict[str, Any]:
        seen, shown = self._receipts.get(leg.name, (None, None))
        if seen is not receipt or shown is None:
            kind = leg.action_class.receipt if leg.action_class else Receipt
            shown = visible(kind.model_validate(receipt).model_dump())
            self._receipts[leg.name] = receipt, shown
        return shown


def plan_run(known: Known, run: Run) -> Planned:
    """Compute all inputs and hold them against the guard and the checks. Raises `PlanError`."""
    flow, scope = known.flow, known.records(run)
    _guard(flow, known.spec, scope)
    receipts = {name: leg.receipt for name, leg in run.legs.items() if leg.receipt and stays(leg)}
    inputs, left_out = _inputs(flow, scope, receipts, run.origin)
    edited = bool(run.edits)
    changed = tuple(
        leg.name for leg in flow.enabled if _changed(leg, run.leg(leg.name), inputs.get(leg.name), edited=edited)
    )
    # Where what stands is not what would be written now, a person decides which of the two is right.
    for check in () if changed else flow.checks:
        if not _moot(check, left_out, run.origin):
            _hold(check, scope)
    shown = readable(inputs)
    # What an earlier run left must not make the same records look like others.
    alone = readable(_inputs(flow, known.records(run), {}, run.origin)[0]) if receipts else shown
    fingerprint = hashlib.sha256(jsonio.canonical(alone)).hexdigest()
    return Planned(shown, fingerprint, changed, left_out, None if changed else _why_approve(flow, scope))


def _why_approve(flow: CompiledFlow, scope: Scope) -> str | None:
    approve = flow.flow.approve
    if approve is None:
        return None
    if flow.approve is None:
        return "every run of this flow does"
    try:
        wanted = flow.approve.evaluate(scope)
    except MappingError as error:
        raise PlanError(f"approve: {error}") from None
    if wanted is not False and wanted is not True and not isinstance(wanted, Unknown):
        said = f"approve: {approve.when.strip()} is {_shown(wanted)}, and must be true or false"
        raise PlanError(said, field=approve.when)
    # What is not known yet may be so, and nobody has said that it is not.
    return None if wanted is False else approve.when.strip().removeprefix("{{").removesuffix("}}").strip()


def _inputs(
    flow: CompiledFlow, scope: Scope, receipts: Mapping[str, dict[str, Any]], origin: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Leg → input, with what `receipts` tell, and leg → why it is left out.

    `scope` gets each leg as later legs and the checks see it.
    """
    inputs: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for leg in flow.enabled:
        receipt = receipts.get(leg.name)
        try:
            inputs[leg.name] = planned_input(leg, scope)
        except PlanError as error:
            left_out[leg.name] = _without(flow, leg, left_out, origin, error)
            continue
        told = {**inputs[leg.name], **visible(receipt or {})}
        scope[leg.name] = told if receipt else Pending(told, after=leg.name)
    return inputs, left_out


def _without(
    flow: CompiledFlow,
    leg: CompiledLeg,
    left_out: Mapping[str, str],
    origin: Mapping[str, Any] | None,
    error: PlanError,
) -> str:
    """Why a leg whose input cannot be computed is left out. Raises `PlanError` if it must be written."""
    missing = lack(leg.template.reads, origin)
    if missing is not None:
        if missing.optional or (leg.leg.on_failure or flow.flow.on_failure) == "skip":
            return missing.why
        told = f"leg {leg.name} reads {ORIGIN}.{missing.leg}, and {missing.why}"
        advice = "replay that run first, or let this leg have `on_failure: skip`"
        raise PlanError(f"{told}; {advice}", leg=leg.name, field=f"{ORIGIN}.{missing.leg}") from None
    read = next((path[0] for path in sorted(leg.template.reads) if path[0] in left_out), None)
    if read is None:
        raise error
    return f"it reads {read}, which is left out"


def _moot(check: CompiledCheck, left_out: Mapping[str, str], origin: Mapping[str, Any] | None) -> bool:
    """Whether a check is about what the run does without."""
    missing = lack(check.template.reads, origin)
    return bool(check.roots & left_out.keys()) or (missing is not None and missing.optional)


def _changed(leg: CompiledLeg, state: LegState, planned: dict[str, Any] | None, *, edited: bool) -> bool:
    kept = stays(state) or unsettled(state)
    if not ((state.inherited or edited) and kept and state.input is not None):
        return False
    if planned is None or _has_unknown(planned):
        return True
    model = _model(leg)
    given = {name: value for name, value in planned.items() if name not in model.model_computed_fields}
    try:
        return validated(leg, given) != model.model_validate(state.input)
    except ValidationError:
        return True


def leg_input(known: Known, leg: CompiledLeg, run: Run) -> Record:
    """The input of a leg that is about to be applied; everything is known by now. Raises `PlanError`."""
    try:
        data = leg.template.evaluate(known.scope(run))
    except MappingError as error:
        raise PlanError(str(error), leg=leg.name, field=error.where) from None
    return validated(leg, data)


def check_receipts(known: Known, leg: CompiledLeg, run: Run, receipt: Receipt) -> None:
    """Hold the checks that read this leg, and no later one, against what really happened. Raises `PlanError`."""
    checks = known.flow.checks_at(leg.name)
    if checks:
        scope = known.scope(run) | {leg.name: visible(receipt.model_dump())}
        for check in checks:
            if not _moot(check, run.left_out, run.origin):
                _hold(check, scope)


def planned_input(leg: CompiledLeg, scope: Mapping[str, Any]) -> dict[str, Any]:
    """A leg's input with what is known now; the rest is `Unknown`. Raises `PlanError`."""
    try:
        data = leg.template.evaluate(scope)
    except MappingError as error:
        raise PlanError(str(error), leg=leg.name, field=error.where) from None
    later = {name: value for name, value in data.items() if _has_unknown(value)}
    model = _model(leg)
    texts = {name for name in later if _takes_text(model, name)}
    if later.keys() - texts:
        return dict(data)
    known = validated(leg, data | dict.fromkeys(texts, "known later")).model_dump()
    return known | later


def validated(leg: CompiledLeg, data: Any) -> Record:
    """The input as the action's model. Raises `PlanError` naming the field."""
    try:
        return _model(leg).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        reason = _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        if first["input"] is None:
            reason = "is null, and a value is needed; map another field, or give one with `| default(…)`"
        given = "" if first["type"] in _WORDS or first["input"] is None else f", got {_shown(first['input'])}"
        place = f"leg {leg.name}" + (f", input {field}" if field else "")
        raise PlanError(f"{place}: {reason}{given}", leg=leg.name, field=field) from None


def readable(value: Any) -> Any:
    """Plain JSON data, with what is not known yet in words."""
    if isinstance(value, Unknown):
        return f"known after {value.after}"
    if isinstance(value, Mapping):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(item) for item in value]
    return value


def _guard(flow: CompiledFlow, spec: EventSpec, scope: Scope) -> None:
    left = unmapped(scope, spec.records, flow.reads, flow.flow.ignore)
    if left:
        named = ", ".join(f"{item.path} = {_shown(item.value)}" for item in left)
        fields = "fields carry values" if len(left) > 1 else "field carries a value"
        message = f"{len(left)} {fields} that nobody maps or ignores: {named}; map it in a leg, or list it under ignore"
        raise PlanError(message, field=left[0].path)


def _hold(check: Any, scope: Mapping[str, Any]) -> None:
    try:
        holds = check.template.evaluate(scope)
    except MappingError as error:
        raise PlanError(f"check {check.check.say!r}: {error}") from None
    if isinstance(holds, Unknown):
        return
    if holds is not True:
        sides = _sides(check, scope)
        raise PlanError(f"check failed: {check.check.say} ({check.check.that}{sides})", field=check.check.that)


def _sides(check: Any, scope: Mapping[str, Any]) -> str:
    """The values that a failed check compared, so that the alert shows them."""
    seen = []
    for path in sorted(check.template.reads):
        value: Any = scope
        for part in path:
            if isinstance(value, Pending):
                value = value.field(part)
            else:
                value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, (Mapping, list, tuple, Unknown, Pending)) and value is not None:
            seen.append(f"{'.'.join(path)} = {_shown(value)}")
    return f"; {', '.join(seen)}" if seen else ""


def visible(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as expressions see it."""
    return {name: value for name, value in receipt.items() if name != "undo"}


def _model(leg: CompiledLeg) -> type[Record]:
    if leg.action_class is None:
        raise PlanError(f"leg {leg.name}: {leg.leg.do} is not installed any more", leg=leg.name)
    return leg.action_class.input_model()


def _takes_text(model: type[Record], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and (field.annotation is str or field.annotation == (str | None))


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(_has_unknown(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_has_unknown(item) for item in value)


def _shown(value: Any) -> str:
    text = jsonio.dumps(value).decode() if not isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
