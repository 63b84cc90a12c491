"""Token refresh against a token endpoint with rotating, single-use refresh tokens, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from crossdock_sdk import (
    ApiClient,
    AuthError,
    ConfigError,
    ConnectorError,
    Context,
    MemoryTokens,
    OAuth2Refresh,
    Token,
    TransientError,
)
from crossdock_sdk.http.oauth2 import LONGEST_REFRESH
from crossdock_sdk.http.transport import DRIP
from crossdock_sdk.testing import serve
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Vendor:
    """A token endpoint whose refresh tokens work once, and an API that takes only the newest access token."""

    def __init__(self) -> None:
        self.now = START
        self.refresh = "refresh-token-0"
        self.access = ""
        self.grants = 0
        self.asked: list[tuple[dict[str, str], str]] = []
        self.calls: list[str] = []
        self.reply: Response | None = None
        self.gate: asyncio.Event | None = None
        self.was_asked = asyncio.Event()
        self.granted = asyncio.Event()
        self.extra: dict[str, Any] = {"expires_in": 3600}
        self.app = Starlette(
            routes=[Route("/token", self.token, methods=["POST"]), Route("/api", self.api, methods=["GET", "POST"])]
        )

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append((form, request.headers.get("authorization", "")))
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.reply is not None:
            return self.reply
        if form["refresh_token"] != self.refresh:
            return JSONResponse({"error": "invalid_grant", "error_description": "Incorrect Token type"}, 400)
        self.grants += 1
        self.granted.set()
        self.refresh = f"refresh-token-{self.grants}"
        self.access = f"access-token-{self.grants}"
        body = {"access_token": self.access, "refresh_token": self.refresh, "token_type": "bearer"}
        return JSONResponse(body | self.extra)

    async def api(self, request: Request) -> Response:
        self.calls.append(request.headers.get("authorization", ""))
        return JSONResponse({}, 200 if self.calls[-1] == f"Bearer {self.access}" else 401)


class Bench:
    """One connection to the vendor; `another` makes a second process's, on the same token store."""

    def __init__(self, vendor: Vendor, url: str, tokens: Any) -> None:
        self.vendor, self.url, self.tokens = vendor, url, tokens
        self.context = Context("books", tokens=tokens, now=lambda: vendor.now)
        self.made: list[ApiClient] = []
        self.api = self.another()

    def auth(self, **options: Any) -> OAuth2Refresh:
        given: dict[str, Any] = {"refresh_token": SecretStr("refresh-token-0"), "token_url": self.url + "/token"}
        given |= {"client_id": "app-1", "client_secret": SecretStr("app-secret")}
        return OAuth2Refresh(self.context, **(given | options))

    def another(self, **options: Any) -> ApiClient:
        self.made.append(ApiClient(self.url, self.context, auth=self.auth(**options)))
        return self.made[-1]


@contextlib.asynccontextmanager
async def bench(tokens: Any = None) -> AsyncIterator[Bench]:
    vendor = Vendor()
    async with serve(vendor.app) as url:
        made = Bench(vendor, url, tokens or MemoryTokens())
        try:
            yield made
        finally:
            for api in made.made:
                await api.close()


async def test_the_first_call_refreshes_with_the_configured_token_and_stores_the_new_ones() -> None:
    async with bench() as b:
        await b.api.get("/api")
        stored = await b.tokens.load()
    form, authorization = b.vendor.asked[0]
    assert form == {"grant_type": "refresh_token", "refresh_token": "refresh-token-0"}
    assert authorization == "Basic " + base64.b64encode(b"app-1:app-secret").decode()
    assert stored == Token("access-token-1", "refresh-token-1", START + timedelta(seconds=3600), 1)


async def test_credentials_go_in_the_form_where_the_vendor_wants_them_there() -> None:
    async with bench() as b:
        await b.another(basic=False, headers={"x-extra": "1"}, extra_form={"scope": "all"}).get("/api")
    form, authorization = b.vendor.asked[0]
    assert (form["client_id"], form["client_secret"], form["scope"]) == ("app-1", "app-secret", "all")
    assert authorization == ""


async def test_the_stored_token_is_used_before_the_configured_one() -> None:
    token = Token("access-token-9", "refresh-token-9", START + timedelta(hours=1), 9)
    async with bench(MemoryTokens(token)) as b:
        b.vendor.access = "access-token-9"
        await b.api.get("/api")
        assert b.vendor.asked == []
        b.vendor.now += timedelta(hours=1)
        b.vendor.refresh = "refresh-token-9"
        await b.api.get("/api")
    assert b.vendor.asked[0][0]["refresh_token"] == "refresh-token-9"


