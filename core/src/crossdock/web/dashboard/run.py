"""One run: what is wrong, what stands, what happened; and what a person can do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Form
from starlette.responses import Response

from crossdock.config.compiled import CompiledFlow
from crossdock.journal.base import RunRow
from crossdock.possible import RESUMABLE, Action, why_not
from crossdock.program import ProgramError
from crossdock.telemetry.story import story
from crossdock.web import views
from crossdock.web.dashboard.charts import waterfall
from crossdock.web.dashboard.desk import Acting, Desk, Sitting, back
from crossdock.web.dashboard.stages import Stage
from crossdock.web.dashboard.story import cause, entries, span_of
from crossdock.web.dashboard.words import STATUSES

router = APIRouter(include_in_schema=False)

_DRAWN = 120
"""Steps in the waterfall at most; a run that was tried for days has thousands."""
_ACTS = 20


@router.get("/runs/{run}")
async def show_run(desk: Sitting, run: str, refused: str = "") -> Response:
    journal, programs = desk.runtime.journal, desk.runtime.programs
    history = await journal.history(run)
    if history is None:
        return await desk.missing(f"There is no run {run}.")
    row, steps = history
    shown = plain(await views.told(journal, programs, row, steps))
    flow = await _flow(desk, row.plan_hash)
    in_force = _in_force(desk, row.flow, row.plan_hash)
    start, end = span_of(shown)
    spans = story(steps, start)[-_DRAWN:]
    acts = await journal.audit.page(kind="run", subject=run, limit=_ACTS)
    return await desk.show(
        "run.html",
        run=shown,
        title=title_of(shown),
        meaning=STATUSES.get(shown["status"], ""),
        cause=cause(shown, flow, desk.runtime.loaded if in_force else None),
        stages=_stages(shown, flow),
        entries=entries(shown),
        picture=waterfall(spans, start, max(end, start + timedelta(milliseconds=1))) if spans else None,
        took=end - start if shown["ended_at"] else None,
        plan=row.plan_hash,
        in_force=in_force,
        acts=acts.items,
        can=_can(row, shown),
        doubtful=[leg["leg"] for leg in shown["legs"] if leg["state"] == "in doubt" and shown["status"] == "in_doubt"],
        refused=refused[:400],
        live=f"/live?run={run}",
    )


@router.post("/runs/{run}/replay")
async def replay(desk: Acting, run: str, why: Annotated[str, Form()] = "") -> Response:
    row = await desk.runtime.journal.run(run)
    flow = desk.runtime.loaded.flows.get(row.flow) if row else None
    plan = flow.plan_hash if flow else None
    return await desk.act(
        run,
        lambda operations: operations.replay(run, plan, why=why.strip() or None),
        lambda new: "It goes on." if new.id == run else "This run was queued as a replay.",
    )


@router.post("/runs/{run}/cancel")
async def cancel(
    desk: Acting, run: str, why: Annotated[str, Form()] = "", keep: Annotated[bool, Form()] = False
) -> Response:
    left = "what it wrote stays as it is" if keep else "what it wrote is taken back"
    return await desk.act(
        run,
        lambda operations: operations.cancel(run, keep=keep, why=why.strip() or None),
        lambda _: f"It is being cancelled; {left}.",
    )


@router.post("/runs/{run}/decide")
async def decide(
    desk: Acting,
    run: str,
    verdict: Annotated[str, Form()],
    plan: Annotated[str, Form()],
    why: Annotated[str, Form()] = "",
) -> Response:
    told = why.strip() or None
    if verdict == "approve":
        return await desk.act(
            run, lambda operations: operations.approve(run, plan, why=told), lambda _: "Approved; it goes on."
        )
    return await desk.act(
        run, lambda operations: operations.reject(run, plan, why=told), lambda _: "Rejected; nothing is written."
    )


@router.post("/runs/{run}/dismiss")
async def dismiss(desk: Acting, run: str, why: Annotated[str, Form()] = "") -> Response:
    return await desk.act(
        run,
        lambda operations: operations.dismiss(run, why=why.strip() or None),
        lambda _: "Dismissed: it needs nobody any more.",
    )


@router.post("/runs/{run}/resolve")
async def resolve(
    desk: Acting,
    run: str,
    leg: Annotated[str, Form()],
    seen: Annotated[str, Form()],
    exists: Annotated[str, Form()] = "",
    why: Annotated[str, Form()] = "",
) -> Response:
    there = exists.strip()
    if seen == "there" and not there:
        return back(f"/runs/{run}", refused="Give the vendor's id of what is there, as its own page shows it.")
    return await desk.act(
        run,
        lambda operations: operations.resolve(run, leg, there if seen == "there" else None, why=why.strip() or None),
        lambda _: f"Noted what you saw; the run goes on from {leg}.",
    )


async def _flow(desk: Desk, plan_hash: str) -> CompiledFlow | None:
    """The flow as the run has it; None where what it needs is not installed any more."""
    try:
        return (await desk.runtime.programs.get(plan_hash)).compiled
    except ProgramError:
        return None


def _in_force(desk: Desk, flow: str, plan_hash: str) -> bool:
    now = desk.runtime.loaded.flows.get(flow)
    return now is not None and now.plan_hash == plan_hash


def _stages(run: dict[str, Any], flow: CompiledFlow | None) -> list[Stage]:
    """The flow as a row of boxes: the event, then each leg with how it stands."""
    event = run["event"] or {}
    actions = {leg.name: leg.leg.do for leg in flow.legs.values()} if flow else {}
    off = [leg.name for leg in flow.legs.values() if not leg.leg.enabled] if flow else []
    first = Stage(event.get("type", "event"), event.get("connection", ""), "received", "good")
    legs = [
        Stage(leg["leg"], actions.get(leg["leg"], ""), leg["state"], None, leg["id"], leg["url"]) for leg in run["legs"]
    ]
    return [first, *legs, *(Stage(name, actions[name], "off") for name in off)]


def _can(row: RunRow, run: dict[str, Any]) -> dict[str, bool]:
    can = {str(action): why_not(action, row) is None and run["replayed_by"] is None for action in Action}
    read, goes_on = run["records"] is not None, row.status in RESUMABLE
    stands = any(leg["state"] == "stands" for leg in run["legs"])
    can |= {"edit": can["edit"] and read, "retake": can["retake"] and read and stands}
    return can | {"replay": can["replay"] and not goes_on, "resume": goes_on, "keep": can["cancel"] and stands}


def title_of(run: dict[str, Any]) -> str:
    """What a person calls it."""
    return str(run["label"] or run["key"])
