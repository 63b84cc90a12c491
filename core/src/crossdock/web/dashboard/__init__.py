"""The dashboard: pages for whoever is on call, rendered here, whole without any script."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """The pages' routes, and those of what they load."""
    from crossdock.web.dashboard import (
        assets,
        audit,
        bulk,
        connections,
        editing,
        flows,
        live,
        login,
        overview,
        reference,
        run,
        runs,
    )

    pages = (overview, runs, run, editing, flows, connections, bulk, audit, reference)
    return [module.router for module in (assets, live, login, *pages)]
