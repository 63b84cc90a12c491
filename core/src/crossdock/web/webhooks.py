"""`POST /webhooks/{connection}`: a 2xx means that the delivery's events are on disk."""

from __future__ import annotations

from crossdock_sdk import WebhookRequest
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from crossdock.intake import RefusedError
from crossdock.runtime import Crossdock
from crossdock.web.problems import ExactJSON, answers, problem

router = APIRouter(tags=["webhooks"])


class TooLargeError(Exception):
    """The body is over the cap."""


@router.post(
    "/webhooks/{connection}",
    summary="Take in a vendor's delivery",
    responses={200: {"description": "on disk, or known already"}, **answers(401, 404, 413, 422, 500, 503)},
    response_class=ExactJSON,
)
async def deliver(connection: str, request: Request) -> Response:
    """Verify, parse, deduplicate, commit; then answer. Says how many runs are new and how many were known."""
    runtime: Crossdock = request.app.state.crossdock
    try:
        body = await read_body(request, runtime.settings.max_body)
        raw = WebhookRequest(
            method=request.method,
            path=request.url.path,
            headers=dict(request.headers),
            body=body,
            query=dict(request.query_params),
        )
        taken = await runtime.intake.receive(connection, raw)
    except TooLargeError:
        return problem(413, f"a delivery may have {runtime.settings.max_body} bytes")
    except ClientDisconnect:
        return problem(400, "the delivery broke off")
    except RefusedError as refused:
        return problem(refused.status, refused.title)
    if taken.reply is not None:
        return Response(taken.reply.body, taken.reply.status, dict(taken.reply.headers))
    if taken.runs:
        runtime.runner.wake()
    return ExactJSON({"accepted": len(taken.runs), "duplicates": taken.duplicates, "ignored": taken.unrouted})


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body; stops reading once it is over `limit` bytes. Raises `TooLargeError`."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLargeError
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError
        chunks.append(chunk)
    return b"".join(chunks)
