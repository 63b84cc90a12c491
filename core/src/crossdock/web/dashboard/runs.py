"""The list of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from crossdock.journal.base import InvalidCursor
from crossdock.state import Status
from crossdock.web import views
from crossdock.web.dashboard.desk import Sitting, plain

router = APIRouter(include_in_schema=False)

PAGE = 50


@router.get("/runs")
async def list_runs(
    desk: Sitting,
    flow: str = "",
    status: str = "",
    key: str = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    filters = {"flow": flow.strip(), "status": status.strip(), "key": key.strip()}
    wanted = {name: value or None for name, value in filters.items()}
    problem = None
    try:
        found = await desk.runtime.journal.runs(**wanted, limit=PAGE, cursor=cursor or None)
    except InvalidCursor:
        found = await desk.runtime.journal.runs(**wanted, limit=PAGE)
        problem = "That page is not of this list any more; here is the first one."
    return await desk.show(
        "runs.html",
        runs=plain([views.summary(row) | {"label": None} for row in found.items]),
        next_cursor=found.next_cursor,
        filters=filters,
        flows=sorted(set(desk.runtime.loaded.flows) | set(await desk.runtime.journal.counts())),
        statuses=[str(one) for one in Status],
        problem=problem,
        first=not cursor,
        live="/live" if not cursor else None,
    )
