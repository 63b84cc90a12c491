"""Connections: whether each one is in use, heard of, read, and until when its credentials last."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from crossdock.web.api import described_connections
from crossdock.web.dashboard.desk import Sitting, plain

router = APIRouter(include_in_schema=False)


@router.get("/connections")
async def list_connections(desk: Sitting) -> Response:
    found = plain(await described_connections(desk.runtime))
    return await desk.show("connections.html", connections=found, live="/live")
