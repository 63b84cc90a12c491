"""For load balancers and monitoring: alive, ready, and the metrics page."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from crossdock.actors import Scope
from crossdock.exposition import CONTENT_TYPE
from crossdock.readiness import readiness
from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.access import within
from crossdock.web.problems import ExactJSON, answers

router = APIRouter(tags=["operation"])


@router.get(
    "/healthz", response_model=replies.HealthReply, summary="Whether the process answers", response_class=ExactJSON
)
async def healthz() -> Response:
    return ExactJSON({"status": "ok"})


@router.get(
    "/readyz",
    response_model=replies.ReadyReply,
    summary="Whether runs make progress",
    response_class=ExactJSON,
    responses=answers(503),
)
async def readyz(request: Request) -> Response:
    """Ready while the journal takes checkpoints and either no run has been due for two minutes, or runs do move."""
    runtime: Crossdock = request.app.state.crossdock
    found = await readiness(runtime)
    body = {
        "status": "ready" if found.ready else "stalled",
        "journal": found.trouble or "ok",
        "oldest_due_seconds": round(found.oldest_due.total_seconds(), 3),
        "config": "refused" if runtime.problems else "in force",
    }
    return ExactJSON(body, 200 if found.ready else 503)


@router.get(
    "/metrics",
    summary="Metrics as Prometheus reads them",
    dependencies=[Depends(within(Scope.METRICS))],
    responses={200: {"content": {"text/plain": {}}}, **answers(401, 403)},
)
async def metrics(request: Request) -> Response:
    runtime: Crossdock = request.app.state.crossdock
    return Response(await runtime.metrics.registry.render(), media_type=CONTENT_TYPE)
