"""The list of runs."""

from __future__ import annotations

from typing import Annotated, Any

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Query
from starlette.responses import Response

from crossdock.asked import NAMES, runs_asked
from crossdock.journal.base import InvalidCursor, RunFilter
from crossdock.state import Status
from crossdock.web import views
from crossdock.web.dashboard.desk import Desk, Sitting
from crossdock.web.dashboard.words import KINDS

router = APIRouter(include_in_schema=False)

PAGE = 50
SINCE = (("1h", "last hour"), ("24h", "last day"), ("7d", "last week"), ("30d", "last month"))


@router.get("/runs")
async def list_runs(desk: Sitting, cursor: Annotated[str, Query(max_length=400)] = "") -> Response:
    filters = given(desk)
    problem, wanted = None, RunFilter()
    try:
        wanted = runs_asked(filters, desk.runtime.now())
    except ValueError as error:
        problem = str(error)
    try:
        found = await desk.runtime.journal.runs(wanted, limit=PAGE, cursor=cursor or None)
    except InvalidCursor:
        found = await desk.runtime.journal.runs(wanted, limit=PAGE)
        problem = "That page is not of this list any more; here is the first one."
    return await desk.show(
        "runs.html",
        runs=plain([views.summary(row) for row in found.items]),
        next_cursor=found.next_cursor,
        partial=found.partial,
        filters=filters,
        narrowed=sum(1 for name, value in filters.items() if value and name not in {"flow", "status", "text"}),
        flows=sorted(set(desk.runtime.loaded.flows) | set(await desk.runtime.journal.counts())),
        connections=desk.runtime.connections.names(),
        statuses=[str(one) for one in Status],
        kinds=sorted(KINDS),
        since=SINCE,
        problem=problem,
        first=not cursor,
        live="/live" if not cursor else None,
    )


def given(desk: Desk) -> dict[str, Any]:
    """The filters of the query string, as text."""
    query = desk.request.query_params
    words: dict[str, Any] = {name: query.get(name, "").strip()[:400] for name in NAMES}
    return words | {"status": query.getlist("status")}
