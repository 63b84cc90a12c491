"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from crossdock.passwords import digest
from crossdock.retention import SESSION
from crossdock.signing_in import RefusedSignInError
from crossdock.web.access import address_of, cookie_name, over_https, recognised, seated, sign_in_of, way_back
from crossdock.web.dashboard.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/login")
async def show_login(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name that the address has
    if await recognised(request) is not None:
        return RedirectResponse(way_back(next), 303)
    return page(request, "login.html", None, way_back=way_back(next), problem=None, name="")


@router.post("/login")
async def log_in(
    request: Request,
    password: Annotated[str, Form(max_length=1000)],
    name: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002 - the name that the form has
) -> Response:
    address = address_of(request)
    try:
        cookie = await sign_in_of(request).begin(name.strip(), password, address)
    except RefusedSignInError as error:
        back = way_back(next)
        return page(request, "login.html", None, status=403, way_back=back, problem=str(error), name=name)
    reply = RedirectResponse(way_back(next), 303)
    secure, lasting = over_https(request), int(SESSION.total_seconds())
    reply.set_cookie(
        cookie_name(request), cookie, max_age=lasting, path="/", secure=secure, httponly=True, samesite="lax"
    )
    return reply


@router.post("/logout")
async def log_out(request: Request) -> Response:
    await seated(request)
    cookie = request.cookies.get(cookie_name(request))
    if cookie is not None:
        await sign_in_of(request).journal.people.sign_out(digest(cookie))
    reply = RedirectResponse("/login", 303)
    reply.delete_cookie(cookie_name(request), path="/", secure=over_https(request), httponly=True, samesite="lax")
    return reply
