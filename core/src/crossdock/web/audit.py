"""`/api/v1/audit`: what people did."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from crossdock.actors import Scope
from crossdock.journal.audit import StoredAct
from crossdock.web import replies
from crossdock.web.access import within
from crossdock.web.api import Runtime
from crossdock.web.problems import ExactJSON, answers

Kind: TypeAlias = Literal["run", "bulk", "flow", "connection", "person", "token"]
"""What people act on."""

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], dependencies=[Depends(within(Scope.AUDIT))])


@router.get(
    "", response_model=replies.ActPage, summary="What people did, newest first", responses=answers(400, 401, 403, 422)
)
async def list_acts(
    runtime: Runtime,
    actor: Annotated[str | None, Query(max_length=400, examples=["ann"])] = None,
    kind: Kind | None = None,
    subject: Annotated[str | None, Query(max_length=400, description="such as a run's id; goes with `kind`")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """By one person, or on one kind of thing, or on one of them. Give `next_cursor` back as `cursor`."""
    found = await runtime.journal.audit.page(
        actor=actor or None, kind=kind, subject=subject or None, limit=limit, cursor=cursor
    )
    return ExactJSON({"items": [_shown(act) for act in found.items], "next_cursor": found.next_cursor})


def _shown(act: StoredAct) -> dict[str, object]:
    names = ("at", "actor", "via", "action", "kind", "subject", "why", "before", "after")
    return {name: getattr(act, name) for name in names}
