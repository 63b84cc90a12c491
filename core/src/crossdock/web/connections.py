"""`/api/v1/connections`: how each one stands, and whether it works."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.doctor.accounts import Answer, ask
from crossdock.journal.pauses import CONNECTION
from crossdock.runtime import Crossdock
from crossdock.vault import VaultError
from crossdock.web import replies, views
from crossdock.web.access import Operating, admit
from crossdock.web.api import Reason, Runtime
from crossdock.web.exact import ExactRoute
from crossdock.web.pausing import changed, paused
from crossdock.web.problems import ExactJSON, answers

PATIENCE = 20.0
"""Seconds that a vendor has to answer."""

router = APIRouter(
    prefix="/api/v1/connections",
    tags=["connections"],
    dependencies=[Depends(admit)],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


@router.get(
    "", response_model=replies.ConnectionsReply, summary="The connections in force", responses=answers(401, 403)
)
async def list_connections(runtime: Runtime) -> Response:
    """How each one stands; null is what the vendor does not tell, or what a connection does not have.

    `webhooks` is what was registered from here, null for a connection that brings no events; the last delivery is the
    newest that came to this process. `tokens` are the instants at which the stored ones end. `headroom` is what the
    newest reply to this process said of the vendor's limits.
    """
    return ExactJSON({"items": await described(runtime)})


# POST, for it calls the vendor: a page of another site must not make a browser do that.
@router.post(
    "/{name}/check",
    summary="Ask its vendor whose account it is",
    response_model=replies.CheckReply,
    responses=answers(401, 403, 404),
)
async def check_connection(runtime: Runtime, _: Operating, name: str) -> Response:
    """The vendor's cheapest question, which changes nothing.

    `state` is `ok`, `wrong` or `warning`; `asked` is false where there is no such question; `error` is as in a run;
    `clock_skew_seconds` is how far this machine's clock is ahead of the vendor's, null where that is not known.
    """
    answer = await checked(runtime, name)
    if answer is None:
        raise HTTPException(404, f"no connection is called {name}")
    return ExactJSON(answer.shown() | {"checked_at": runtime.now()})


@router.post(
    "/{name}/pause",
    response_model=replies.PauseReply,
    summary="Do not use it for now",
    responses=answers(401, 403, 404, 409, 422),
)
async def pause_connection(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
    """Runs that need it wait, and it is not polled; what it tells is still taken in."""
    return ExactJSON(await changed(runtime, by, "pause", CONNECTION, name, reason.why if reason else None))


@router.post(
    "/{name}/resume",
    response_model=replies.PauseReply,
    summary="Use it again",
    responses=answers(401, 403, 404, 409, 422),
)
async def resume_connection(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
    return ExactJSON(await changed(runtime, by, "resume", CONNECTION, name, reason.why if reason else None))


async def checked(runtime: Crossdock, name: str) -> Answer | None:
    """What the vendor says of a connection; None if none is called so."""
    if name not in runtime.connections.names() and name not in runtime.connections.stopped:
        return None
    return await ask(runtime.connections, name, runtime.now, PATIENCE, runtime.redactor.text)


async def described(runtime: Crossdock) -> list[dict[str, Any]]:
    """All connections as the API shows them."""
    journal = runtime.journal
    polls = {poll.connection: views.poll(poll) for poll in await journal.polls.all()}
    webhooks, stopped, headrooms = await _webhooks(runtime), await paused(journal), _headrooms(runtime)
    items: list[dict[str, Any]] = []
    for name, connector in runtime.connections.connectors().items():
        state = await journal.connection_state(name)
        shown: dict[str, Any] = {"name": name, "connector": connector, "status": state.status, "reason": state.reason}
        shown |= {"since": state.since, "next_try": state.probe_at, "webhooks": webhooks.get(name)}
        shown |= {"poll": polls.get(name), "paused": stopped.get((CONNECTION, name))}
        items.append(shown | {"tokens": await _tokens(runtime, name), "headroom": headrooms.get(name)})
    unknown = dict.fromkeys(("since", "next_try", "webhooks", "poll", "paused", "tokens", "headroom"))
    for name, found in runtime.connections.stopped.items():
        known = {"name": name, "connector": found.connector, "status": "stopped", "reason": found.reason}
        items.append(known | unknown)
    return items


async def _tokens(runtime: Crossdock, name: str) -> dict[str, datetime] | None:
    try:
        return await runtime.vault.expiries(name) or None
    except VaultError:
        # That they cannot be opened is told by the connection's own state once it is used.
        return None


def _headrooms(runtime: Crossdock) -> dict[str, dict[str, Any]]:
    """Of the connections whose vendor has told anything yet."""
    found = {}
    for name, headroom in runtime.connections.headrooms().items():
        quotas = [
            {"name": one.name, "remaining": one.remaining, "limit": one.limit, "until": one.until}
            for one in headroom.quotas
        ]
        if quotas or headroom.pause:
            found[name] = {"pause_seconds": round(headroom.pause, 1), "quotas": quotas}
    return found


async def _webhooks(runtime: Crossdock) -> dict[str, dict[str, Any]]:
    registered = await runtime.journal.hooks.registered()
    found = {}
    for name in filter(runtime.connections.brings_events, runtime.connections.names()):
        known = registered.get(name)
        found[name] = {
            "registered": known.number if known else 0,
            "registered_at": known.at if known else None,
            "last_delivery_at": runtime.intake.heard.get(name),
        }
    return found
