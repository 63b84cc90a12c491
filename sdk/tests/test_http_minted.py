"""Tokens that are minted anew: no refresh token, a new proof for every request."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import parse_qsl

import pytest
from crossdock_sdk import ApiClient, AuthError, Context, MemoryTokens, OAuth2Minted, client_credentials
from crossdock_sdk.testing import serve
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Vendor:
    """Grants a token to every proof that was not shown before, and tells no lifetime."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.access = ""
        self.reply: Response | None = None
        self.app = Starlette(routes=[Route("/token", self.token, methods=["POST"]), Route("/api", self.api)])

    async def token(self, request: Request) -> Response:
        self.forms.append(dict(parse_qsl((await request.body()).decode())))
        if self.reply is not None:
            return self.reply
        self.access = f"access-token-{len(self.forms)}"
        return JSONResponse({"access_token": self.access, "token_type": "Bearer"})

    async def api(self, request: Request) -> Response:
        good = request.headers.get("authorization") == f"Bearer {self.access}"
        return JSONResponse({}, 200 if good else 401)


def assertions() -> Callable[[], Mapping[str, str]]:
    numbers = itertools.count(1)
    return lambda: {"grant_type": "jwt-bearer", "assertion": f"signed-proof-{next(numbers)}"}


@contextlib.asynccontextmanager
async def bench(form: Callable[[], Mapping[str, str]]) -> AsyncIterator[tuple[Vendor, ApiClient, Context]]:
    vendor, context = Vendor(), Context("crm", tokens=MemoryTokens())
    async with serve(vendor.app) as url:
        api = ApiClient(url, context, auth=OAuth2Minted(context, token_url=f"{url}/token", form=form))
        try:
            yield vendor, api, context
        finally:
            await api.close()


async def test_a_token_without_a_lifetime_is_minted_once_and_used_until_it_is_refused() -> None:
    async with bench(assertions()) as (vendor, api, context):
        await asyncio.gather(*(api.get("/api") for _ in range(10)))
        assert [form["assertion"] for form in vendor.forms] == ["signed-proof-1"]
        vendor.access = "ended"
        assert (await api.get("/api")).status == 200
        stored = await context.tokens.load()
    assert [form["assertion"] for form in vendor.forms] == ["signed-proof-1", "signed-proof-2"]
    assert stored is not None
    assert (stored.access_token, stored.refresh_token, stored.version) == ("access-token-2", None, 2)


async def test_client_credentials_are_sent_in_the_form() -> None:
    form = client_credentials("app-1", SecretStr("app-secret"), scope="api")
    async with bench(form) as (vendor, api, _):
        await api.get("/api")
    wanted = {"grant_type": "client_credentials", "client_id": "app-1", "client_secret": "app-secret", "scope": "api"}
    assert vendor.forms == [wanted]


async def test_a_refused_proof_is_asked_once_and_says_what_to_check() -> None:
    async with bench(assertions()) as (vendor, api, _):
        vendor.reply = JSONResponse({"error": "invalid_grant", "error_description": "user hasn't approved"}, 400)
        with pytest.raises(AuthError, match="user hasn't approved; check that the app may use this grant") as caught:
            await api.get("/api")
    assert caught.value.code == "invalid_grant"
    assert len(vendor.forms) == 1


async def test_what_proves_us_is_masked_while_it_may_be_good() -> None:
    async with bench(assertions()) as (vendor, api, context):
        await api.get("/api")
        assert "signed-proof-1" not in context.redactor.text("the proof signed-proof-1")
        assert "access-token-1" not in context.redactor.text("the token access-token-1")
        vendor.access = "ended"
        await api.get("/api")
        assert "signed-proof-2" not in context.redactor.text("the proof signed-proof-2")
        assert "signed-proof-1" in context.redactor.text("the proof signed-proof-1")
