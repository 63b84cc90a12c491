"""`/api/v1/flows`: the routing in force."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from crossdock.journal.pauses import FLOW
from crossdock.web import replies
from crossdock.web.access import Operating, admit
from crossdock.web.api import Reason, Runtime
from crossdock.web.exact import ExactRoute
from crossdock.web.pausing import changed, paused
from crossdock.web.problems import ExactJSON, answers

router = APIRouter(
    prefix="/api/v1/flows",
    tags=["flows"],
    dependencies=[Depends(admit)],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


@router.get("", response_model=replies.FlowsReply, summary="The flows in force", responses=answers(401, 403))
async def list_flows(runtime: Runtime) -> Response:
    counts, stopped = await runtime.journal.counts(), await paused(runtime.journal)
    items = []
    for name, compiled in runtime.loaded.flows.items():
        flow = compiled.flow
        legs = [{"name": leg.name, "do": leg.do, "enabled": leg.enabled} for leg in flow.legs]
        known = {"name": name, "when": flow.when, "follow": flow.follow, "plan": compiled.plan_hash}
        items.append(known | {"legs": legs, "runs": counts.get(name, {}), "paused": stopped.get((FLOW, name))})
    return ExactJSON({"items": items, "problems": list(runtime.problems)})


@router.post(
    "/{name}/pause",
    response_model=replies.PauseReply,
    summary="Perform no runs of it for now",
    responses=answers(401, 403, 404, 409, 422),
)
async def pause_flow(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
    """Events are still taken in, and their runs wait; what is at work comes to a rest."""
    return ExactJSON(await changed(runtime, by, "pause", FLOW, name, reason.why if reason else None))


@router.post(
    "/{name}/resume",
    response_model=replies.PauseReply,
    summary="Perform its runs again",
    responses=answers(401, 403, 404, 409, 422),
)
async def resume_flow(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
    return ExactJSON(await changed(runtime, by, "resume", FLOW, name, reason.why if reason else None))
