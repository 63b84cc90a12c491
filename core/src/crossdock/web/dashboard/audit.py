"""What people did."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from crossdock.journal.base import InvalidCursor
from crossdock.web.audit import Kind
from crossdock.web.dashboard.desk import Sitting

router = APIRouter(include_in_schema=False)

PAGE = 50


@router.get("/audit")
async def list_acts(
    desk: Sitting,
    actor: str = "",
    kind: str = "",
    subject: str = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    filters = {"actor": actor.strip(), "kind": kind.strip(), "subject": subject.strip()}
    wanted = {name: value or None for name, value in filters.items()}
    audit = desk.runtime.journal.audit
    try:
        found = await audit.page(**wanted, limit=PAGE, cursor=cursor or None)
    except InvalidCursor:
        found = await audit.page(**wanted, limit=PAGE)
    return await desk.show(
        "audit.html",
        acts=found.items,
        next_cursor=found.next_cursor,
        filters=filters,
        kinds=get_args(Kind),
        first=not cursor,
    )
