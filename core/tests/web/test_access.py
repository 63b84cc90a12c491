"""Who is let in to the API and the pages, what they may do there, and what no other site can do for them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from crossdock.access import Access, AccessError
from crossdock.actors import Role, Scope, at_terminal
from crossdock.plugins import load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.signing_in import TRIES
from crossdock.web.app import create_app
from crossdock.web.headers import CSP
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr

HERE = "http://127.0.0.1:8000"
TOKEN = "the-admins-own-token"
PASSWORD = "correct horse battery staple"


@dataclass
class Place:
    """A server without a network: `client(...)` is somebody who asks it."""

    app: FastAPI
    runtime: Crossdock
    at: datetime = field(default_factory=lambda: datetime(2026, 11, 26, 9, tzinfo=UTC))

    def client(self, *, address: str = "127.0.0.1", base: str = HERE, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)

    @property
    def access(self) -> Access:
        return Access(self.runtime.journal, at_terminal("tester"), lambda: self.at)

    async def signed_in(self, name: str, role: Role) -> httpx.AsyncClient:
        await self.access.add(name, role, PASSWORD)
        client = self.client()
        reply = await client.post("/login", data={"name": name, "password": PASSWORD})
        assert reply.status_code == 303, reply.text
        return client


@pytest.fixture
def place(tmp_path: Path) -> Any:
    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Place]:
        config = tmp_path / "crossdock.yaml"
        config.write_text("version: 1\n")
        known = {"config": config, "database_url": f"sqlite:///{tmp_path / 'c.db'}", "watch": 0} | settings
        here: list[Place] = []
        runtime = Crossdock(Settings(**known), env={}, registry=load_plugins(entry_points=()), clock=lambda: here[0].at)
        here.append(Place(create_app(runtime=runtime), runtime))
        await runtime.assemble()
        runtime.started = True
        try:
            yield here[0]
        finally:
            await runtime.stop()

    return opened


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]


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
CANCEL = "/api/v1/runs/01aaaaaaaaaaaaaaaaaaaaaaaa/cancel"


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_another_site_changes_nothing(place: Any, headers: dict[str, str]) -> None:
    async with place() as here, here.client(**headers) as client:
        reply = await client.post(CANCEL)
        assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
        assert "another site" in reply.json()["detail"]
        assert (await client.get("/api/v1/runs")).status_code == 200


@pytest.mark.parametrize("headers", OWN)
async def test_a_command_line_and_our_own_pages_may_act(place: Any, headers: dict[str, str]) -> None:
    async with place() as here, here.client(**headers) as client:
        assert (await client.post(CANCEL)).status_code == 404


@pytest.mark.parametrize(
    ("address", "base", "headers"),
    [
        ("203.0.113.7", HERE, {}),
        ("127.0.0.1", "http://dock.evil.example", {}),
        ("127.0.0.1", HERE, {"x-forwarded-for": "203.0.113.7"}),
    ],
)
async def test_without_anything_to_show_only_this_machine_is_let_in(
    place: Any, address: str, base: str, headers: dict[str, str]
) -> None:
    async with place() as here, here.client(address=address, base=base, **headers) as client:
        for path in ("/", "/api/v1/runs", "/metrics", "/live"):
            reply = await client.get(path)
            assert reply.status_code == 403, path
            assert "CROSSDOCK_ADMIN_TOKEN" in reply.json()["detail"]


async def test_who_shows_the_admin_token_may_act_from_anywhere(place: Any) -> None:
    shown = {"authorization": f"Bearer {TOKEN}", "origin": "https://console.example"}
    async with place(admin_token=SecretStr(TOKEN)) as here:
        async with here.client(address="203.0.113.7", **shown) as client:
            assert (await client.post(CANCEL)).status_code == 404
            assert (await client.get("/api/v1/me")).json() == {"name": "admin", "role": "admin", "scopes": None}
        async with here.client(authorization="Bearer wrong") as client:
            reply = await client.get("/api/v1/me")
            assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")


async def test_once_there_is_somebody_nobody_is_let_in_without_a_name(place: Any) -> None:
    async with place() as here, here.client() as client:
        assert (await client.get("/")).status_code == 200
        await here.access.add("ann", Role.OPERATOR, PASSWORD)
        reply = await client.get("/runs?status=dead")
        assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=/runs%3Fstatus%3Ddead")
        assert (await client.get("/api/v1/runs")).status_code == 401


async def test_signing_in_leads_to_where_one_wanted_to_go(place: Any) -> None:
    async with place() as here, here.client() as client:
        await here.access.add("ann", Role.OPERATOR, PASSWORD)
        page = await client.get("/login?next=/runs")
        assert 'value="/runs"' in page.text
        wrong = await client.post("/login", data={"name": "ann", "password": "nonsense", "next": "/runs"})
        assert (wrong.status_code, "do not go together" in wrong.text) == (403, True)
        reply = await client.post("/login", data={"name": "ann", "password": PASSWORD, "next": "/runs"})
        assert (reply.status_code, reply.headers["location"]) == (303, "/runs")
        cookie = reply.headers["set-cookie"]
        assert re.search("HttpOnly", cookie)
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        assert "ann · operator" in (await client.get("/runs")).text


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1", "evil", ""]
)
async def test_nobody_is_led_elsewhere(place: Any, to: str) -> None:
    async with place() as here, here.client() as client:
        await here.access.add("ann", Role.VIEWER, PASSWORD)
        reply = await client.post("/login", data={"name": "ann", "password": PASSWORD, "next": to})
        assert reply.headers["location"] == "/"


async def test_under_https_the_cookie_is_held_to_it(place: Any) -> None:
    async with place(public_url="https://dock.example.com") as here, here.client() as client:
        await here.access.add("ann", Role.VIEWER, PASSWORD)
        reply = await client.post(
            "/login",
            data={"name": "ann", "password": PASSWORD},
            headers={"origin": "https://dock.example.com"},
        )
        cookie = reply.headers["set-cookie"]
        assert cookie.startswith("__Host-crossdock-session=")
        assert "Secure" in cookie
        assert "strict-transport-security" in reply.headers


async def test_a_form_of_another_or_of_no_session_changes_nothing(place: Any) -> None:
    async with place() as here:
        ann = await here.signed_in("ann", Role.OPERATOR)
        bob = await here.signed_in("bob", Role.OPERATOR)
        tokens = [csrf_of((await one.get("/")).text) for one in (ann, bob)]
        assert tokens[0] != tokens[1]
        path = "/runs/01aaaaaaaaaaaaaaaaaaaaaaaa/cancel"
        for wrong in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": tokens[1]}):
            assert (await ann.post(path, data=wrong)).status_code == 403
            assert (await ann.post(CANCEL, headers={"x-csrf-token": wrong.get("csrf", "")})).status_code == 403
        assert (await ann.post(path, data={"csrf": tokens[0]})).status_code == 404
        assert (await ann.post(CANCEL, headers={"x-csrf-token": tokens[0]})).status_code == 404
        await ann.aclose()
        await bob.aclose()


async def test_on_this_machine_forms_carry_a_token_too(place: Any) -> None:
    async with place() as here, here.client() as client:
        path = "/runs/01aaaaaaaaaaaaaaaaaaaaaaaa/cancel"
        assert (await client.post(path, data={"csrf": "guessed"})).status_code == 403
        assert (await client.post(path, data={"csrf": here.runtime.form_token})).status_code == 404


async def test_a_session_ends_when_it_is_idle_old_signed_out_or_its_person_is_changed(place: Any) -> None:
    async def is_in(client: httpx.AsyncClient) -> bool:
        return (await client.get("/")).status_code == 200

    async with place() as here:
        ann = await here.signed_in("ann", Role.OPERATOR)
        for _ in range(15):
            here.at += timedelta(hours=11)
            assert await is_in(ann)
        here.at += timedelta(hours=11)
        assert not await is_in(ann), "older than a week"
        await ann.post("/login", data={"name": "ann", "password": PASSWORD})
        here.at += timedelta(hours=13)
        assert not await is_in(ann), "idle"
        for end in ({"role": Role.VIEWER}, {"password": f"{PASSWORD} 2"}, {"disabled": True}):
            await here.access.change("ann", password=PASSWORD, disabled=False)
            await ann.post("/login", data={"name": "ann", "password": PASSWORD})
            assert await is_in(ann)
            await here.access.change("ann", **end)
            assert not await is_in(ann), end
        await here.access.change("ann", password=PASSWORD, disabled=False)
        await ann.post("/login", data={"name": "ann", "password": PASSWORD})
        cookies = dict(ann.cookies)
        await ann.post("/logout", data={"csrf": csrf_of((await ann.get("/")).text)})
        ann.cookies.update(cookies)
        assert not await is_in(ann), "signed out"
        await ann.aclose()


async def test_guessing_is_slowed_down_by_name_and_by_address(place: Any) -> None:
    async with place() as here, here.client(address="198.51.100.1") as client:
        await here.access.add("ann", Role.VIEWER, PASSWORD)

        async def tried(name: str, password: str = "wrong") -> httpx.Response:
            return await client.post("/login", data={"name": name, "password": password})

        for _ in range(TRIES):
            assert "do not go together" in (await tried("ann")).text
        assert "too many tries" in (await tried("ann", PASSWORD)).text
        assert "too many tries" in (await tried("somebody else")).text
        here.at += timedelta(seconds=3)
        assert (await tried("ann", PASSWORD)).status_code == 303


async def test_a_token_does_what_its_role_may_until_it_ends_or_is_revoked(place: Any) -> None:
    async with place() as here, here.client() as client:
        end = here.at + timedelta(days=1)
        made = await here.access.make_token("grafana", Role.VIEWER, end)
        assert made["token"].startswith("cdk_")
        client.headers["authorization"] = f"Bearer {made['token']}"
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/api/v1/me")).json() == {"name": "grafana", "role": "viewer", "scopes": None}
        refused = await client.post(CANCEL)
        assert refused.status_code == 403
        assert refused.json()["detail"] == "this takes the role operator; grafana has viewer"
        [listed] = await here.access.tokens()
        assert listed["used_at"] == here.at
        here.at = end
        assert (await client.get("/metrics")).status_code == 401
        here.at = end - timedelta(hours=1)
        await here.access.revoke(made["id"])
        assert (await client.get("/metrics")).status_code == 401


OPEN = {
    "/healthz",
    "/readyz",
    "/webhooks/{connection}",
    "/interactions/{connection}",
    "/login",
    "/logout",
    "/static/{name}",
    "/favicon.ico",
    "/openapi.json",
}
ASKS = {"/api/v1/runs/{run}/preview", "/api/v1/flows/{name}/forecast", "/flows/{name}"}
"""What is posted only because the question is long."""


async def test_every_route_asks_who_calls_and_what_acts_takes_an_operator(place: Any) -> None:
    async with place() as here:
        viewer = await here.signed_in("vera", Role.VIEWER)
        token = csrf_of((await viewer.get("/")).text)
        async with here.client() as nobody:
            for route, method in guarded(here.app):
                path = re.sub(r"\{[^}]+\}", "01aaaaaaaaaaaaaaaaaaaaaaaa", route)
                reply = await nobody.request(method, path)
                assert reply.status_code in (303, 401), (method, path, reply.status_code)
                if method != "GET" and route not in ASKS:
                    known = {"csrf": token, "records": "{}", "leg": "a", "seen": "x", "verdict": "x", "plan": "x"}
                    headers = {"x-csrf-token": token}
                    sent = {"json": {}} if path.startswith("/api") else {"data": known}
                    reply = await viewer.request(method, path, headers=headers, **sent)
                    assert reply.status_code == 403, (method, path, reply.status_code, reply.text)
        await viewer.aclose()


SCOPES = {
    "/api/v1/runs": Scope.RUNS,
    "/api/v1/bulk": Scope.RUNS,
    "/api/v1/events": Scope.RUNS,
    "/api/v1/flows": Scope.FLOWS,
    "/api/v1/connections": Scope.CONNECTIONS,
    "/api/v1/overview": Scope.FIGURES,
    "/api/v1/stats": Scope.FIGURES,
    "/api/v1/audit": Scope.AUDIT,
    "/metrics": Scope.METRICS,
}


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_token_opens_the_parts_of_the_api_that_it_is_confined_to_and_no_page(place: Any, scope: Scope) -> None:
    async with place() as here, here.client() as client:
        made = await here.access.make_token("robot", Role.ADMIN, None, [scope])
        assert made["scopes"] == [scope]
        client.headers["authorization"] = f"Bearer {made['token']}"
        opened = set()
        for route, method in guarded(here.app):
            path = re.sub(r"\{[^}]+\}", "01aaaaaaaaaaaaaaaaaaaaaaaa", route)
            reply = await client.request(method, path, **({} if method == "GET" else {"json": {}}))
            wanted = next((one for start, one in SCOPES.items() if route.startswith(start)), None)
            refused = wanted is not scope and route != "/api/v1/me"
            assert (reply.status_code == 403) == refused, (method, route, reply.text)
            opened |= {route} if wanted is scope else set()
        assert opened
        assert (await client.get("/api/v1/me")).json()["scopes"] == [scope]


async def test_who_is_not_let_in_somewhere_is_told_what_it_takes(place: Any) -> None:
    async with place() as here, here.client() as client:
        made = await here.access.make_token("robot", Role.ADMIN, None, [Scope.RUNS, Scope.METRICS])
        client.headers["authorization"] = f"Bearer {made['token']}"
        told = (await client.get("/api/v1/audit")).json()["detail"]
        assert told == "this takes the scope audit; robot has metrics, runs"
        told = (await client.post("/api/v1/tokens", json={"name": "all", "role": "admin"})).json()["detail"]
        assert told == "this is for those who are not confined to scopes; robot has metrics, runs"
        [listed] = await here.access.tokens()
        assert listed["scopes"] == ["metrics", "runs"]
        with pytest.raises(AccessError, match="opens nothing"):
            await here.access.make_token("none", Role.VIEWER, None, [])


def guarded(app: Any) -> list[tuple[str, str]]:
    """All but what is open to everybody: the path and the method."""
    routes = [(route.path, sorted(route.methods or ())) for route in iter_route_contexts(app.routes) if route.path]
    found = [(path, method) for path, methods in routes if path not in OPEN for method in methods]
    assert {("/", "GET"), ("/api/v1/runs", "GET"), ("/api/v1/tokens", "POST"), ("/metrics", "GET")} <= set(found)
    return found


async def test_answers_carry_safe_headers_and_pages_a_strict_policy(place: Any) -> None:
    async with place() as here, here.client() as client:
        for path in ("/", "/runs", "/login", "/nowhere"):
            reply = await client.get(path)
            assert reply.headers["x-content-type-options"] == "nosniff"
            if reply.headers.get("content-type", "").startswith("text/html"):
                assert reply.headers["content-security-policy"] == CSP
                assert reply.headers["cache-control"] == "no-store"
                assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|javascript:", reply.text), path
        assert (await client.get("/api/v1/runs")).headers["cache-control"] == "no-store"


async def test_no_secret_of_a_person_is_kept(place: Any, tmp_path: Path) -> None:
    async with place(admin_token=SecretStr(TOKEN)) as here:
        ann = await here.signed_in("ann", Role.OPERATOR)
        made = await here.access.make_token("grafana", Role.VIEWER, None)
        cookie = ann.cookies["crossdock-session"]
        async with here.client() as client:
            await client.post("/login", data={"password": TOKEN})
        stored = "\n".join(sqlite3.connect(tmp_path / "c.db").iterdump())
        for secret in (PASSWORD, made["token"], cookie, TOKEN):
            assert secret not in stored
        acts = (await here.runtime.journal.audit.page()).items
        assert {(act.action, act.kind) for act in acts} == {
            ("add", "person"),
            ("sign in", "person"),
            ("make token", "token"),
        }
        await ann.aclose()