async def test_twenty_calls_at_once_make_one_refresh() -> None:
    async with bench() as b:
        await asyncio.gather(*(b.api.get("/api") for _ in range(20)))
        assert b.vendor.grants == 1
        b.vendor.now += timedelta(hours=1)
        await asyncio.gather(*(b.api.get("/api") for _ in range(20)))
    assert b.vendor.grants == 2
    assert len(b.vendor.asked) == 2
    assert len(b.vendor.calls) == 40


async def test_twenty_refused_calls_at_once_make_one_refresh_and_one_resend_each() -> None:
    async with bench() as b:
        await b.api.get("/api")
        b.vendor.access = "revoked by the vendor"
        replies = await asyncio.gather(*(b.api.post("/api", json={}) for _ in range(20)))
    assert {r.status for r in replies} == {200}
    assert b.vendor.grants == 2
    assert 1 + 20 < len(b.vendor.calls) <= 1 + 40


async def test_a_failing_refresh_is_asked_once_for_all_who_wait() -> None:
    async with bench() as b:
        b.vendor.reply = Response(status_code=503)
        calls = (b.api.get("/api") for _ in range(20))
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(r) for r in results} == {TransientError}
    assert len(b.vendor.asked) == 1


async def test_the_resend_after_a_renewal_is_counted_in_its_span() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with bench(MemoryTokens(Token("revoked-token", "refresh-token-0"))) as b:
        b.context = dataclasses.replace(b.context, tracer_provider=provider)
        await b.another().post("/api", json={})
    counted = [(s.attributes or {}).get("http.request.resend_count") for s in exporter.get_finished_spans()]
    assert counted == [None, None, 1]
    assert "token-1" not in "".join(s.to_json() for s in exporter.get_finished_spans())


async def test_two_processes_refresh_once_between_them() -> None:
    async with bench() as b:
        other = b.another()
        await asyncio.gather(*(api.get("/api") for api in (b.api, other) for _ in range(5)))
        assert b.vendor.grants == 1
        b.vendor.access = "revoked by the vendor"
        await b.api.get("/api")
        await other.get("/api")
    assert b.vendor.grants == 2
    assert len(b.vendor.asked) == 2


async def test_a_refresh_starts_shortly_before_the_token_ends() -> None:
    async with bench() as b:
        await b.api.get("/api")
        b.vendor.now += timedelta(seconds=3539)
        await b.api.get("/api")
        assert b.vendor.grants == 1
        b.vendor.now += timedelta(seconds=2)
        await b.api.get("/api")
    assert b.vendor.grants == 2


@pytest.mark.parametrize(
    ("extra", "ends"),
    [({}, None), ({"expires_in": "1800"}, 1800), ({"expires_in": None}, None), ({"expires_in": "soon"}, None)],
)
async def test_a_missing_or_textual_lifetime_is_understood(extra: dict[str, Any], ends: int | None) -> None:
    async with bench() as b:
        b.vendor.extra = extra
        await b.api.get("/api")
        await b.api.get("/api")
        stored = await b.tokens.load()
    assert b.vendor.grants == 1
    assert stored is not None
    assert stored.expires_at == (START + timedelta(seconds=ends) if ends else None)


async def test_a_token_that_lives_shorter_than_the_margin_is_still_used_more_than_once() -> None:
    async with bench() as b:
        b.vendor.extra = {"expires_in": 30}
        for _ in range(3):
            await b.api.get("/api")
    assert b.vendor.grants == 1


async def test_a_reply_without_a_refresh_token_keeps_the_old_one() -> None:
    async with bench() as b:
        b.vendor.reply = JSONResponse({"access_token": "access-token-x", "expires_in": "3600"})
        b.vendor.access = "access-token-x"
        await b.api.get("/api")
        stored = await b.tokens.load()
    assert stored is not None
    assert stored.refresh_token == "refresh-token-0"


async def test_a_refused_refresh_token_is_an_auth_error_after_one_try() -> None:
    async with bench() as b:
        b.vendor.refresh = "another account's"
        with pytest.raises(AuthError, match="invalid_grant Incorrect Token type") as caught:
            await b.api.post("/api", json={})
    assert caught.value.code == "invalid_grant"
    assert "put its new refresh_token into the connection's settings" in caught.value.message
    assert len(b.vendor.asked) == 1
    assert b.vendor.calls == []


def revoked_in_store() -> MemoryTokens:
    return MemoryTokens(Token("access-token-9", "revoked-token-9", START, 9))


def shown(b: Bench) -> list[str]:
    """The refresh tokens that the vendor has been shown."""
    return [form["refresh_token"] for form, _ in b.vendor.asked]


