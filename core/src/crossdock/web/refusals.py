"""What cannot be done, as a problem reply: each of our own refusals has one status, whichever route met it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from crossdock.access import AccessError
from crossdock.bulk import BulkError
from crossdock.edits import EditError
from crossdock.intake import RefusedError
from crossdock.journal.base import InvalidCursor
from crossdock.operations import NotPossibleError, UnknownRunError
from crossdock.pauses import PauseError
from crossdock.program import ProgramError
from crossdock.web.problems import problem

_STATUS: dict[type[Exception], Callable[[Any], int]] = {
    UnknownRunError: lambda _: 404,
    NotPossibleError: lambda _: 409,
    ProgramError: lambda _: 409,
    BulkError: lambda _: 409,
    EditError: lambda _: 422,
    InvalidCursor: lambda _: 400,
    PauseError: lambda error: 404 if error.unknown else 409,
    AccessError: lambda error: error.status,
    RefusedError: lambda error: error.status,
}


def install(app: FastAPI) -> None:
    """Answer them so in this application."""

    async def refused(_: Request, error: Exception) -> Response:
        return problem(_STATUS[type(error)](error), str(error))

    for kind in _STATUS:
        app.add_exception_handler(kind, refused)
