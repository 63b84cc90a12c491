"""One web application over one runtime. Nothing is global: two can live in one process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from crossdock import __version__
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.web import (
    api,
    audit,
    bulk,
    connections,
    dashboard,
    figures,
    flows,
    health,
    interactions,
    people,
    problems,
    refusals,
    webhooks,
)
from crossdock.web.access import SignInFirstError, where_to_sign_in
from crossdock.web.dashboard.live import Pulse
from crossdock.web.headers import SafeHeaders


async def _to_sign_in(request: Request, _: Exception) -> Response:
    return RedirectResponse(where_to_sign_in(request), 303)


def create_app(settings: Settings | None = None, *, runtime: Crossdock | None = None) -> FastAPI:
    """The ASGI application. `settings` default to the environment; `runtime` is for who made one already.

    The runtime starts and stops with the application's lifespan.
    """
    held = runtime or Crossdock(settings or Settings.from_env())

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await held.start()
        try:
            yield
        finally:
            await held.stop()

    app = FastAPI(
        title="Crossdock",
        version=__version__,
        summary="Business records moved across systems exactly once, or not at all",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.crossdock = held
    app.state.pulse = Pulse(held)
    for room in (problems, refusals, webhooks):
        room.install(app)
    app.add_exception_handler(SignInFirstError, _to_sign_in)
    app.add_middleware(SafeHeaders, https=(held.settings.public_url or "").startswith("https://"))
    ours = (webhooks, interactions, health, api, flows, connections, figures, bulk, audit, people)
    for router in (*(module.router for module in ours), people.own, *dashboard.routers()):
        app.include_router(router)
    return app
