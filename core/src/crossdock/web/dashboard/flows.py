"""Flows: the routing as a diagram, the mapping as a table, and what a deal would make of it."""

from __future__ import annotations

from typing import Annotated, Any

from crossdock_sdk import EventSpec, jsonio
from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Form
from starlette.responses import Response

from crossdock.config.compiled import CompiledFlow
from crossdock.forecast import Forecast, forecast, records_given
from crossdock.journal.base import RunFilter, StoredStep
from crossdock.journal.pauses import FLOW
from crossdock.web.dashboard.desk import Desk, Sitting
from crossdock.web.dashboard.mappings import sources
from crossdock.web.dashboard.stages import Stage
from crossdock.web.pausing import paused

router = APIRouter(include_in_schema=False)

LARGEST = 1_000_000
"""Characters of a pasted event at most."""


@router.get("/flows")
async def list_flows(desk: Sitting) -> Response:
    counts = await desk.runtime.journal.counts()
    flows = [
        {"name": name, "flow": compiled.flow, "stages": stages(compiled), "runs": counts.get(name, {})}
        for name, compiled in desk.runtime.loaded.flows.items()
    ]
    return await desk.show("flows.html", flows=flows, problems=desk.runtime.problems)


@router.get("/flows/{name}")
async def show_flow(desk: Sitting, name: str, run: str = "") -> Response:
    compiled = desk.runtime.loaded.flows.get(name)
    if compiled is None:
        return await desk.missing(f"The routing file in force has no flow {name}.")
    sample = await _sample(desk, name, run.strip())
    return await _page(desk, compiled, sample, pasted=None, problem=None)


@router.post("/flows/{name}")
async def try_flow(desk: Sitting, name: str, records: Annotated[str, Form(max_length=LARGEST)]) -> Response:
    """What the flow would write for these records; nothing is written, and nobody is asked."""
    compiled = desk.runtime.loaded.flows.get(name)
    if compiled is None:
        return await desk.missing(f"The routing file in force has no flow {name}.")
    spec = _spec(desk, compiled)
    if spec is None:
        return await _page(desk, compiled, None, pasted=records, problem="No installed connector brings this event.")
    try:
        given = records_given(records.encode(), spec)
    except ValueError as error:
        return await _page(desk, compiled, None, pasted=records, problem=str(error))
    return await _page(desk, compiled, given, pasted=records, problem=None)


async def _page(
    desk: Desk, compiled: CompiledFlow, sample: dict[str, Any] | None, *, pasted: str | None, problem: str | None
) -> Response:
    spec = _spec(desk, compiled)
    found: Forecast | None = None
    if sample is not None and spec is not None:
        try:
            found = forecast(compiled, spec, sample, desk.runtime.redactor)
        except Exception as error:
            problem = f"These records cannot be tried: {' '.join(str(error).split())[:400]}"
    inputs = {leg.leg: plain(leg.input) for leg in found.legs} if found else {}
    return await desk.show(
        "flow.html",
        flow=compiled.flow,
        plan=compiled.plan_hash,
        stages=stages(compiled),
        mapping=sources(compiled, desk.runtime.loaded, inputs),
        forecast=plain(found.shown()) if found else None,
        pasted=pasted if pasted is not None else (jsonio.pretty(sample) if sample else ""),
        problem=problem,
        records=list(spec.records) if spec else [],
        runs=(await desk.runtime.journal.counts()).get(compiled.flow.name, {}),
        file=desk.runtime.loaded.file,
        line=desk.runtime.loaded.line("flows", compiled.flow.name),
        paused=(await paused(desk.runtime.journal)).get((FLOW, compiled.flow.name)),
        refused=desk.request.query_params.get("refused", "")[:400],
    )


def stages(compiled: CompiledFlow) -> list[Stage]:
    """The event and the legs, as boxes."""
    flow = compiled.flow
    first = Stage(flow.event, flow.source, "", "busy")
    legs = [
        Stage(leg.name, leg.do, "" if leg.enabled else "off", None if leg.enabled else "idle off") for leg in flow.legs
    ]
    return [first, *legs]


def _spec(desk: Desk, compiled: CompiledFlow) -> EventSpec | None:
    connection = desk.runtime.loaded.connections.get(compiled.flow.source)
    return desk.runtime.registry.event(connection.connector, compiled.flow.event) if connection else None


async def _sample(desk: Desk, flow: str, run: str) -> dict[str, Any] | None:
    """The records of this run, or of the newest one of the flow whose payload is still there."""
    journal = desk.runtime.journal
    names = (
        [run]
        if run
        else [row.id for row in (await journal.runs(RunFilter(flow=flow), limit=10)).items if not row.emptied_at]
    )
    for name in names:
        records = _records(await journal.steps(name))
        if records:
            return records
    return None


def _records(steps: list[StoredStep]) -> dict[str, Any] | None:
    read = [step.data.get("records") for step in steps if step.kind == "hydrate" and step.phase == "done"]
    return next((dict(records) for records in reversed(read) if records), None)
