"""Acting on many runs: which, how fast, when to stop; and how it goes."""

from __future__ import annotations

from typing import Any

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from crossdock.asked import NAMES
from crossdock.bulk import ACTIONS, FASTEST, MOST, PACE, BulkError
from crossdock.web import views
from crossdock.web.bulk import BulkWish, bulk_of, described, wish_of
from crossdock.web.dashboard.desk import Acting, Desk, Sitting, back

router = APIRouter(include_in_schema=False)

_STOP_AFTER = 5


@router.get("/bulk")
async def list_jobs(desk: Sitting) -> Response:
    jobs = [await described(desk.runtime.journal, job) for job in await desk.runtime.journal.bulk.newest()]
    return await desk.show("bulks.html", jobs=plain(jobs), live="/live")


@router.get("/bulk/new")
async def new_job(desk: Acting, request: Request) -> Response:
    """Which runs comes with the address: the filters of the list, or the runs that were picked."""
    return await _new(desk, _asked(request.query_params), None)


@router.post("/bulk")
async def begin(desk: Acting, request: Request) -> Response:
    form = await request.form()
    asked = _asked(form)
    if form.get("do") != "begin":
        return await _new(desk, asked, None)
    try:
        wish = wish_of(BulkWish.model_validate(asked), desk.runtime.now())
        job = await bulk_of(desk.runtime, desk.actor).begin(wish, str(form.get("once", "")) or None)
    except (BulkError, ValidationError) as error:
        return await _new(desk, asked, _said(error))
    return back(f"/bulk/{job.id}", said="It has begun.")


@router.get("/bulk/{job}")
async def show_job(desk: Sitting, job: str, refused: str = "") -> Response:
    found = await desk.runtime.journal.bulk.get(job)
    if found is None:
        return await desk.missing(f"There is no job {job}.")
    shown = plain(await described(desk.runtime.journal, found, troubles=True))
    return await desk.show("bulk.html", job=shown, refused=refused[:400], live="/live")


@router.post("/bulk/{job}/stop")
async def stop(desk: Acting, job: str) -> Response:
    return await _change(desk, job, "stop", "Stopped; what was begun goes on.")


@router.post("/bulk/{job}/continue")
async def go_on(desk: Acting, job: str) -> Response:
    return await _change(desk, job, "go_on", "It goes on.")


async def _change(desk: Desk, job: str, what: str, said: str) -> Response:
    try:
        await getattr(bulk_of(desk.runtime, desk.actor), what)(job)
    except BulkError as error:
        return back(f"/bulk/{job}", refused=str(error))
    return back(f"/bulk/{job}", said=said)


async def _new(desk: Desk, asked: dict[str, Any], problem: str | None) -> Response:
    prospect = None
    try:
        found = await bulk_of(desk.runtime, desk.actor).prospect(
            wish_of(BulkWish.model_validate(asked), desk.runtime.now())
        )
        prospect = plain(views.prospect(found))
    except (BulkError, ValidationError) as error:
        problem = problem or _said(error)
    once = f"{desk.actor.name}:{desk.runtime.rng.getrandbits(96):x}"
    limits = {"most": MOST, "fastest": FASTEST}
    return await desk.show(
        "bulk_new.html", asked=asked, prospect=prospect, problem=problem, actions=ACTIONS, once=once, limits=limits
    )


def _asked(given: Any) -> dict[str, Any]:
    """What the address or the form says, in the words of the API."""
    wanted: dict[str, Any] = {name: text for name in NAMES if (text := str(given.get(name, "")).strip())}
    wanted |= {"status": [str(one) for one in given.getlist("status") if one]}
    wanted |= {"needs_person": bool(given.get("needs_person"))}
    asked: dict[str, Any] = {"action": str(given.get("action") or "replay"), "wanted": wanted}
    asked |= {"runs": [str(one) for one in given.getlist("run")]}
    asked |= {"cap": str(given.get("cap") or MOST), "pace": str(given.get("pace") or PACE)}
    asked |= {"stop_after": str(given.get("stop_after", _STOP_AFTER)) or None}
    return asked | {"why": str(given.get("why", "")).strip() or None}


def _said(error: BulkError | ValidationError) -> str:
    if isinstance(error, BulkError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
