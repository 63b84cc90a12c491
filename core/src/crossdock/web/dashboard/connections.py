"""Connections: whether each one is in use, heard of, read, and until when its credentials last."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from starlette.responses import Response

from crossdock.journal.pauses import CONNECTION, FLOW
from crossdock.pauses import PauseError
from crossdock.web.connections import described
from crossdock.web.dashboard.desk import Acting, Desk, Sitting, back
from crossdock.web.dashboard.vitals import vitals
from crossdock.web.pausing import changed

router = APIRouter(include_in_schema=False)


@router.get("/connections")
async def list_connections(desk: Sitting, refused: str = "") -> Response:
    now = desk.runtime.now()
    found = [one | {"vitals": vitals(one, now)} for one in await described(desk.runtime)]
    return await desk.show("connections.html", connections=found, refused=refused[:400], live="/live")


@router.post("/connections/{name}/check")
async def check_connection(desk: Acting, name: str) -> Response:
    """Ask the vendor now, and say what it answered."""
    found = await desk.runtime.checker.check(name)
    if found is None:
        return await desk.missing(f"There is no connection {name}.")
    answer = found.answer
    if answer.state != "ok":
        return back("/connections", refused=f"{name}: {answer.found}" + (f"; {answer.fix}" if answer.fix else ""))
    if not answer.asked:
        return back("/connections", said=f"{name}: {answer.found}.")
    took = answer.took.total_seconds() * 1000
    return back("/connections", said=f"{name} works: {answer.found}. It answered in {took:.0f} ms.")


@router.post("/connections/{name}/pausing")
async def pause_connection(
    desk: Acting, name: str, do: Annotated[str, Form()], why: Annotated[str, Form()] = ""
) -> Response:
    return await _pausing(desk, CONNECTION, name, do, why, "/connections")


@router.post("/flows/{name}/pausing")
async def pause_flow(desk: Acting, name: str, do: Annotated[str, Form()], why: Annotated[str, Form()] = "") -> Response:
    return await _pausing(desk, FLOW, name, do, why, f"/flows/{quote(name)}")


async def _pausing(desk: Desk, kind: str, name: str, do: str, why: str, place: str) -> Response:
    what = "resume" if do == "resume" else "pause"
    try:
        await changed(desk.runtime, desk.actor, what, kind, name, why.strip() or None)
    except PauseError as error:
        return back(place, refused=str(error))
    return back(place, said=f"{name} {'goes on' if do == 'resume' else 'is paused'}.")
