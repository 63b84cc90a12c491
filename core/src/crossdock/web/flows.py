"""`/api/v1/flows`: the routing in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock_sdk import EventSpec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.actors import Scope
from crossdock.config.compiled import CompiledFlow
from crossdock.forecast import forecast, records_held
from crossdock.journal.base import Journal, RunFilter
from crossdock.journal.pauses import FLOW
from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.access import within
from crossdock.web.api import Runtime
from crossdock.web.exact import ExactRoute
from crossdock.web.mappings import sources
from crossdock.web.pausing import Paused, offer_pausing, paused
from crossdock.web.problems import ExactJSON, answers

router = APIRouter(
    prefix="/api/v1/flows",
    tags=["flows"],
    dependencies=[Depends(within(Scope.FLOWS))],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


class Records(BaseModel):
    """What a flow is to be tried on; without anything its newest run whose records are still there."""

    model_config = ConfigDict(extra="forbid")

    records: dict[str, Any] | None = Field(default=None, examples=[{"deal": {"id": "812", "title": "Roof"}}])
    run: str | None = Field(default=None, max_length=100, description="as this run has them")


@router.get("", response_model=replies.FlowsReply, summary="The flows in force", responses=answers(401, 403))
async def list_flows(runtime: Runtime) -> Response:
    counts, stopped = await runtime.journal.counts(), await paused(runtime.journal)
    items = [_shown(compiled, counts, stopped) for compiled in runtime.loaded.flows.values()]
    return ExactJSON({"items": items, "problems": list(runtime.problems)})


@router.get(
    "/{name}", response_model=replies.FlowDetail, summary="One flow with its mapping", responses=answers(401, 403, 404)
)
async def show_flow(runtime: Runtime, name: str) -> Response:
    """Which expression makes which field of which leg, and where the file says so."""
    compiled = _flow(runtime, name)
    counts, stopped, spec = await runtime.journal.counts(), await paused(runtime.journal), spec_of(runtime, compiled)
    mapping = [
        {field: getattr(one, field) for field in replies.SourceReply.model_fields}
        for one in sources(compiled, runtime.loaded, {})
    ]
    told = {"records": list(spec.records) if spec else [], "mapping": mapping}
    return ExactJSON(_shown(compiled, counts, stopped) | told)


@router.post(
    "/{name}/forecast",
    response_model=replies.ForecastReply,
    summary="What it would write for a record",
    responses=answers(401, 403, 404, 409, 422),
)
async def forecast_flow(runtime: Runtime, name: str, given: Records | None = None) -> Response:
    """Every write that it would make, and what would stop it. Nothing is written, and nobody is asked."""
    compiled = _flow(runtime, name)
    spec = spec_of(runtime, compiled)
    if spec is None:
        raise HTTPException(409, f"no installed connector brings {compiled.flow.when}")
    given = given or Records()
    records = given.records if given.records is not None else await sample(runtime.journal, name, given.run or "")
    if records is None:
        told = f"run {given.run} is none of it, or its records are gone" if given.run else "no run of it has records"
        raise HTTPException(409, f"{told}; give some")
    try:
        held = records_held(records, spec)
    except ValueError as error:
        raise HTTPException(422, f"body.records: {error}") from None
    return ExactJSON(forecast(compiled, spec, held, runtime.redactor).shown())


def _flow(runtime: Crossdock, name: str) -> CompiledFlow:
    compiled = runtime.loaded.flows.get(name)
    if compiled is None:
        raise HTTPException(404, f"no flow is called {name}")
    return compiled


def _shown(compiled: CompiledFlow, counts: Mapping[str, Any], stopped: Paused) -> dict[str, Any]:
    flow = compiled.flow
    legs = [{"name": leg.name, "do": leg.do, "enabled": leg.enabled} for leg in flow.legs]
    known = {"name": flow.name, "when": flow.when, "follow": flow.follow, "plan": compiled.plan_hash}
    return known | {"legs": legs, "runs": counts.get(flow.name, {}), "paused": stopped.get((FLOW, flow.name))}


def spec_of(runtime: Crossdock, compiled: CompiledFlow) -> EventSpec | None:
    """What the flow's event brings; None where no installed connector brings it."""
    connection = runtime.loaded.connections.get(compiled.flow.source)
    return runtime.registry.event(connection.connector, compiled.flow.event) if connection else None


async def sample(journal: Journal, flow: str, run: str) -> dict[str, Any] | None:
    """The records of this run, or of the newest one of the flow whose payload is still there."""
    named = await journal.run(run) if run else None
    rows = [named] if named else () if run else (await journal.runs(RunFilter(flow=flow), limit=10)).items
    for row in rows:
        if row.flow != flow or row.emptied_at:
            continue
        read = [step for step in await journal.steps(row.id) if step.kind == "hydrate" and step.phase == "done"]
        if read:
            return dict(read[-1].data["records"])
    return None


offer_pausing(
    router,
    FLOW,
    paused=("Perform no runs of it for now", "Events are still taken in, and their runs wait; what is at work rests."),
    resumed=("Perform its runs again", ""),
)
