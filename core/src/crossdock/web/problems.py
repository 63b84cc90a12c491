"""Errors as `application/problem+json` (RFC 9457), and JSON that keeps `Decimal` exact."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from crossdock_sdk import jsonio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from crossdock.journal.base import JournalError


class Problem(BaseModel):
    """What went wrong with a request."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str | None = Field(default=None, examples=["no run has the id 01k…"])


class ExactJSON(JSONResponse):
    """A JSON reply; numbers with a point are exact."""

    def render(self, content: Any) -> bytes:
        return jsonio.dumps(content)


def problem(status: int, detail: str | None = None) -> Response:
    """A problem reply. `detail` is shown to the caller: nothing of a payload or a secret goes in."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(body.model_dump_json(exclude_none=True), status, media_type="application/problem+json")


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these problem replies."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, in which what FastAPI says of bad input is what is really answered."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for path in found["paths"].values():
            for operation in path.values():
                if "422" in operation["responses"]:
                    operation["responses"]["422"] = answers(422)[422]
                operation["responses"].setdefault("500", answers(500)[500])
        for name in ("HTTPValidationError", "ValidationError"):
            found.get("components", {}).get("schemas", {}).pop(name, None)
        app.openapi_schema = found
    return app.openapi_schema


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reply = problem(error.status_code, str(error.detail) if error.detail else None)
        reply.headers.update(error.headers or {})
        return reply

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return problem(422, "; ".join(wrong))

    async def unavailable(_: Request, _error: Exception) -> Response:
        reply = problem(503, "the journal is not available; try again")
        reply.headers["Retry-After"] = "5"
        return reply

    async def failed(_: Request, _error: Exception) -> Response:
        return problem(500, "the server failed over this request; its log says why")

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(JournalError, unavailable)
    app.add_exception_handler(Exception, failed)
