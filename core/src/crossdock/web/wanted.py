"""Filters of lists of runs, and ranges of time, as a query string gives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.exceptions import HTTPException

from crossdock.asked import runs_asked
from crossdock.journal.base import RunFilter
from crossdock.moments import moment
from crossdock.runtime import Crossdock
from crossdock.state import Status

_MOMENT = "an instant with its zone, a day, or how long ago: 2h"


def wanted_runs(
    request: Request,
    flow: Annotated[str | None, Query(examples=["deal-to-invoice"])] = None,
    status: Annotated[Sequence[Status], Query(description="any of these; may be given several times")] = (),
    key: Annotated[str | None, Query(examples=["812"])] = None,
    connection: Annotated[str | None, Query(description="runs that stopped at it or wait for it")] = None,
    error: Annotated[str | None, Query(description="the kind of error", examples=["rejected"])] = None,
    leg: Annotated[str | None, Query(description="runs that stopped or wait at this leg")] = None,
    since: Annotated[str | None, Query(description=f"created then or later: {_MOMENT}")] = None,
    until: Annotated[str | None, Query(description=f"created before: {_MOMENT}")] = None,
    replay_of: Annotated[str | None, Query(description="the run that it replays")] = None,
    root: Annotated[str | None, Query(description="the first run of its chain of replays")] = None,
    needs_person: Annotated[
        bool,
        Query(description="held, in doubt, waiting for approval, or failed and neither replayed nor dismissed"),
    ] = False,
    text: Annotated[
        str | None,
        Query(
            description="words of its records, receipts or error, the last of which may be unfinished; its key; or how"
            " its id begins",
            examples=["acme roof", "jane@acme.test", "INV-1041"],
        ),
    ] = None,
) -> RunFilter:
    """The filter of the query string. Raises 422 for an instant that is none; what is empty counts as not given."""
    runtime: Crossdock = request.app.state.crossdock
    words: dict[str, Any] = {
        "flow": flow,
        "status": status,
        "key": key,
        "connection": connection,
        "error": error,
        "leg": leg,
    }
    words |= {"since": since, "until": until, "replay_of": replay_of, "root": root}
    try:
        return runs_asked(words | {"needs_person": needs_person, "text": text}, runtime.now())
    except ValueError as wrong:
        raise HTTPException(422, f"query.{wrong}") from None


def instant_of(request: Request, name: str, text: str) -> datetime:
    """The instant that a parameter names. Raises 422."""
    runtime: Crossdock = request.app.state.crossdock
    try:
        return moment(text, runtime.now())
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: {error}") from None
