"""The list of runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from crossdock.journal.base import InvalidCursor, RunFilter
from crossdock.moments import moment
from crossdock.state import Status
from crossdock.web import views
from crossdock.web.dashboard.desk import Desk, Sitting, plain
from crossdock.web.dashboard.words import KINDS

router = APIRouter(include_in_schema=False)

PAGE = 50
SINCE = (("1h", "last hour"), ("24h", "last day"), ("7d", "last week"), ("30d", "last month"))


@router.get("/runs")
async def list_runs(desk: Sitting, cursor: Annotated[str, Query(max_length=400)] = "") -> Response:
    filters = given(desk)
    problem, wanted = None, RunFilter()
    try:
        wanted = filter_of(desk, filters)
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
    names = ("text", "flow", "connection", "error", "leg", "key", "since", "until", "needs_person")
    return {"status": query.getlist("status")} | {name: query.get(name, "").strip()[:400] for name in names}


def filter_of(desk: Desk, filters: dict[str, Any]) -> RunFilter:
    """The filter that they come to. Raises `ValueError` for an instant that is none."""
    now = desk.runtime.now()
    return RunFilter(
        flow=filters["flow"] or None,
        statuses=tuple(name for name in filters["status"] if name in set(Status)),
        key=filters["key"] or None,
        connection=filters["connection"] or None,
        error_kind=filters["error"] or None,
        leg=filters["leg"] or None,
        since=moment(filters["since"], now) if filters["since"] else None,
        until=moment(filters["until"], now) if filters["until"] else None,
        needs_person=bool(filters["needs_person"]),
        text=filters["text"] or None,
    )
