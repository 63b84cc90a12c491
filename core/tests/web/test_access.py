"""Who may use the API of a server without an admin token."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from crossdock.settings import Settings
from crossdock.web import problems
from crossdock.web.access import admit
from fastapi import Depends, FastAPI
from pydantic import SecretStr
from starlette.requests import Request

HERE = "http://127.0.0.1:8000"
TOKEN = "t0ken"


async def asked(method: str, headers: dict[str, str], token: str | None = None) -> httpx.Response:
    app = FastAPI()
    settings = Settings(admin_token=SecretStr(token) if token else None)
    app.state.crossdock = SimpleNamespace(settings=settings)
    problems.install(app)

    @app.api_route("/", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def act(_: Request, __: Annotated[Any, Depends(admit)]) -> None: ...

    transport = httpx.ASGITransport(app, client=("127.0.0.1", 40_000))
    async with httpx.AsyncClient(transport=transport, base_url=HERE, headers=headers) as client:
        return await client.request(method, "/")


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "https://127.0.0.1:8000"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": HERE, "sec-fetch-site": "cross-site"},
]
OWN: list[dict[str, str]] = [
    {},
    {"origin": HERE},
    {"origin": HERE, "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_page_of_another_site_changes_nothing(method: str, headers: dict[str, str]) -> None:
    reply = await asked(method, headers)
    assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
    assert "another site" in reply.json()["detail"]


@pytest.mark.parametrize("headers", OWN)
async def test_a_command_line_and_our_own_pages_may_act(headers: dict[str, str]) -> None:
    assert (await asked("POST", headers)).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
async def test_reading_is_left_to_the_browser_to_refuse(headers: dict[str, str]) -> None:
    assert (await asked("GET", headers)).status_code == 200


async def test_who_shows_the_admin_token_may_act_from_anywhere() -> None:
    shown = {"authorization": f"Bearer {TOKEN}", "origin": "https://console.example"}
    assert (await asked("POST", shown, TOKEN)).status_code == 200
