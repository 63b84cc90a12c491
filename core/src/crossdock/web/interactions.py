"""`POST /interactions/{connection}`: presses of buttons, as the vendor of a chat sends them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from crossdock.runtime import Crossdock
from crossdock.web.problems import answers
from crossdock.web.webhooks import RawRoute, as_sent

router = APIRouter(tags=["interactions"], route_class=RawRoute)


@router.post(
    "/interactions/{connection}",
    summary="Take a press of a button",
    responses={
        200: {"description": "taken; what became of it is told in the chat"},
        **answers(400, 401, 404, 408, 413, 422),
    },
)
async def interact(connection: str, request: Request) -> Response:
    """Verify, act once, answer within three seconds. 404 with advice where the connection cannot verify presses."""
    runtime: Crossdock = request.app.state.crossdock
    reply = await runtime.presses.receive(connection, await as_sent(request))
    return Response(reply.body, reply.status, dict(reply.headers))
