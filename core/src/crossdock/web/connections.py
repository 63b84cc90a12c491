"""`/api/v1/connections`: how each one stands, and whether it works."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from crossdock.actors import Scope
from crossdock.journal.base import ConnectionState
from crossdock.journal.pauses import CONNECTION
from crossdock.runtime import Crossdock
from crossdock.vault import VaultError
from crossdock.web import replies, views
from crossdock.web.access import Operating, within
from crossdock.web.api import Runtime
from crossdock.web.exact import ExactRoute
from crossdock.web.pausing import offer_pausing, paused
from crossdock.web.problems import ExactJSON, answers

_UNKNOWN = ("circuit", "trying", "since", "next_try", "webhooks", "poll", "paused", "tokens", "headroom")
"""What nobody can say of a connection that cannot be used."""

router = APIRouter(
    prefix="/api/v1/connections",
    tags=["connections"],
    dependencies=[Depends(within(Scope.CONNECTIONS))],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)


@router.get(
    "", response_model=replies.ConnectionsReply, summary="The connections in force", responses=answers(401, 403)
)
async def list_connections(runtime: Runtime) -> Response:
    """How each one stands; null is what the vendor does not tell, or what a connection does not have.

    `circuit` is `closed` (calls go through), `open`, or `half_open` while the run `trying` tries it. `webhooks` is what
    was registered from here, null for a connection that brings no events; the last delivery is the newest that came to
    this process or, if it brought an event, to any. `tokens` are the instants at which the stored ones end. `headroom`
    is what the newest replies to this process said of the vendor's limits, null before the first call; it is not
    shared between processes.
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
    """The vendor's cheapest question, which changes nothing there. Runs that wait for a connection try it at once
    if it works. An answer is given again for two seconds.

    `state` is `ok`, `wrong` or `warning`; `asked` is false where there is no such question; `error` is as in a run;
    `clock_skew_seconds` is how far this machine's clock is ahead of the vendor's, null where that is not known.
    """
    found = await runtime.checker.check(name)
    if found is None:
        raise HTTPException(404, f"no connection is called {name}")
    return ExactJSON(found.answer.shown() | {"checked_at": found.at})


offer_pausing(
    router,
    CONNECTION,
    paused=("Do not use it for now", "Runs that need it wait, and it is not polled; what it tells is still taken in."),
    resumed=("Use it again", ""),
)


async def described(runtime: Crossdock) -> list[dict[str, Any]]:
    """All connections as the API shows them."""
    journal = runtime.journal
    polls = {poll.connection: views.poll(poll) for poll in await journal.polls.all()}
    webhooks, stopped, headrooms = await _webhooks(runtime), await paused(journal), _headrooms(runtime)
    closed = {state.name: state for state in await journal.closed_connections()}
    items: list[dict[str, Any]] = []
    for name, connector in runtime.connections.connectors().items():
        state = closed.get(name, ConnectionState(name))
        shown: dict[str, Any] = {"name": name, "connector": connector, "status": state.status, "reason": state.reason}
        shown |= {"circuit": _circuit(state), "trying": state.scout, "since": state.since, "next_try": state.probe_at}
        shown |= {"webhooks": webhooks.get(name)}
        shown |= {"poll": polls.get(name), "paused": stopped.get((CONNECTION, name))}
        items.append(shown | {"tokens": await _tokens(runtime, name), "headroom": headrooms.get(name)})
    unknown = dict.fromkeys(_UNKNOWN)
    for name, found in runtime.connections.stopped.items():
        known = {"name": name, "connector": found.connector, "status": "stopped", "reason": found.reason}
        items.append(known | unknown)
    return items


def _circuit(state: ConnectionState) -> str:
    if state.status == "active":
        return "closed"
    return "open" if state.scout is None else "half_open"


async def _tokens(runtime: Crossdock, name: str) -> dict[str, datetime] | None:
    try:
        return await runtime.vault.expiries(name) or None
    except VaultError:
        # That they cannot be opened is told by the connection's own state once it is used.
        return None


def _headrooms(runtime: Crossdock) -> dict[str, dict[str, Any]]:
    return {
        name: {"told": room.told, "pause_seconds": round(room.pause, 1), "quotas": [asdict(one) for one in room.quotas]}
        for name, room in runtime.connections.headrooms().items()
    }


async def _webhooks(runtime: Crossdock) -> dict[str, dict[str, Any]]:
    registered, heard = await runtime.journal.hooks.registered(), await runtime.intake.heard()
    found = {}
    for name in filter(runtime.connections.brings_events, runtime.connections.names()):
        known = registered.get(name)
        found[name] = {
            "registered": known.number if known else 0,
            "registered_at": known.at if known else None,
            "last_delivery_at": heard.get(name),
        }
    return found
