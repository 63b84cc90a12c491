"""The API's lists and figures, over a real journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from crossdock.indexer import Indexer
from crossdock.journal.base import Checkpoint, NewEvent, NewRun, RunUpdate
from crossdock.journal.sqlite import SqliteJournal
from crossdock.settings import Settings
from crossdock.web import api, figures, problems, refusals
from crossdock.web.replies import OverviewReply, RunPage, ThroughputReply
from fastapi import FastAPI

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
ERROR = {"kind": "rejected", "message": "no such tax code"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API over one run that is dead at `books`, one that succeeded and one that is queued, each an hour apart."""
    at = [NOW - timedelta(hours=3)]
    async with SqliteJournal(tmp_path / "x.db", redact=str, now=lambda: at[0]) as journal:
        await journal.store_plan("p", "bill", {})
        for name, key in (("r0", "812"), ("r1", "813"), ("r2", "814")):
            await journal.accept("crm", [(NewEvent(f"e-{name}", "won", key, {}), [NewRun(name, "bill", key, "p")])])
            if name != "r2":
                claimed = await journal.claim_run(name, "me", at[0], timedelta(hours=1))
                assert claimed
                records = {"records": {"deal": {"title": f"Roof of {name}"}}}
                step = Checkpoint("hydrate", None, "done", records, at[0])
                dead = RunUpdate("dead", error=ERROR, leg="invoice", stopped_connection="books", ended=True)
                update = dead if name == "r0" else RunUpdate("succeeded", ended=True)
                await journal.checkpoint(claimed.claim, [step], update, None)
            at[0] += timedelta(hours=1)
        await Indexer(journal).catch_up()
        app = FastAPI()
        app.state.crossdock = SimpleNamespace(settings=Settings(), journal=journal, now=lambda: NOW, form_token="x")
        problems.install(app)
        refusals.install(app)
        app.include_router(api.router)
        app.include_router(figures.router)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/api/v1") as client:
            yield client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["r2", "r1", "r0"]),
        ("?status=dead&status=queued", ["r2", "r0"]),
        ("?connection=books", ["r0"]),
        ("?error=rejected&leg=invoice", ["r0"]),
        ("?needs_person=true", ["r0"]),
        ("?since=150m", ["r2", "r1"]),
        ("?since=2026-11-26T07:00Z&until=119m", ["r1"]),
        ("?since=2026-11-27", []),
        ("?text=roof%20of%20r1", ["r1"]),
        ("?text=tax", ["r0"]),
        ("?root=r0", ["r0"]),
        ("?replay_of=r0", []),
        ("?flow=&key=&text=&since=", ["r2", "r1", "r0"]),
    ],
)
async def test_runs_are_listed_by(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    reply = await client.get(f"/runs{query}")
    assert reply.status_code == 200, reply.text
    page = RunPage.model_validate(reply.json())
    assert [run.id for run in page.items] == expected
    assert set(reply.json()) == set(RunPage.model_fields)


async def test_what_a_list_cannot_be_asked_is_said(client: httpx.AsyncClient) -> None:
    for query in ("since=yesterday", "until=2026-11-26T07:00", "status=dying", "limit=501"):
        reply = await client.get(f"/runs?{query}")
        assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json"), query
        assert query.partition("=")[0] in reply.json()["detail"]
    page = (await client.get("/runs?limit=1")).json()
    assert (await client.get(f"/runs?limit=1&cursor={page['next_cursor']}")).json()["items"][0]["id"] == "r1"
    assert (await client.get(f"/runs?limit=1&flow=bill&cursor={page['next_cursor']}")).status_code == 400


async def test_an_overview_says_who_needs_a_person(client: httpx.AsyncClient) -> None:
    found = OverviewReply.model_validate((await client.get("/overview")).json())
    [flow] = found.flows
    assert (flow.name, flow.runs, flow.needs_person) == ("bill", {"dead": 1, "queued": 1, "succeeded": 1}, 1)
    assert flow.oldest_unfinished == NOW - timedelta(hours=1)
    assert (found.needs_person.total, [run.id for run in found.needs_person.items]) == (1, ["r0"])
    assert found.needs_person.items[0].connection == "books"


@pytest.mark.parametrize(("bucket", "number"), [("minute", 61), ("quarter", 96), ("hour", 25), ("day", 31)])
async def test_throughput_is_of_the_last_hour_day_or_month(client: httpx.AsyncClient, bucket: str, number: int) -> None:
    found = ThroughputReply.model_validate((await client.get(f"/stats/throughput?bucket={bucket}")).json())
    assert len(found.items) in (number, number - 1)
    if bucket != "minute":
        assert found.total.runs == {"bill": {"dead": 1, "succeeded": 1}}
    only: Any = (await client.get(f"/stats/throughput?bucket={bucket}&flow=other&since=3h")).json()
    assert only["total"]["runs"] == {}


async def test_a_range_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    reply = await client.get("/stats/throughput?since=30d&bucket=minute")
    assert reply.status_code == 422
    assert "1 to 1500 buckets" in reply.json()["detail"]
