"""`/api/v1/overview` and `/api/v1/stats/…`: figures for dashboards and reports."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.actors import Scope
from crossdock.journal.figures import Bucket
from crossdock.runtime import Crossdock
from crossdock.web import replies, views
from crossdock.web.access import within
from crossdock.web.problems import ExactJSON, answers
from crossdock.web.wanted import instant_of

router = APIRouter(
    prefix="/api/v1", tags=["figures"], dependencies=[Depends(within(Scope.FIGURES))], default_response_class=ExactJSON
)


class BucketSize(StrEnum):
    """How long a bucket is."""

    MINUTE = "minute"
    QUARTER = "quarter"
    HOUR = "hour"
    DAY = "day"


_SIZES = {
    BucketSize.MINUTE: (timedelta(minutes=1), timedelta(hours=1)),
    BucketSize.QUARTER: (timedelta(minutes=15), timedelta(days=1)),
    BucketSize.HOUR: (timedelta(hours=1), timedelta(days=1)),
    BucketSize.DAY: (timedelta(days=1), timedelta(days=30)),
}
"""What each is, and how far back is looked without `since`."""


@router.get(
    "/overview",
    summary="All flows at a glance, and who needs a person",
    response_model=replies.OverviewReply,
    responses=answers(401, 403),
)
async def overview(request: Request, limit: Annotated[int, Query(ge=0, le=100)] = 10) -> Response:
    """`limit` is how many of the runs that need a person are shown, those that were created first."""
    runtime: Crossdock = request.app.state.crossdock
    found = await runtime.journal.overview(limit)
    flows = [
        {
            "name": name,
            "runs": flow.runs,
            "needs_person": flow.need_person,
            "oldest_unfinished": flow.oldest_unfinished,
        }
        for name, flow in found.flows.items()
    ]
    needing = {"total": found.need_person, "items": [views.summary(row) for row in found.oldest]}
    return ExactJSON({"flows": flows, "needs_person": needing})


@router.get(
    "/stats/throughput",
    summary="How many runs ended, by time",
    response_model=replies.ThroughputReply,
    responses=answers(401, 403, 422),
)
async def throughput(
    request: Request,
    flow: Annotated[str | None, Query(examples=["deal-to-invoice"])] = None,
    bucket: BucketSize = BucketSize.MINUTE,
    since: Annotated[str | None, Query(description="an instant with its zone, a day, or how long ago: 2h")] = None,
    until: Annotated[str | None, Query(description="as `since`; now if not given")] = None,
) -> Response:
    """The last hour by minutes, the last day by quarters or hours, the last thirty days by days; or since when you say.

    Minutes are known for two days, quarters and hours for nine, days (UTC) for good.
    """
    runtime: Crossdock = request.app.state.crossdock
    size, back = _SIZES[bucket]
    end = instant_of(request, "until", until) if until else runtime.now()
    start = instant_of(request, "since", since) if since else end - back
    try:
        found = await runtime.journal.throughput(flow or None, start, end, size)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return ExactJSON(
        {
            "bucket_seconds": int(size.total_seconds()),
            "since": found.since,
            "until": found.until,
            "items": [_bucket(one) for one in found.buckets],
            "total": _bucket(found.total),
        }
    )


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {"start": bucket.start, "runs": bucket.runs, "p50_seconds": bucket.p50, "p95_seconds": bucket.p95}
