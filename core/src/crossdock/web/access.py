"""Who may use the API and the pages: whoever shows a token or has signed in; without either, only this machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request

from crossdock.actors import Actor, Role, Scope
from crossdock.public import loopback
from crossdock.runtime import Crossdock
from crossdock.signing_in import SignedIn, SignIn

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_SAFE = ("GET", "HEAD", "OPTIONS")
COOKIE = "crossdock-session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
ROLE = "role:"
"""What stands before a role among the scopes of an operation, in the description of the API."""
BEARER = HTTPBearer(
    scheme_name="token",
    description="A token of `crossdock tokens create`, or the admin token. Of each operation are told the scope that a"
    f" token must have if it is confined to any, and, as `{ROLE}…`, the least role; a viewer may ask for the others."
    " A browser that has signed in shows its session's cookie, and `X-CSRF-Token` where something is changed. Without"
    " tokens and people, programs on the server's own machine are let in.",
    auto_error=False,
)


class SignInFirstError(Exception):
    """A page for which somebody has to sign in first."""


def sign_in_of(request: Request) -> SignIn:
    """What checks whom to let in."""
    runtime: Crossdock = request.app.state.crossdock
    token = runtime.settings.admin_token
    return SignIn(runtime.journal, token.get_secret_value() if token else None, runtime.now)


def cookie_name(request: Request) -> str:
    """Under https the browser itself holds the cookie to this host, and to https."""
    return f"__Host-{COOKIE}" if over_https(request) else COOKIE


def over_https(request: Request) -> bool:
    """Whether people reach this server by https, be it by a proxy in front of it."""
    public = request.app.state.crossdock.settings.public_url or ""
    return request.url.scheme == "https" or public.startswith("https://")


async def recognised(request: Request) -> SignedIn | None:
    """Who calls, and the token of their forms; None if they show nothing, and have to.

    Without a token and without people the caller must be on this machine, not behind a proxy, and ask for it by a
    loopback name: a page on the web that resolves its own name to 127.0.0.1 is not let in. Raises 403 for others.
    """
    sign_in = sign_in_of(request)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        actor = await sign_in.by_token(shown.strip())
        return SignedIn(actor, "") if actor else None
    cookie = request.cookies.get(cookie_name(request))
    if cookie is not None and (found := await sign_in.by_session(cookie)) is not None:
        return found
    if await sign_in.guarded():
        return None
    local = request.client is not None and loopback(request.client.host)
    if not local or any(name in request.headers for name in _FORWARDED) or not loopback(request.url.hostname or ""):
        told = "set CROSSDOCK_ADMIN_TOKEN, or add somebody with `crossdock users add`,"
        raise HTTPException(403, f"{told} to use this from elsewhere than this machine")
    return SignedIn(Actor("local", Role.ADMIN, "api"), request.app.state.crossdock.form_token)


async def admit(request: Request) -> Actor:
    """The caller of the API. Raises 401 or 403 unless they may use it.

    A browser that has signed in shows `X-CSRF-Token` for whatever changes something; nor may a page of another site
    change anything through a browser on this machine.
    """
    found = await recognised(request)
    if found is None:
        told = "give a token as Authorization: Bearer …"
        raise HTTPException(401, told, {"WWW-Authenticate": "Bearer"})
    if request.method not in _SAFE and "authorization" not in request.headers:
        _hold_own(request)
        if found.actor.via == "page":
            hold_csrf(found, request.headers.get(CSRF_HEADER, ""))
    return found.actor


async def seated(request: Request) -> SignedIn:
    """The caller of a page. Raises `SignInFirstError`, 403; a form must carry the token of its page."""
    found = await recognised(request)
    if found is None:
        raise SignInFirstError
    hold_scope(found.actor, None)
    if request.method not in _SAFE and "authorization" not in request.headers:
        _hold_own(request)
        form = await request.form()
        hold_csrf(found, str(form.get(CSRF_FIELD, "")))
    return found


def hold_csrf(found: SignedIn, shown: str) -> None:
    """Raise 403 unless the form is one that we gave to this caller."""
    if not hmac.compare_digest(shown.encode(), found.csrf.encode()):
        raise HTTPException(403, "this form is not one of ours, or of an earlier sign-in; open the page again")


def where_to_sign_in(request: Request) -> str:
    """The sign-in page, which leads back to where the caller wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/login?next={quote(wanted)}" if request.method in _SAFE and wanted != "/" else "/login"


def way_back(given: str) -> str:
    """A page of ours, whatever was given: nobody is led elsewhere by our sign-in page."""
    parts = urlsplit(given)
    own = given.startswith("/") and not given.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return given if own and given.isprintable() and "\\" not in given else "/"


def _needs(role: Role) -> Callable[[Actor], Actor]:
    def hold(actor: Annotated[Actor, Depends(admit)], _: object = Security(BEARER, scopes=[f"{ROLE}{role}"])) -> Actor:
        hold_role(actor, role)
        return actor

    return hold


def hold_role(actor: Actor, role: Role) -> None:
    """Raise 403 unless the actor has this role."""
    if not actor.role.covers(role):
        raise HTTPException(403, f"this takes the role {role}; {actor.name} has {actor.role}")


def within(scope: Scope | None) -> Callable[[Actor], None]:
    """What a part of the API depends on: `admit`, and that the caller may use this part; None: is not confined."""
    told = [] if scope is None else [str(scope)]

    def hold(actor: Annotated[Actor, Depends(admit)], _: object = Security(BEARER, scopes=told)) -> None:
        hold_scope(actor, scope)

    return hold


def hold_scope(actor: Actor, scope: Scope | None) -> None:
    """Raise 403 if the actor is confined to other parts."""
    if not actor.opens(scope):
        wanted = f"takes the scope {scope}" if scope else "is for those who are not confined to scopes"
        raise HTTPException(403, f"this {wanted}; {actor.name} has {', '.join(sorted(actor.scopes or ()))}")


Viewing = Annotated[Actor, Depends(_needs(Role.VIEWER))]
Operating = Annotated[Actor, Depends(_needs(Role.OPERATOR))]
Administering = Annotated[Actor, Depends(_needs(Role.ADMIN))]
"""The caller of an endpoint that takes this role."""


def _hold_own(request: Request) -> None:
    if _foreign(request):
        raise HTTPException(403, "a page of another site may change nothing; show a token")


def _foreign(request: Request) -> bool:
    """Whether a browser sent this for a page of another site; other clients send neither header."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("origin")
    public = request.app.state.crossdock.settings.public_url
    own = {f"{request.url.scheme}://{request.url.netloc}"}
    if public:
        parts = urlsplit(public)
        own.add(f"{parts.scheme}://{parts.netloc}")
    return origin is not None and origin not in own


def address_of(request: Request) -> str:
    """Where a request comes from: the peer, or whom the nearest proxy that is not one of ours says it speaks for."""
    runtime: Crossdock = request.app.state.crossdock
    proxies = runtime.settings.proxies
    told = ",".join(request.headers.getlist("x-forwarded-for"))
    hops = [request.client.host if request.client else ""]
    hops += [hop.strip() for hop in reversed(told.split(",")) if hop.strip()]
    for hop in hops:
        try:
            address = ipaddress.ip_address(hop)
        except ValueError:
            return hops[0]
        if not any(address in network for network in proxies):
            return hop
    return hops[0]