async def test_a_reconnected_accounts_configured_token_replaces_a_revoked_stored_one() -> None:
    async with bench(revoked_in_store()) as b:
        assert (await b.another(refresh_token=SecretStr("refresh-token-0")).get("/api")).status == 200
        stored = await b.tokens.load()
        assert stored == Token("access-token-1", "refresh-token-1", START + timedelta(hours=1), 10)
        b.vendor.now += timedelta(hours=1)
        await b.another(refresh_token=SecretStr("refresh-token-0")).get("/api")
    assert shown(b) == ["revoked-token-9", "refresh-token-0", "refresh-token-1"]


async def test_a_configured_token_that_is_refused_too_is_tried_once_and_the_person_told_what_to_do() -> None:
    async with bench(revoked_in_store()) as b:
        b.vendor.refresh = "not given to us yet"
        with pytest.raises(AuthError, match=r"invalid_grant.*put its new refresh_token into the connection's settings"):
            await b.api.get("/api")
        assert shown(b) == ["revoked-token-9", "refresh-token-0"]
        stored = await b.tokens.load()
        assert stored is not None
        assert (stored.refresh_token, stored.version) == ("revoked-token-9", 9)
        assert (await b.another(refresh_token=SecretStr("not given to us yet")).get("/api")).status == 200


async def test_a_refresh_takes_no_longer_than_it_says_however_its_grants_drip() -> None:
    patience: list[float] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        patience.append(request.extensions["timeout"]["read"])
        return httpx.Response(400, json={"error": "invalid_grant"})

    async with bench(revoked_in_store()) as b:
        b.context = dataclasses.replace(b.context, transport=lambda: httpx.MockTransport(refuse))
        with pytest.raises(AuthError):
            await b.auth().headers()
    assert len(patience) == 2
    assert DRIP * sum(patience) <= LONGEST_REFRESH


@pytest.mark.parametrize("configured", [None, SecretStr("revoked-token-9")])
async def test_where_the_settings_hold_no_other_token_the_vendor_is_asked_once(configured: SecretStr | None) -> None:
    async with bench(revoked_in_store()) as b:
        with pytest.raises(AuthError, match="put its new refresh_token"):
            await b.another(refresh_token=configured).get("/api")
    assert shown(b) == ["revoked-token-9"]


async def test_a_refusal_of_the_client_does_not_spend_the_configured_token() -> None:
    async with bench(revoked_in_store()) as b:
        b.vendor.reply = JSONResponse({"error": "invalid_client"}, 401)
        with pytest.raises(AuthError, match="invalid_client") as caught:
            await b.api.get("/api")
    assert "refresh_token" not in caught.value.message
    assert shown(b) == ["revoked-token-9"]


class OvertakenTokens(MemoryTokens):
    """Somebody stores `newer` while our refresh is on its way."""

    newer: Token | None = None

    async def load(self) -> Token | None:
        seen = await super().load()
        if self.newer is not None:
            self._token, self.newer = self.newer, None
        return seen


async def test_a_refused_refresh_token_gives_way_to_a_newer_stored_access_token() -> None:
    tokens = OvertakenTokens(Token("old", "superseded-token", START, 1))
    tokens.newer = Token("access-token-7", "refresh-token-7", START + timedelta(hours=1), 2)
    async with bench(tokens) as b:
        b.vendor.access = "access-token-7"
        await b.api.get("/api")
    assert [form["refresh_token"] for form, _ in b.vendor.asked] == ["superseded-token"]


async def test_a_refused_refresh_token_gives_way_to_a_newer_stored_refresh_token() -> None:
    tokens = OvertakenTokens(Token("old", "superseded-token", START, 1))
    tokens.newer = Token("old too", "refresh-token-0", START, 2)
    async with bench(tokens) as b:
        await b.api.get("/api")
    assert [form["refresh_token"] for form, _ in b.vendor.asked] == ["superseded-token", "refresh-token-0"]


async def test_who_loses_the_swap_uses_what_the_winner_stored() -> None:
    tokens = OvertakenTokens(Token("old", "refresh-token-0", START, 1))
    winner = Token("access-token-w", "refresh-token-w", START + timedelta(hours=1), 2)
    tokens.newer = winner
    async with bench(tokens) as b:
        reply = asyncio.create_task(b.api.get("/api"))
        await b.vendor.granted.wait()
        b.vendor.access = "access-token-w"
        assert (await reply).status == 200
        assert await tokens.load() == winner
    assert b.vendor.calls == ["Bearer access-token-w"]


