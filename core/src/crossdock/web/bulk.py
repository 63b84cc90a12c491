"""`/api/v1/bulk`: acting on many runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.actors import Actor, Scope
from crossdock.asked import runs_asked
from crossdock.bulk import ACTIONS, FASTEST, MOST, PACE, Bulk, BulkError, Wish
from crossdock.edits import Edit
from crossdock.journal.base import Journal
from crossdock.journal.bulk import Job
from crossdock.runtime import Crossdock
from crossdock.state import Status
from crossdock.web import replies, views
from crossdock.web.access import Operating, within
from crossdock.web.api import FieldEdit, Reason
from crossdock.web.exact import ExactRoute
from crossdock.web.problems import ExactJSON, answers

router = APIRouter(
    prefix="/api/v1/bulk",
    tags=["bulk"],
    dependencies=[Depends(within(Scope.RUNS))],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


class Wanted(BaseModel):
    """Which runs, as the filters of `GET /api/v1/runs`."""

    model_config = ConfigDict(extra="forbid")

    flow: str | None = Field(default=None, examples=["deal-to-invoice"])
    status: list[Status] = Field(default_factory=list, examples=[["dead", "rolled_back"]])
    key: str | None = None
    connection: str | None = Field(default=None, examples=["books"])
    error: str | None = Field(default=None, examples=["rejected"])
    leg: str | None = None
    since: str | None = Field(default=None, examples=["2h"])
    until: str | None = None
    needs_person: bool = False
    text: str | None = None


class BulkWish(BaseModel):
    """What is to be done to which runs."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(default="replay", pattern=f"^({'|'.join(ACTIONS)})$", examples=["replay"])
    wanted: Wanted = Field(default_factory=Wanted)
    runs: list[str] = Field(default_factory=list, max_length=MOST, description="these runs, instead of a filter")
    cap: int = Field(default=MOST, ge=1, le=MOST, description="so many at most, the oldest first")
    pace: float = Field(default=PACE, gt=0, le=FASTEST, description="runs a second")
    stop_after: int | None = Field(default=None, ge=1, description="stop when so many have come to nothing good")
    edits: list[FieldEdit] = Field(default_factory=list, max_length=50, description="the same change for all of them")
    why: str | None = Field(default=None, max_length=1000)


def bulk_of(runtime: Crossdock, by: Actor) -> Bulk:
    """What makes jobs for this caller."""
    return Bulk(runtime.journal, by, runtime.now, runtime.rng)


def wish_of(asked: BulkWish, now: datetime) -> Wish:
    """What was asked for. Raises `BulkError` for an instant that is none."""
    try:
        wanted = runs_asked(asked.wanted.model_dump(), now)
    except ValueError as error:
        raise BulkError(str(error)) from None
    edits = tuple(Edit(one.path, one.value) for one in asked.edits)
    runs = tuple(dict.fromkeys(asked.runs))
    return Wish(asked.action, wanted, runs, asked.cap, asked.pace, asked.stop_after, edits, asked.why)


@router.post(
    "/preview",
    response_model=replies.ProspectReply,
    summary="What a bulk job would come to",
    responses=answers(401, 403, 409, 422),
)
async def preview_bulk(request: Request, by: Operating, asked: BulkWish) -> Response:
    """How many runs it would act on, the first of them, and why others are left out. Nothing is done."""
    runtime: Crossdock = request.app.state.crossdock
    found = await bulk_of(runtime, by).prospect(wish_of(asked, runtime.now()))
    return ExactJSON(views.prospect(found))


@router.post(
    "",
    response_model=replies.JobReply,
    summary="Act on many runs",
    status_code=201,
    responses=answers(401, 403, 409, 422),
)
async def begin_bulk(
    request: Request,
    by: Operating,
    asked: BulkWish,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """The list of runs is fixed now; a server works through it. The same `Idempotency-Key` again is the same job."""
    runtime: Crossdock = request.app.state.crossdock
    job = await bulk_of(runtime, by).begin(wish_of(asked, runtime.now()), idempotency_key)
    return ExactJSON(await described(runtime.journal, job), 201)


@router.get("", response_model=replies.JobsReply, summary="Bulk jobs, newest first", responses=answers(401, 403))
async def list_bulk(request: Request) -> Response:
    runtime: Crossdock = request.app.state.crossdock
    jobs = await runtime.journal.bulk.newest()
    return ExactJSON({"items": [await described(runtime.journal, job) for job in jobs]})


@router.get(
    "/{job}", response_model=replies.JobReply, summary="How a bulk job stands", responses=answers(401, 403, 404)
)
async def show_bulk(request: Request, job: str) -> Response:
    """With the runs that were left out or came to nothing good, the first hundred."""
    runtime: Crossdock = request.app.state.crossdock
    found = await runtime.journal.bulk.get(job)
    if found is None:
        raise HTTPException(404, f"no job has the id {job}")
    return ExactJSON(await described(runtime.journal, found, troubles=True))


@router.post(
    "/{job}/stop", response_model=replies.JobReply, summary="Begin no more of it", responses=answers(401, 403, 409)
)
async def stop_bulk(request: Request, by: Operating, job: str, reason: Reason | None = None) -> Response:
    return await _changed(request, by, job, "stop", reason)


@router.post(
    "/{job}/continue", response_model=replies.JobReply, summary="Let it go on", responses=answers(401, 403, 409)
)
async def continue_bulk(request: Request, by: Operating, job: str, reason: Reason | None = None) -> Response:
    return await _changed(request, by, job, "go_on", reason)


async def _changed(request: Request, by: Actor, job: str, what: str, reason: Reason | None) -> Response:
    runtime: Crossdock = request.app.state.crossdock
    changed = await getattr(bulk_of(runtime, by), what)(job, reason.why if reason else None)
    return ExactJSON(await described(runtime.journal, changed))


async def described(journal: Journal, job: Job, *, troubles: bool = False) -> dict[str, Any]:
    """A job with its progress, as the API shows it."""
    progress = await journal.bulk.progress(job)
    names = ("id", "action", "wanted", "edits", "why", "pace", "stop_after", "status", "reason")
    known: dict[str, Any] = {name: getattr(job, name) for name in names}
    known |= {"by": job.by.name, "created_at": job.created_at, "ended_at": job.ended_at}
    known |= {name: getattr(progress, name) for name in progress.__dataclass_fields__}
    known["eta_seconds"] = round(progress.waiting / job.pace) if job.status == "working" else None
    if troubles:
        found = await journal.bulk.troubles(job)
        known["troubles"] = [{name: getattr(one, name) for name in one.__dataclass_fields__} for one in found]
    return known
