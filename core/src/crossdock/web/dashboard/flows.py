"""Flows: the routing as a diagram, the mapping as a table, and what a deal would make of it."""

from __future__ import annotations

from typing import Annotated, Any

from crossdock_sdk import jsonio
from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Form
from starlette.responses import Response

from crossdock.config.compiled import CompiledFlow
from crossdock.forecast import Forecast, forecast, records_given
from crossdock.journal.pauses import FLOW
from crossdock.web.dashboard.desk import Desk, Sitting
from crossdock.web.dashboard.stages import Stage
from crossdock.web.flows import sample, spec_of
from crossdock.web.mappings import sources
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
    found = await sample(desk.runtime.journal, name, run.strip())
    return await _page(desk, compiled, found, pasted=None, problem=None)


@router.post("/flows/{name}")
async def try_flow(desk: Sitting, name: str, records: Annotated[str, Form(max_length=LARGEST)]) -> Response:
    """What the flow would write for these records; nothing is written, and nobody is asked."""
    compiled = desk.runtime.loaded.flows.get(name)
    if compiled is None:
        return await desk.missing(f"The routing file in force has no flow {name}.")
    spec = spec_of(desk.runtime, compiled)
    if spec is None:
        return await _page(desk, compiled, None, pasted=records, problem="No installed connector brings this event.")
    try:
        given = records_given(records.encode(), spec)
    except ValueError as error:
        return await _page(desk, compiled, None, pasted=records, problem=str(error))
    return await _page(desk, compiled, given, pasted=records, problem=None)


async def _page(
    desk: Desk, compiled: CompiledFlow, given: dict[str, Any] | None, *, pasted: str | None, problem: str | None
) -> Response:
    spec = spec_of(desk.runtime, compiled)
    found: Forecast | None = None
    if given is not None and spec is not None:
        try:
            found = forecast(compiled, spec, given, desk.runtime.redactor)
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
        pasted=pasted if pasted is not None else (jsonio.pretty(given) if given else ""),
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
