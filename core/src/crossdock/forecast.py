"""What a run would do with given records: all of it at once, also where the run itself would stop at the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from crossdock_sdk import EventSpec, Redactor, jsonio
from crossdock_sdk.models import valued
from msgspec.structs import replace as with_
from pydantic import ValidationError

from crossdock.config.compiled import CompiledCheck, CompiledFlow
from crossdock.mapping import MappingError, Pending, Unknown, Unmapped, unmapped
from crossdock.planning import Known, PlanError, Scope, plan_run, planned_input, readable, visible
from crossdock.state import Run, stays


@dataclass(frozen=True, slots=True)
class LegForecast:
    """`input` as it would be sent, with `known after <leg>` for what an earlier leg has yet to tell."""

    leg: str
    do: str
    enabled: bool
    input: dict[str, Any] | None = None
    error: str | None = None

    def fields(self) -> Iterator[tuple[str, str]]:
        """Target field and value, for all that carry something."""
        yield from _leaves(self.input or {}, "")


@dataclass(frozen=True, slots=True)
class CheckForecast:
    """`result` is ok, failed or later (it needs a receipt)."""

    that: str
    say: str
    result: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """`problem` is what would stop the run before it writes, in the words that the run would use."""

    flow: str
    legs: tuple[LegForecast, ...]
    checks: tuple[CheckForecast, ...]
    unmapped: tuple[Unmapped, ...]
    problem: str | None
    follow: str | None = None
    """The flow whose run tells what is `known after origin`."""
    changed: tuple[str, ...] = ()
    """Legs that stand, and that would be written otherwise now."""

    @property
    def ok(self) -> bool:
        return self.problem is None

    def shown(self) -> dict[str, Any]:
        return {"ok": self.ok} | asdict(self)

    def masked(self, redactor: Redactor) -> Forecast:
        """The same without the secrets that `redactor` knows."""
        data = redactor.data
        return replace(
            self,
            legs=tuple(replace(leg, input=data(leg.input), error=data(leg.error)) for leg in self.legs),
            checks=tuple(replace(check, note=data(check.note)) for check in self.checks),
            unmapped=tuple(Unmapped(data(item.path), data(item.value)) for item in self.unmapped),
            problem=data(self.problem),
        )


def records_given(text: bytes | str, spec: EventSpec) -> dict[str, Any]:
    """Records that somebody wrote down as JSON, `{"deal": {…}}`. Raises `ValueError`, in one line."""
    try:
        given = jsonio.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {error}") from None
    return records_held(given, spec)


def records_held(given: Any, spec: EventSpec) -> dict[str, Any]:
    """Records that are what their event brings. Raises `ValueError` with what is wrong, in one line."""
    if not isinstance(given, dict) or set(given) != set(spec.records):
        raise ValueError(f"give a JSON object with exactly these records: {', '.join(spec.records)}")
    for name, body in given.items():
        try:
            spec.records[name].model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ValueError(f"{'.'.join(map(str, (name, *first['loc'])))}: {first['msg']}") from None
    return given


def forecast(
    flow: CompiledFlow,
    spec: EventSpec,
    records: Mapping[str, Any],
    redactor: Redactor,
    run: Run | None = None,
) -> Forecast:
    """Compute everything from the records, and from what stands of `run`; no I/O.

    No secret that `redactor` knows is in the result.
    """
    found = _forecast(flow, spec, with_(run or Run(id="", root=""), records=dict(records)))
    text = jsonio.dumps(records).decode()
    if redactor.text(text) != text:
        told = f"{spec.type}: its record contains one of this installation's secrets; change one"
        found = replace(found, problem=told)
    return found.masked(redactor)


def _forecast(flow: CompiledFlow, spec: EventSpec, run: Run) -> Forecast:
    known = Known(flow, spec)
    try:
        scope = known.records(run)
    except PlanError as error:
        off = tuple(LegForecast(leg.name, leg.do, enabled=leg.enabled) for leg in flow.flow.legs)
        return Forecast(flow.flow.name, off, (), (), str(error), flow.flow.follow)
    left = tuple(unmapped(scope, spec.records, flow.reads, flow.flow.ignore))
    legs = tuple(_leg(flow, leg.name, scope, run) for leg in flow.flow.legs)
    checks = tuple(_check(check, scope) for check in flow.checks)
    try:
        planned = plan_run(known, run)
    except PlanError as error:
        return Forecast(flow.flow.name, legs, checks, left, str(error), flow.flow.follow)
    return Forecast(flow.flow.name, legs, checks, left, None, flow.flow.follow, planned.changed)


def _leg(flow: CompiledFlow, name: str, scope: Scope, run: Run) -> LegForecast:
    leg = flow.legs[name]
    if not leg.leg.enabled:
        return LegForecast(name, leg.leg.do, enabled=False)
    try:
        data = planned_input(leg, scope)
    except PlanError as error:
        scope[name] = Pending({}, after=name)
        return LegForecast(name, leg.leg.do, enabled=True, error=str(error))
    state = run.leg(name)
    receipt = state.receipt if stays(state) else None
    scope[name] = {**data, **visible(receipt)} if receipt else Pending(data, after=name)
    return LegForecast(name, leg.leg.do, enabled=True, input=readable(data))


def _check(check: CompiledCheck, scope: Scope) -> CheckForecast:
    that, say = check.check.that, check.check.say
    try:
        holds = check.template.evaluate(scope)
    except MappingError as error:
        return CheckForecast(that, say, "failed", str(error))
    if isinstance(holds, Unknown):
        return CheckForecast(that, say, "later", f"known after {holds.after}")
    return CheckForecast(that, say, "ok") if holds is True else CheckForecast(that, say, "failed", say)


def _leaves(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{at}.{name}" if at else str(name))
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{at}.{index}")
    elif valued(value):
        yield at, value if isinstance(value, str) else jsonio.dumps(value).decode().strip('"')
