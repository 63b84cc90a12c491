"""`/api/v1/flows/…` and `/api/v1/audit`: what a flow would write, and what people did, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from crossdock.settings import Settings
from crossdock.web.app import create_app
from crossdock_sdk.testing import serve

FLOW = {
    "when": "crm.deal.won",
    "ignore": ["deal.custom.*"],
    "checks": [{"that": "{{ deal.value > 0 }}", "say": "a deal over nothing"}],
    "legs": {"note": {"do": "crm.note.create", "with": {"deal_id": "{{ deal.id }}", "content": "{{ deal.title }}"}}},
}

DEAL = {"id": "7", "title": "Roof", "status": "won", "value": "12.50", "currency": "USD"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    crm = {"connector": "pipedrive", "base_url": "http://127.0.0.1:9", "api_token": "a-token-of-this-test"}
    config = tmp_path / "crossdock.yaml"
    config.write_text(yaml.safe_dump({"version": 1, "connections": {"crm": crm}, "flows": {"remark": FLOW}}))
    settings = Settings(config=config, database_url=f"sqlite:///{tmp_path}/c.db", watch=0)
    app = create_app(settings)
    async with serve(app) as url, httpx.AsyncClient(base_url=f"{url}/api/v1") as made:
        yield made


async def tried(client: httpx.AsyncClient, deal: dict[str, Any]) -> httpx.Response:
    return await client.post("/flows/remark/forecast", json={"records": {"deal": DEAL | deal}})


async def test_a_flow_says_what_makes_which_field_and_where(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/flows/remark")).json()
    assert (shown["when"], shown["records"]) == ("crm.deal.won", ["deal"])
    made = {one["target"]: (one["expression"], one["reads"]) for one in shown["mapping"]}
    assert made["content"] == ("{{ deal.title }}", ["deal.title"])
    assert all(one["place"].startswith(str(Path(shown["mapping"][0]["place"]).parent)) for one in shown["mapping"])
    assert (await client.get("/flows/remarks")).status_code == 404


async def test_a_flow_is_tried_on_records_and_nothing_is_written(client: httpx.AsyncClient) -> None:
    good = (await tried(client, {})).json()
    assert (good["ok"], good["legs"][0]["input"]["content"]) == (True, "Roof")
    bad = (await tried(client, {"value": 0})).json()
    assert (bad["ok"], "a deal over nothing" in bad["problem"]) == (False, True)
    assert (await client.get("/runs")).json()["items"] == []


async def test_what_cannot_be_tried_is_said(client: httpx.AsyncClient) -> None:
    wrong = await tried(client, {"value": "much"})
    assert (wrong.status_code, "deal.value" in wrong.json()["detail"]) == (422, True)
    other = await client.post("/flows/remark/forecast", json={"records": {"person": {}}})
    assert (other.status_code, "exactly these records: deal" in other.json()["detail"]) == (422, True)
    unknown = await client.post("/flows/remark/forecast", json={"run": "0" * 26})
    assert (unknown.status_code, "is none of it" in unknown.json()["detail"]) == (409, True)
    none = await client.post("/flows/remark/forecast")
    assert (none.status_code, "give some" in none.json()["detail"]) == (409, True)


async def test_what_people_did_is_told_page_by_page(client: httpx.AsyncClient) -> None:
    for what in ("pause", "resume", "pause"):
        assert (await client.post(f"/flows/remark/{what}", json={"why": "the books are closed"})).status_code == 200
    first = (await client.get("/audit", params={"limit": 2})).json()
    assert [one["action"] for one in first["items"]] == ["pause", "resume"]
    assert (first["items"][0]["kind"], first["items"][0]["subject"]) == ("flow", "remark")
    assert first["items"][0]["why"] == "the books are closed"
    rest = (await client.get("/audit", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert ([one["action"] for one in rest["items"]], rest["next_cursor"]) == (["pause"], None)
    assert (await client.get("/audit", params={"kind": "run"})).json()["items"] == []
    assert (await client.get("/audit", params={"kind": "deal"})).status_code == 422
    assert (await client.get("/audit", params={"cursor": "nonsense"})).status_code == 400
