"""`POST /api/v1/connections/{name}/check`, over real HTTP and a simulated vendor."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from crossdock.checking import STANDS
from crossdock.journal.base import ConnectionState
from crossdock.plugins import load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.web.app import create_app
from crossdock_sdk import Token
from crossdock_sdk.redaction import MASK
from crossdock_sdk.testing import Fault, serve

REGISTRY = load_plugins()


HOSTILE = "\u202e<img src=x onerror=alert(1)> with {token}"


@dataclass
class House:
    """The application over HTTP, and the simulated CRM."""

    client: httpx.AsyncClient
    runtime: Crossdock
    crm: Any
    token: str

    def asked(self, path: str) -> list[Any]:
        return [one for one in self.crm.requests if one["path"].endswith(path)]


@pytest.fixture
async def client(house: House) -> httpx.AsyncClient:
    return house.client


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    crm = REGISTRY.simulators["pipedrive"]()
    async with serve(crm) as vendor:
        given = crm.settings(vendor)
        connections = {
            "crm": given,
            "old": {**given, "api_token": "a-token-of-long-ago"},
            "hook": {"connector": "slack", "webhook_url": "http://127.0.0.1:9/services/a-secret-path"},
        }
        config = tmp_path / "crossdock.yaml"
        config.write_text(yaml.safe_dump({"version": 1, "connections": connections, "flows": {}}))
        settings = Settings(config=config, database_url=f"sqlite:///{tmp_path}/c.db", watch=0)
        app = create_app(settings)
        async with serve(app) as url, httpx.AsyncClient(base_url=url, follow_redirects=True) as made:
            yield House(made, app.state.crossdock, crm, given["api_token"])


async def pressed(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """What follows a press of the page's own button."""
    page = (await client.get("/connections")).text
    [form] = re.findall(rf'<form method="post" action="/connections/{name}/check">.*?</form>', page)
    [csrf] = re.findall(r'name="csrf" value="([^"]+)"', form)
    return await client.post(f"/connections/{name}/check", data={"csrf": csrf})


