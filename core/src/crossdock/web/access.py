"""Who may use the API: whoever has the admin token; without one, only this machine."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from crossdock.actors import Actor, Role
from crossdock.public import loopback
from crossdock.settings import Settings

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_SAFE = ("GET", "HEAD", "OPTIONS")


def admit(request: Request) -> Actor:
    """The caller. Raises 401 or 403 unless they may use the API.

    Without a token the caller must be on this machine, not behind a proxy, and ask for it by a loopback
    name: a page on the web that resolves its own name to 127.0.0.1 is not let in. Nor may a page of another
    site change anything through a browser on this machine.
    """
    settings: Settings = request.app.state.crossdock.settings
    if settings.admin_token is not None:
        wanted = f"Bearer {settings.admin_token.get_secret_value()}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
            raise HTTPException(401, "give the admin token as Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
        return Actor("admin", Role.ADMIN, "api")
    local = request.client is not None and loopback(request.client.host)
    if not local or any(name in request.headers for name in _FORWARDED) or not loopback(request.url.hostname or ""):
        raise HTTPException(403, "set CROSSDOCK_ADMIN_TOKEN to use the API from elsewhere than this machine")
    if request.method not in _SAFE and _foreign(request):
        raise HTTPException(403, "a page of another site may change nothing; set CROSSDOCK_ADMIN_TOKEN and show it")
    return Actor("local", Role.ADMIN, "api")


def _needs(role: Role) -> Callable[[Actor], Actor]:
    def hold(actor: Annotated[Actor, Depends(admit)]) -> Actor:
        if not actor.role.covers(role):
            raise HTTPException(403, f"this takes the role {role}; {actor.name} has {actor.role}")
        return actor

    return hold


Viewing = Annotated[Actor, Depends(_needs(Role.VIEWER))]
Operating = Annotated[Actor, Depends(_needs(Role.OPERATOR))]
Administering = Annotated[Actor, Depends(_needs(Role.ADMIN))]
"""The caller of an endpoint that takes this role."""


def _foreign(request: Request) -> bool:
    """Whether a browser sent this for a page of another site; other clients send neither header."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}"
