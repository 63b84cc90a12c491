"""`POST /interactions/{connection}`: presses of buttons, as the vendor of a chat sends them."""

from __future__ import annotations

from crossdock_sdk import WebhookRequest
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from crossdock.intake import RefusedError
from crossdock.runtime import Crossdock
from crossdock.web.problems import answers, problem
from crossdock.web.webhooks import RawRoute, TooLargeError, TooSlowError, read_body, too_large, too_slow

router = APIRouter(tags=["interactions"], route_class=RawRoute)


@router.post(
    "/interactions/{connection}",
    summary="Take a press of a button",
    responses={200: {"description": "taken; what became of it is told in the chat"}, **answers(401, 404, 413, 422)},
)
async def interact(connection: str, request: Request) -> Response:
    """Verify, act once, answer within three seconds. 404 with advice where the connection cannot verify presses."""
    runtime: Crossdock = request.app.state.crossdock
    try:
        raw = WebhookRequest(
            method=request.method,
            path=request.scope["path"],
            headers=dict(request.headers),
            body=await read_body(request, runtime.settings.max_body),
        )
        reply = await runtime.presses.receive(connection, raw)
    except TooLargeError:
        return await too_large(request, runtime.settings.max_body)
    except TooSlowError:
        return too_slow()
    except ClientDisconnect:
        return problem(400, "the call broke off")
    except RefusedError as refused:
        return problem(refused.status, refused.title)
    return Response(reply.body, reply.status, dict(reply.headers))