async def checked(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    reply = await client.post(f"/api/v1/connections/{name}/check")
    assert reply.status_code == 200
    body: dict[str, Any] = reply.json()
    return body


async def test_a_connection_that_works_says_whose_it_is(client: httpx.AsyncClient) -> None:
    told = await checked(client, "crm")
    known = {name: told[name] for name in ("connection", "state", "asked", "found", "fix", "error")}
    assert known == {
        "connection": "crm",
        "state": "ok",
        "asked": True,
        "found": "Sandbox at Sandbox",
        "fix": None,
        "error": None,
    }
    assert abs(told["clock_skew_seconds"]) < 60
    assert 0 < told["took_seconds"] < 20
    assert told["checked_at"]


async def test_one_whose_credentials_are_refused_says_what_to_do(client: httpx.AsyncClient) -> None:
    told = await checked(client, "old")
    assert (told["state"], told["error"]["kind"], told["error"]["status"]) == ("wrong", "auth", 401)
    assert "connections.old" in told["fix"]
    assert "a-token-of-long-ago" not in str(told)


async def test_one_that_can_be_asked_nothing_says_so(client: httpx.AsyncClient) -> None:
    told = await checked(client, "hook")
    assert (told["state"], told["asked"]) == ("ok", False)


async def test_who_may_not_ask_and_what_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/connections/nobody/check")).status_code == 404
    assert (await client.get("/api/v1/connections/crm/check")).status_code == 405
    foreign = {"origin": "https://evil.example"}
    assert (await client.post("/api/v1/connections/crm/check", headers=foreign)).status_code == 403


async def test_what_the_vendor_told_of_its_limits_is_shown_once_it_was_asked(client: httpx.AsyncClient) -> None:
    async def headroom() -> Any:
        items = (await client.get("/api/v1/connections")).json()["items"]
        return {item["name"]: item["headroom"] for item in items}

    assert await headroom() == {"crm": None, "old": None, "hook": None}
    page = await client.get("/connections")
    assert page.text.count("not known: this process has not called it since its start") == 3
    await checked(client, "crm")
    await checked(client, "hook")
    told = await headroom()
    assert {one["name"]: one["remaining"] <= one["limit"] for one in told["crm"]["quotas"]}["daily"]
    assert all(one["seen_at"] for one in told["crm"]["quotas"])
    assert (told["crm"]["told"], told["crm"]["pause_seconds"]) == (True, 0)
    assert told["hook"] == {"told": False, "pause_seconds": 0, "quotas": []}
    page = await client.get("/connections")
    assert re.search(r"daily: [\d,]+ of [\d,]+ left, seen <time", page.text)
    assert "not told by the vendor" in page.text
    assert re.search(r"\d+% of (burst|daily)", (await client.get("/")).text)


async def test_an_answer_stands_for_a_moment_so_that_pressing_on_and_on_asks_the_vendor_once(house: House) -> None:
    first, second = await asyncio.gather(checked(house.client, "crm"), checked(house.client, "crm"))
    assert first == second
    assert len(house.asked("/users/me")) == 1
    house.runtime.checker._now = lambda: datetime.now(UTC) + STANDS
    assert (await checked(house.client, "crm"))["checked_at"] > first["checked_at"]
    assert len(house.asked("/users/me")) == 2


async def test_a_connection_that_works_again_is_tried_at_once_by_what_waits_for_it(house: House) -> None:
    async def shown() -> Any:
        items = (await house.client.get("/api/v1/connections")).json()["items"]
        return {item["name"]: item for item in items}

    now = datetime.now(UTC)
    for name in ("crm", "old"):
        closed = ConnectionState(name, "down", "no answer", now, probe_at=now + timedelta(minutes=5))
        await house.runtime.journal.close_connection(closed)
    assert {name: item["circuit"] for name, item in (await shown()).items()} == {
        "crm": "open",
        "old": "open",
        "hook": "closed",
    }
    page = (await house.client.get("/connections")).text
    assert "its vendor does not answer; one run tries it <time" in page
    for name in ("crm", "old"):
        await checked(house.client, name)
    after = await shown()
    assert datetime.fromisoformat(after["crm"]["next_try"]) < now + timedelta(minutes=1)
    assert datetime.fromisoformat(after["old"]["next_try"]) > now + timedelta(minutes=4)


async def test_the_words_of_a_vendor_are_shown_harmlessly_and_no_secret_is(house: House) -> None:
    house.crm.faults.append(
        Fault(kind="status", status=400, path="*", body={"success": False, "error": HOSTILE.format(token=house.token)})
    )
    reply = await pressed(house.client, "crm")
    assert reply.status_code == 200
    assert 'role="alert"' in reply.text
    assert "<img" not in reply.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in reply.text
    assert house.token not in reply.text
    assert house.token not in str(reply.url)
    assert MASK in reply.text


async def test_when_tokens_end_is_said_in_words_and_nothing_else_of_them(house: House) -> None:
    now = datetime.now(UTC)
    soon = Token("access-canary-8", "refresh-canary-8", now + timedelta(minutes=47), 0, now + timedelta(days=5))
    await house.runtime.vault.store_for("crm").swap(soon, expected=0)
    gone = Token("access-canary-9", "refresh-canary-9", now - timedelta(hours=3), 0, now - timedelta(days=1))
    await house.runtime.vault.store_for("old").swap(gone, expected=0)
    page = (await house.client.get("/connections")).text
    plain = re.sub(r"<time[^>]*>[^<]*</time>", "<time>", page)
    assert "expires <time>, renewed by itself" in plain
    assert 'class="warn">ends <time>: connect the account anew' in plain
    assert "ended <time>; it is renewed by itself" in plain
    assert 'class="bad">ended <time>: connect the account anew' in plain
    assert "their end is not told by the vendor" in plain
    for path in ("/", "/connections", "/api/v1/connections", "/metrics"):
        assert "canary" not in (await house.client.get(path)).text


async def test_pressing_takes_an_operator_and_a_form_of_this_session(house: House) -> None:
    assert (await house.client.post("/connections/crm/check")).status_code == 403
    assert (await house.client.post("/connections/crm/check", data={"csrf": "made up"})).status_code == 403
    assert (await pressed(house.client, "crm")).url.path == "/connections"
    assert house.asked("/users/me")