@pytest.mark.parametrize(
    "reply",
    [
        Response("upstream", 503, {"retry-after": "7"}),
        Response("slow down", 429, {"retry-after": "7"}),
        JSONResponse({"error": "temporarily_unavailable"}, 400),
        Response("<html>It works!</html>", 200),
        JSONResponse({"access_token": ""}),
        JSONResponse(["access_token"]),
        Response("", 302, {"location": "/login"}),
    ],
)
async def test_what_may_pass_is_transient_and_discards_nothing(reply: Response) -> None:
    async with bench() as b:
        b.vendor.reply = reply
        with pytest.raises(TransientError) as caught:
            await b.api.post("/api", json={})
        assert caught.value.retry_after == (7 if "retry-after" in reply.headers else None)
        assert await b.tokens.load() is None
        b.vendor.reply = None
        assert (await b.api.post("/api", json={})).status == 200


async def test_an_unreachable_token_endpoint_is_transient() -> None:
    async with bench() as b:
        with pytest.raises(TransientError, match="not sent"):
            await b.another(token_url="http://nonexistent.invalid").get("/api")


async def test_a_refusal_of_the_client_itself_is_an_auth_error() -> None:
    async with bench() as b:
        b.vendor.reply = JSONResponse({"error": "invalid_client"}, 401)
        with pytest.raises(AuthError, match="invalid_client"):
            await b.api.get("/api")


async def test_without_any_refresh_token_the_person_is_told_to_connect() -> None:
    async with bench() as b:
        with pytest.raises(AuthError, match="put its refresh_token into the connection's settings"):
            await b.another(refresh_token=None).get("/api")
        with pytest.raises(ConfigError, match="token_url"):
            b.auth(token_url="books.example/token")


async def test_a_401_that_a_renewal_does_not_cure_is_an_auth_error() -> None:
    async with bench() as b:
        b.vendor.access = ""
        b.vendor.reply = JSONResponse({"access_token": "never right", "refresh_token": "refresh-token-1"})
        with pytest.raises(AuthError):
            await b.api.post("/api", json={})
    assert len(b.vendor.asked) == 2
    assert len(b.vendor.calls) == 1


class FailingTokens(MemoryTokens):
    """A store whose disk is full for a while."""

    failing = True

    async def swap(self, token: Token, *, expected: int) -> bool:
        if self.failing:
            raise OSError("disk full")
        return await super().swap(token, expected=expected)


async def test_granted_tokens_survive_a_store_that_fails_and_are_not_used_before_they_are_stored() -> None:
    tokens = FailingTokens()
    async with bench(tokens) as b:
        with pytest.raises(TransientError, match="token store failed"):
            await b.api.get("/api")
        assert b.vendor.calls == []
        tokens.failing = False
        await b.api.get("/api")
        stored = await tokens.load()
    assert b.vendor.grants == 1
    assert stored is not None
    assert stored.refresh_token == "refresh-token-1"


async def test_a_caller_that_is_cancelled_does_not_lose_the_new_tokens() -> None:
    async with bench() as b:
        b.vendor.gate = asyncio.Event()
        call = asyncio.create_task(b.api.get("/api"))
        await b.vendor.was_asked.wait()
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        b.vendor.gate.set()
        await b.api.close()
        stored = await b.tokens.load()
    assert stored is not None
    assert stored.refresh_token == b.vendor.refresh == "refresh-token-1"


async def test_tokens_are_redacted_as_soon_as_they_are_known_and_never_in_errors() -> None:
    async with bench() as b:
        await b.api.get("/api")
        b.vendor.now += timedelta(hours=1)
        echo = "you sent refresh-token-1 by app-secret, keep leaked-token-22"
        b.vendor.reply = JSONResponse({"error": "invalid_grant", "error_description": echo}, 400)
        with pytest.raises(AuthError) as refused:
            await b.api.get("/api")
        b.vendor.reply = Response('{"access_token": "leaked-token-22", "refr', 200)
        with pytest.raises(TransientError) as broken:
            await b.api.get("/api")
        b.vendor.reply = Response('{"access_token": "leaked-token-22"}', 500)
        with pytest.raises(TransientError) as failed:
            await b.api.get("/api")
        basic = base64.b64encode(b"app-1:app-secret").decode()
        shown = b.context.redactor.text(f"access-token-1 refresh-token-0 refresh-token-1 app-secret {basic}")
    assert shown == " ".join(["[redacted]"] * 5)
    errors: list[ConnectorError] = [refused.value, broken.value, failed.value]
    texts = ["".join(traceback.format_exception(e)) + repr(e.facts()) for e in errors]
    assert all(word not in text for text in texts for word in ("refresh-token-1", "app-secret"))
    assert all("leaked-token-22" not in text for text in texts[1:])


async def test_old_tokens_do_not_pile_up_in_the_redactor() -> None:
    async with bench() as b:
        for _ in range(12):
            await b.api.get("/api")
            b.vendor.now += timedelta(hours=1)
        shown = b.context.redactor.text("refresh-token-0 access-token-1 access-token-12 refresh-token-12")
    assert shown == "[redacted] access-token-1 [redacted] [redacted]"
