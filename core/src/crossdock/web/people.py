"""`/api/v1/me`, `/people` and `/tokens`: who is who, for administrators."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from crossdock.access import NAME, Access
from crossdock.actors import Actor, Role, Scope
from crossdock.runtime import Crossdock
from crossdock.web import replies
from crossdock.web.access import Administering, Viewing, within
from crossdock.web.exact import ExactRoute
from crossdock.web.problems import ExactJSON, answers

router = APIRouter(
    prefix="/api/v1",
    tags=["access"],
    dependencies=[Depends(within(None))],
    default_response_class=ExactJSON,
    route_class=ExactRoute,
)
own = APIRouter(prefix="/api/v1", tags=["access"], default_response_class=ExactJSON)
"""What every token opens."""
_NAME = f"^{NAME.pattern}$"


class NewPerson(BaseModel):
    """Somebody who is to be let in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_NAME, examples=["ann"])
    role: Role = Field(examples=["operator"])
    password: str = Field(min_length=12, max_length=1000, examples=["a sentence that only Ann knows"])


class Change(BaseModel):
    """What is to become of somebody; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    password: str | None = Field(default=None, min_length=12, max_length=1000)
    disabled: bool | None = None


class NewToken(BaseModel):
    """A token for a program."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_NAME, examples=["grafana"])
    role: Role = Field(examples=["viewer"])
    expires_at: datetime | None = Field(default=None, description="an instant with its zone; null: never")
    scopes: list[Scope] | None = Field(
        default=None, description="the parts of the API that it opens; null: all, and the pages", examples=[["metrics"]]
    )


def _access(request: Request, by: Actor) -> Access:
    runtime: Crossdock = request.app.state.crossdock
    return Access(runtime.journal, by, runtime.now)


@own.get("/me", response_model=replies.MeReply, summary="Who you are", responses=answers(401, 403))
async def who_am_i(by: Viewing) -> Response:
    return ExactJSON({"name": by.name, "role": by.role, "scopes": by.scopes and sorted(by.scopes)})


@router.get("/people", response_model=replies.PeopleReply, summary="Who is let in", responses=answers(401, 403))
async def list_people(request: Request, by: Administering) -> Response:
    return ExactJSON({"items": await _access(request, by).people()})


@router.post(
    "/people",
    response_model=replies.PersonReply,
    summary="Let somebody in",
    status_code=201,
    responses=answers(401, 403, 409, 422),
)
async def add_person(request: Request, by: Administering, person: NewPerson) -> Response:
    return ExactJSON(await _access(request, by).add(person.name, person.role, person.password), 201)


@router.patch(
    "/people/{name}",
    response_model=replies.PersonReply,
    summary="Change somebody",
    responses=answers(401, 403, 404, 409, 422),
)
async def change_person(request: Request, by: Administering, name: str, change: Change) -> Response:
    """Another role or password ends their sessions; `disabled` keeps them out."""
    return ExactJSON(
        await _access(request, by).change(name, role=change.role, password=change.password, disabled=change.disabled)
    )


@router.get("/tokens", response_model=replies.TokensReply, summary="Tokens for programs", responses=answers(401, 403))
async def list_tokens(request: Request, by: Administering) -> Response:
    return ExactJSON({"items": await _access(request, by).tokens()})


@router.post(
    "/tokens",
    response_model=replies.NewTokenReply,
    summary="Make a token; it is shown this once",
    status_code=201,
    responses=answers(401, 403, 422),
)
async def add_token(request: Request, by: Administering, token: NewToken) -> Response:
    made = await _access(request, by).make_token(token.name, token.role, token.expires_at, token.scopes)
    return ExactJSON(made, 201)


@router.delete(
    "/tokens/{token}",
    response_model=replies.RevokedReply,
    summary="Make a token good for nothing",
    responses=answers(401, 403, 404),
)
async def revoke_token(request: Request, by: Administering, token: str) -> Response:
    return ExactJSON(await _access(request, by).revoke(token))
