"""The JSON API under `/api/v1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.actors import Actor, Scope
from crossdock.edits import MOST, Edit
from crossdock.journal.base import RunFilter, RunRow
from crossdock.operations import Operations, UnknownRunError
from crossdock.preview import Preview, preview
from crossdock.runtime import Crossdock
from crossdock.web import replies, views
from crossdock.web.access import Operating, within
from crossdock.web.exact import ExactRoute
from crossdock.web.problems import ExactJSON, answers
from crossdock.web.wanted import wanted_runs

router = APIRouter(
    prefix="/api/v1",
    tags=["runs"],
    dependencies=[Depends(within(Scope.RUNS))],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


def _runtime(request: Request) -> Crossdock:
    runtime: Crossdock = request.app.state.crossdock
    return runtime


Runtime = Annotated[Crossdock, Depends(_runtime)]


@router.get(
    "/runs", summary="Runs, newest first", response_model=replies.RunPage, responses=answers(400, 401, 403, 422)
)
async def list_runs(
    runtime: Runtime,
    wanted: Annotated[RunFilter, Depends(wanted_runs)],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Response:
    """Those that are all of what is given. Give `next_cursor` back as `cursor`, with the same filters."""
    return ExactJSON(views.page(await runtime.journal.runs(wanted, limit=limit, cursor=cursor)))


@router.get(
    "/runs/{run}", response_model=replies.RunDetail, summary="One run with its steps", responses=answers(401, 403, 404)
)
async def show_run(runtime: Runtime, run: str) -> Response:
    found = await views.detail(runtime.journal, runtime.programs, run)
    if found is None:
        raise HTTPException(404, f"no run has the id {run}")
    return ExactJSON(found)


class FieldEdit(BaseModel):
    """One field of the run's records, set to another value."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(examples=["deal.products.0.code"], description="dotted, with the numbers of list items")
    value: Any = Field(examples=["CONSULT-DAY"])


class Edits(BaseModel):
    """What is to be changed in the records that a run has read, and what is to be made again."""

    model_config = ConfigDict(extra="forbid")

    edits: list[FieldEdit] = Field(default_factory=list, max_length=MOST)
    from_leg: str | None = Field(
        default=None,
        max_length=200,
        examples=["invoice", None],
        description="take back what this leg and those after it made, newest first, and make that again",
    )


class Replay(Edits):
    """How a run is to be replayed; all of it may be left out."""

    why: str | None = Field(default=None, max_length=1000, examples=["the SKU was mistyped in the CRM"])
    reread: bool = Field(default=False, description="read the records anew, also where somebody has edited them")


@router.post(
    "/runs/{run}/replay",
    response_model=replies.RunSummary,
    summary="Run it again",
    status_code=201,
    responses=answers(401, 403, 404, 409, 422),
)
async def replay_run(runtime: Runtime, by: Operating, run: str, wish: Replay | None = None) -> Response:
    """An ended run gets a successor (its id is in the reply); a stopped one goes on under its own id.

    With `edits` it goes on with the records that the run has read, changed so; without, an ended run's are read anew,
    unless somebody has edited them before (`reread`: then too). With `from_leg` a run that succeeded can be replayed,
    too: what the legs before it made is kept.
    """
    wish = wish or Replay()
    edits = [Edit(one.path, one.value) for one in wish.edits]
    plan = await plan_in_force(runtime, run)
    new = await _operations(runtime, by).replay(
        run, plan, edits=edits, from_leg=wish.from_leg, why=wish.why, reread=wish.reread
    )
    return _acted(runtime, new, 201 if new.id != run else 200)


@router.post(
    "/runs/{run}/preview",
    response_model=replies.PreviewReply,
    summary="What a replay would write",
    responses=answers(401, 403, 404, 409, 422),
)
async def preview_run(runtime: Runtime, run: str, wish: Edits) -> Response:
    """Every write that a replay with these edits would make, and what would stop it. Nothing is written."""
    edits = [Edit(one.path, one.value) for one in wish.edits]
    return ExactJSON((await previewed(runtime, run, edits, wish.from_leg)).shown())


async def previewed(runtime: Crossdock, run: str, edits: Sequence[Edit], from_leg: str | None = None) -> Preview:
    """What a replay by the flow in force would write. Raises as `preview`, and `ProgramError`."""
    row = await runtime.journal.run(run)
    if row is None:
        raise UnknownRunError(f"no run has the id {run}")
    program = await runtime.programs.get(await plan_in_force(runtime, run) or row.plan_hash)
    return await preview(runtime.journal, program, run, edits, runtime.redactor, from_leg)


