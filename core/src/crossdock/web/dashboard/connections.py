"""Connections: whether each one is in use, heard of, read, and until when its credentials last."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter, Form
from starlette.responses import Response

from crossdock.journal.pauses import CONNECTION, FLOW
from crossdock.pauses import PauseError
from crossdock.web.api import described_connections, pausing_of
from crossdock.web.dashboard.desk import Acting, Desk, Sitting, back

router = APIRouter(include_in_schema=False)


@router.get("/connections")
async def list_connections(desk: Sitting, refused: str = "") -> Response:
    found = plain(await described_connections(desk.runtime))
    return await desk.show("connections.html", connections=found, refused=refused[:400], live="/live")


@router.post("/connections/{name}/pausing")
async def pause_connection(
    desk: Acting, name: str, do: Annotated[str, Form()], why: Annotated[str, Form()] = ""
) -> Response:
    return await _pausing(desk, CONNECTION, name, do, why, "/connections")


@router.post("/flows/{name}/pausing")
async def pause_flow(desk: Acting, name: str, do: Annotated[str, Form()], why: Annotated[str, Form()] = "") -> Response:
    return await _pausing(desk, FLOW, name, do, why, f"/flows/{quote(name)}")


async def _pausing(desk: Desk, kind: str, name: str, do: str, why: str, place: str) -> Response:
    pausing = pausing_of(desk.runtime, desk.actor)
    try:
        await (pausing.resume if do == "resume" else pausing.pause)(kind, name, why.strip() or None)
    except PauseError as error:
        return back(place, refused=str(error))
    desk.runtime.runner.wake()
    return back(place, said=f"{name} {'goes on' if do == 'resume' else 'is paused'}.")
