"""`POST /webhooks/{connection}`: a 2xx means that the delivery's events are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from crossdock_sdk import WebhookRequest
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.problems import ExactJSON, answers, problem


class RawRoute(APIRoute):
    """Gives its endpoint the request as it came: to have its parameters read costs as much as to take it in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            reply: Response = await self.endpoint(request.path_params["connection"], request)
            return reply

        return handle


router = APIRouter(tags=["webhooks"], route_class=RawRoute)

BODY_SECONDS = 30.0
"""How long a whole body may take: one that drips would hold its connection for ever."""
DRAIN_SECONDS = 10.0
DRAIN_BYTES = 64 * 1024 * 1024
"""How long, and how far, a refused body is read on."""


class TooLargeError(Exception):
    """The body is over the cap."""


class TooSlowError(Exception):
    """The body did not arrive in `BODY_SECONDS`."""


@router.post(
    "/webhooks/{connection}",
    summary="Take in a vendor's delivery",
    responses={
        200: {"description": "on disk, or known already", "model": replies.TakenReply},
        **answers(400, 401, 404, 408, 413, 422, 500, 503),
    },
    response_class=ExactJSON,
)
async def deliver(connection: str, request: Request) -> Response:
    """Verify, parse, deduplicate, commit; then answer. Says how many runs are new and how many were known."""
    runtime: Crossdock = request.app.state.crossdock
    taken = await runtime.intake.receive(connection, await as_sent(request))
    if taken.runs:
        runtime.runner.wake()
    if taken.reply is not None:
        return Response(taken.reply.body, taken.reply.status, dict(taken.reply.headers))
    return ExactJSON({"accepted": len(taken.runs), "duplicates": taken.duplicates, "ignored": taken.unrouted})


async def as_sent(request: Request) -> WebhookRequest:
    """The request with its raw body. Raises `TooLargeError`, `TooSlowError`, and `ClientDisconnect`."""
    runtime: Crossdock = request.app.state.crossdock
    return WebhookRequest(
        method=request.method,
        path=request.scope["path"],
        headers=dict(request.headers),
        body=await _body(request, runtime.settings.max_body),
        query=dict(request.query_params) if request.scope["query_string"] else {},
    )


async def _body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLargeError
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlowError from None
    return b"".join(chunks)


def install(app: FastAPI) -> None:
    """Answer bodies that are not read to their end."""

    async def too_large(request: Request, _: Exception) -> Response:
        reply = problem(413, f"a delivery may have {request.app.state.crossdock.settings.max_body} bytes")
        return reply if await _drained(request) else _last(reply)

    async def too_slow(_: Request, _error: Exception) -> Response:
        return _last(problem(408, f"a delivery's body may take {BODY_SECONDS:g} seconds"))

    async def broken_off(_: Request, _error: Exception) -> Response:
        return problem(400, "the delivery broke off")

    app.add_exception_handler(TooLargeError, too_large)
    app.add_exception_handler(TooSlowError, too_slow)
    app.add_exception_handler(ClientDisconnect, broken_off)


async def _drained(request: Request) -> bool:
    """Read a refused body to its end; False if it has one too far off.

    Many clients write all of a body before they read: to close over what is unread resets the connection, and
    the reply is lost.
    """
    if "100-continue" in request.headers.get("expect", "").lower():
        # This one asks before it writes; to read on would bid it to.
        return False
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > DRAIN_BYTES:
                    return False
    except (TimeoutError, ClientDisconnect):
        return False
    return True


def _last(reply: Response) -> Response:
    """The reply after which the connection is closed, for the rest of its request is not read."""
    reply.headers["Connection"] = "close"
    return reply