async def plan_in_force(runtime: Crossdock, run: str) -> str | None:
    """A replay follows the flow as the routing file has it now, so that a mended mapping takes effect."""
    row = await runtime.journal.run(run)
    flow = runtime.loaded.flows.get(row.flow) if row else None
    return flow.plan_hash if flow else None


class Reason(BaseModel):
    """Why somebody does something, in their words."""

    model_config = ConfigDict(extra="forbid")

    why: str | None = Field(default=None, max_length=1000, examples=["done by hand"])


class Cancel(Reason):
    """How a run is to be ended; all of it may be left out."""

    keep: bool = Field(default=False, description="leave what the run made as it is")


@router.post(
    "/runs/{run}/cancel",
    response_model=replies.RunSummary,
    summary="Undo and end it",
    status_code=202,
    responses=answers(401, 403, 404, 409, 422),
)
async def cancel_run(runtime: Runtime, by: Operating, run: str, wish: Cancel | None = None) -> Response:
    """What the run made is undone, newest first; then it ends `cancelled`. A step in hand is finished first.

    With `keep` what it made stays. A write whose reply was lost is settled first, so that what stays is known: looked
    for, or sent again under its key where the vendor keeps keys, so that it may come to stand by that.
    """
    wish = wish or Cancel()
    row = await _operations(runtime, by).cancel(run, keep=wish.keep, why=wish.why)
    return _acted(runtime, row, 202)


@router.post(
    "/runs/{run}/dismiss",
    response_model=replies.RunSummary,
    summary="Say that nothing more is to be done",
    responses=answers(401, 403, 404, 409),
)
async def dismiss_run(runtime: Runtime, by: Operating, run: str, reason: Reason | None = None) -> Response:
    """A failed run that nobody will replay: it is no longer among those that need a person."""
    row = await _operations(runtime, by).dismiss(run, why=reason.why if reason else None)
    return _acted(runtime, row, 200)


class Verdict(Reason):
    """A yes or a no to what a run would write."""

    plan: str = Field(description="`approval.plan` of the run as you saw it", examples=["9f2c…"], max_length=100)


@router.post(
    "/runs/{run}/approve",
    response_model=replies.RunSummary,
    summary="Say yes to its writes",
    status_code=202,
    responses=answers(401, 403, 404, 409),
)
async def approve_run(runtime: Runtime, by: Operating, run: str, verdict: Verdict) -> Response:
    """The run goes on and writes what `approval.writes` shows. Refused if it would write something else by now."""
    row = await _operations(runtime, by).approve(run, verdict.plan, why=verdict.why)
    return _acted(runtime, row, 202)


@router.post(
    "/runs/{run}/reject",
    response_model=replies.RunSummary,
    summary="Say no to its writes",
    status_code=202,
    responses=answers(401, 403, 404, 409),
)
async def reject_run(runtime: Runtime, by: Operating, run: str, verdict: Verdict) -> Response:
    """The run ends `cancelled`, and nothing more is written."""
    row = await _operations(runtime, by).reject(run, verdict.plan, why=verdict.why)
    return _acted(runtime, row, 202)


class Resolution(Reason):
    """What a person saw at the vendor for a leg that is in doubt."""

    leg: str = Field(examples=["invoice"])
    exists: str | None = Field(
        description="the vendor's id of what the leg made; null: it made nothing", examples=["1041", None]
    )


@router.post(
    "/runs/{run}/resolve",
    response_model=replies.RunSummary,
    summary="Settle a leg in doubt",
    status_code=202,
    responses=answers(401, 403, 404, 409),
)
async def resolve_run(runtime: Runtime, by: Operating, run: str, seen: Resolution) -> Response:
    """The run goes on from there: with what the vendor shows under that id, or by writing again."""
    row = await _operations(runtime, by).resolve(run, seen.leg, seen.exists, why=seen.why)
    return _acted(runtime, row, 202)


def _operations(runtime: Crossdock, by: Actor) -> Operations:
    return Operations(runtime.journal, by, runtime.now, runtime.rng)


def _acted(runtime: Crossdock, row: RunRow, status: int) -> Response:
    runtime.runner.wake()
    return ExactJSON(views.summary(row), status)
