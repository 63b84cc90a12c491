"""Connections asked whether they work, for a button on a dashboard."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.doctor.accounts import ask
from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.access import Operating, admit
from crossdock.web.problems import ExactJSON, answers

PATIENCE = 20.0
"""Seconds that a vendor has to answer."""

router = APIRouter(
    prefix="/api/v1", tags=["connections"], dependencies=[Depends(admit)], default_response_class=ExactJSON
)


# POST, for it calls the vendor: a page of another site must not make a browser do that.
@router.post(
    "/connections/{name}/check",
    summary="Ask its vendor whose account it is",
    response_model=replies.CheckReply,
    responses=answers(401, 403, 404),
)
async def check_connection(request: Request, _: Operating, name: str) -> Response:
    """The vendor's cheapest question, which changes nothing.

    `state` is `ok`, `wrong` or `warning`; `asked` is false where there is no such question; `error` is as in a run;
    `clock_skew_seconds` is how far this machine's clock is ahead of the vendor's, null where that is not known.
    """
    runtime: Crossdock = request.app.state.crossdock
    if name not in runtime.connections.names() and name not in runtime.connections.stopped:
        raise HTTPException(404, f"no connection is called {name}")
    answer = await ask(runtime.connections, name, runtime.now, PATIENCE, runtime.redactor.text)
    return ExactJSON(answer.shown() | {"checked_at": runtime.now()})
