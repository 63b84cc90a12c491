"""Stopping and resuming flows and connections, for the routes that do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from crossdock.actors import Actor
from crossdock.journal.base import Journal
from crossdock.journal.pauses import FLOW
from crossdock.pauses import Pausing
from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.access import Operating
from crossdock.web.api import Reason, Runtime
from crossdock.web.problems import ExactJSON, answers

Paused = Mapping[tuple[str, str], dict[str, Any]]
"""(kind, name) → who has stopped it, why and since when."""


def pausing_of(runtime: Crossdock, by: Actor) -> Pausing:
    """What stops and resumes flows and connections for this caller."""

    def known(kind: str) -> Collection[str]:
        return list(runtime.loaded.flows) if kind == FLOW else runtime.connections.names()

    return Pausing(runtime.journal, by, runtime.now, known)


async def paused(journal: Journal) -> Paused:
    """All that somebody has stopped."""
    found = await journal.pauses.all()
    return {(one.kind, one.name): {"by": one.actor, "why": one.why, "since": one.since} for one in found}


async def changed(runtime: Crossdock, by: Actor, what: str, kind: str, name: str, why: str | None) -> dict[str, Any]:
    """`pause` or `resume` one, and how it stands then. Raises `PauseError`."""
    await getattr(pausing_of(runtime, by), what)(kind, name, why)
    await runtime.stepper.circuits.look_for_pauses()
    runtime.runner.wake()
    return {"kind": kind, "name": name, "paused": (await paused(runtime.journal)).get((kind, name))}


def offer_pausing(router: APIRouter, kind: str, *, paused: tuple[str, str], resumed: tuple[str, str]) -> None:
    """Give a router `/{name}/pause` and `/{name}/resume`; of each the summary, and what more is to be said."""

    async def pause(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
        return ExactJSON(await changed(runtime, by, "pause", kind, name, reason.why if reason else None))

    async def resume(runtime: Runtime, by: Operating, name: str, reason: Reason | None = None) -> Response:
        return ExactJSON(await changed(runtime, by, "resume", kind, name, reason.why if reason else None))

    for what, act, (summary, told) in (("pause", pause, paused), ("resume", resume, resumed)):
        router.add_api_route(
            f"/{{name}}/{what}",
            act,
            methods=["POST"],
            response_model=replies.PauseReply,
            summary=summary,
            description=told,
            responses=answers(401, 403, 404, 409, 422),
        )
