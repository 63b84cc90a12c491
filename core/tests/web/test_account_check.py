"""`POST /api/v1/connections/{name}/check`, over real HTTP and a simulated vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from crossdock.plugins import load_plugins
from crossdock.settings import Settings
from crossdock.web.app import create_app
from crossdock_sdk.testing import serve

REGISTRY = load_plugins()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
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
        async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url) as made:
            yield made


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
    await checked(client, "crm")
    told = (await headroom())["crm"]
    assert {quota["name"]: quota["remaining"] <= quota["limit"] for quota in told["quotas"]}["burst"]
    assert told["pause_seconds"] == 0
