"""The first page: what needs a person, how flows and connections do."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from crossdock.web import views
from crossdock.web.dashboard.desk import ATTENTION, Sitting, plain

router = APIRouter(include_in_schema=False)

_FIRST = 8


@router.get("/")
async def overview(desk: Sitting) -> Response:
    journal = desk.runtime.journal
    counts = await journal.counts()
    waiting = []
    for status in ATTENTION:
        page = await journal.runs(status=status, limit=_FIRST)
        waiting += [views.summary(row) | {"label": None} for row in page.items]
    names = sorted(set(counts) | set(desk.runtime.loaded.flows))
    return await desk.show(
        "overview.html",
        flows=[{"name": name, "runs": counts.get(name, {})} for name in names],
        waiting=plain(waiting[:_FIRST]),
        problems=desk.runtime.problems,
        live="/live",
    )
