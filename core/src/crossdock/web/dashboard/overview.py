"""The first page: what needs a person, how flows and connections do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter
from starlette.responses import Response

from crossdock.journal.base import Throughput
from crossdock.journal.figures import Bucket
from crossdock.web import views
from crossdock.web.connections import described
from crossdock.web.dashboard.charts import TONE_OF_ENDING, Column, bars, durations
from crossdock.web.dashboard.desk import Desk, Sitting
from crossdock.web.dashboard.vitals import least, token

router = APIRouter(include_in_schema=False)

_FIRST = 8
_SPANS = {
    "hour": (timedelta(hours=1), timedelta(minutes=1), "%H:%M"),
    "day": (timedelta(days=1), timedelta(minutes=15), "%H:%M"),
    "month": (timedelta(days=30), timedelta(days=1), "%d %b"),
}


@router.get("/")
async def overview(desk: Sitting, span: str = "day") -> Response:
    span = span if span in _SPANS else "day"
    found = await desk.runtime.journal.overview(_FIRST)
    throughput, columns = await _columns(desk, span)
    names = sorted(set(found.flows) | set(desk.runtime.loaded.flows))
    return await desk.show(
        "overview.html",
        flows=[_flow(name, found.flows.get(name)) for name in names],
        waiting=plain([views.summary(row) for row in found.oldest]),
        attention=found.need_person,
        connections=[_connection(one, desk.runtime.now()) for one in await described(desk.runtime)],
        problems=desk.runtime.problems,
        span=span,
        spans=list(_SPANS),
        ended=sum(column.total for column in columns),
        p50=throughput.total.p50,
        p95=throughput.total.p95,
        bars=bars(columns, f"Runs that ended in the last {span}"),
        durations=durations(columns, f"How long runs took in the last {span}"),
        live="/live",
    )


async def _columns(desk: Desk, span: str) -> tuple[Throughput, list[Column]]:
    back, bucket, shown = _SPANS[span]
    now = desk.runtime.now()
    found = await desk.runtime.journal.throughput(None, now - back, now, bucket)
    return found, [_column(one, shown) for one in found.buckets]


def _column(bucket: Bucket, shown: str) -> Column:
    runs: dict[str, int] = {}
    for endings in bucket.runs.values():
        for status, number in endings.items():
            tone = TONE_OF_ENDING.get(status, "idle")
            runs[tone] = runs.get(tone, 0) + number
    return Column(bucket.start, _label(bucket.start, shown), runs, bucket.p50, bucket.p95)


def _label(at: datetime, shown: str) -> str:
    return at.strftime(shown)


def _connection(one: dict[str, Any], now: datetime) -> dict[str, Any]:
    return one | {"token": token(one, now), "least": least(one)}


def _flow(name: str, figures: Any) -> dict[str, Any]:
    runs = dict(figures.runs) if figures else {}
    busy = sum(runs.get(status, 0) for status in ("queued", "running", "waiting", "rolling_back"))
    return {
        "name": name,
        "succeeded": runs.get("succeeded", 0),
        "busy": busy,
        "needing": figures.need_person if figures else 0,
        "failed": runs.get("dead", 0) + runs.get("rolled_back", 0),
        "oldest": figures.oldest_unfinished if figures else None,
    }
