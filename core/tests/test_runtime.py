"""The assembled application, as far as no flow has to run for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from crossdock.config.load import load
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import Context, Event, TransientError

ROUTING = """
version: 1
connections:
  crm: {{connector: pipedrive, base_url: "http://127.0.0.1:9", api_token: secret-token}}
flows:
  {flow}:
    when: crm.deal.won
    legs:
      remark: {{do: crm.note.create, with: {{content: "{{{{ deal.title }}}}", deal_id: "{{{{ deal.id }}}}"}}}}
"""


async def test_of_two_reloads_at_once_the_newer_file_stays_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "crossdock.yaml"
    file.write_text(ROUTING.format(flow="first"))
    settings = Settings(config=file, database_url=f"sqlite:///{tmp_path}/crossdock.db", watch=0)
    runtime = Crossdock(settings, env={})
    await runtime.start()
    store, storing, go_on = runtime.journal.store_plan, asyncio.Event(), asyncio.Event()
    looks: list[str] = []

    def look(path: Path, **how: Any) -> Any:
        looks.append(path.read_text())
        return load(path, **how)

    async def slow(plan_hash: str, flow: str, plan: Any) -> None:
        if flow == "older":
            storing.set()
            await go_on.wait()
        await store(plan_hash, flow, plan)

    monkeypatch.setattr(runtime.journal, "store_plan", slow)
    monkeypatch.setattr("crossdock.runtime.load", look)
    file.write_text(ROUTING.format(flow="older"))
    older = asyncio.create_task(runtime.reload())
    await storing.wait()
    file.write_text(ROUTING.format(flow="newer"))
    newer = asyncio.create_task(runtime.reload())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(looks) == 1
    go_on.set()
    assert await asyncio.gather(older, newer) == [(), ()]
    assert list(runtime.loaded.flows) == ["newer"]
    await runtime.stop()


async def test_connections_live_by_the_runtimes_clock_and_what_they_are_lent_can_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "crossdock.yaml"
    file.write_text(ROUTING.format(flow="first"))
    settings = Settings(config=file, database_url=f"sqlite:///{tmp_path}/crossdock.db", watch=0)
    now = datetime(2031, 5, 1, tzinfo=UTC)
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    def adjust(context: Context) -> Context:
        return replace(context, transport=lambda: httpx.MockTransport(answer))

    runtime = Crossdock(settings, env={}, clock=lambda: now, adjust=adjust)
    await runtime.assemble()
    event = Event("deal.won", "e1", "1", {"deal": {"id": "1"}})
    await runtime.intake.accept("crm", [event], runtime.telemetry.new_trace())
    assert await runtime.journal.oldest_due(now) == now
    with pytest.raises(TransientError):
        await runtime.connections.source("crm").hydrate(event)
    assert [request.url.path for request in asked] == ["/api/v2/deals/1"]
    assert runtime.runner.moved_at == now
    await runtime.stop()
