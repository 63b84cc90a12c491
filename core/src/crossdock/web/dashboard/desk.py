"""What every page needs: the runtime, the caller, the number of runs that wait for a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from crossdock.actors import Actor, Role
from crossdock.journal.base import RunRow
from crossdock.operations import NotPossibleError, Operations, UnknownRunError
from crossdock.runtime import Crossdock
from crossdock.web.access import hold_role, seated
from crossdock.web.dashboard.rendering import page


@dataclass(frozen=True, slots=True)
class Desk:
    """One request for a page, by somebody who may see it."""

    request: Request
    actor: Actor
    runtime: Crossdock
    csrf: str

    async def show(self, template: str, *, status: int = 200, attention: int | None = None, **context: Any) -> Response:
        """The page, with what all pages show; `attention` is how many runs need a person, where that is known."""
        if attention is None:
            attention = (await self.runtime.journal.overview(0)).need_person
        known: dict[str, Any] = {
            "attention": attention,
            "operating": self.actor.role.covers(Role.OPERATOR),
            "said": self.said(),
        }
        known |= {"csrf": self.csrf, "signed_in": self.actor.via == "page"}
        return page(self.request, template, self.actor, status=status, **known | context)

    def said(self) -> str:
        """What the action before this page came to, carried over the redirect."""
        return self.request.query_params.get("said", "")[:400]

    async def act(
        self, run: str, act: Callable[[Operations], Awaitable[RunRow]], told: Callable[[RunRow], str]
    ) -> Response:
        """Do something to a run, and show the run that works now; a refusal is shown on the run's own page."""
        operations = Operations(self.runtime.journal, self.actor, self.runtime.now, self.runtime.rng)
        try:
            row = await act(operations)
        except UnknownRunError:
            return await self.missing(f"There is no run {run}.")
        except NotPossibleError as error:
            return back(f"/runs/{quote(run)}", refused=str(error))
        self.runtime.runner.wake()
        return back(f"/runs/{row.id}", said=told(row))

    async def missing(self, what: str) -> Response:
        return await self.show("missing.html", status=404, what=what)


async def desk(request: Request) -> Desk:
    """The desk of this request. Raises as `seated`."""
    found = await seated(request)
    return Desk(request, found.actor, request.app.state.crossdock, found.csrf)


async def acting_desk(sitting: Annotated[Desk, Depends(desk)]) -> Desk:
    """The desk of somebody who may act on runs. Raises 403 for others."""
    hold_role(sitting.actor, Role.OPERATOR)
    return sitting


Sitting = Annotated[Desk, Depends(desk)]
Acting = Annotated[Desk, Depends(acting_desk)]


def back(place: str, **said: str) -> Response:
    """Go to a page after something was done, so that a reload does not do it again."""
    more = "&".join(f"{name}={quote(text[:400])}" for name, text in said.items())
    return RedirectResponse(f"{place}?{more}" if more else place, 303)
