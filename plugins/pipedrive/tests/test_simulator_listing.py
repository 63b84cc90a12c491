"""The simulated `GET /api/v2/deals`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from crossdock_pipedrive.simulator import PipedriveSimulator


async def listed(served: tuple[PipedriveSimulator, str], **query: str) -> httpx.Response:
    simulator, url = served
    headers = {"x-api-token": simulator.settings(url)["api_token"]}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{url}/api/v2/deals", params=query, headers=headers)


async def ids(served: Any, **query: str) -> list[int]:
    return [deal["id"] for deal in (await listed(served, **query)).json()["data"]]


async def test_status_and_instants_choose_the_deals(served: Any, simulator: PipedriveSimulator, clock: Any) -> None:
    for event in ("deal.created", "deal.won", "deal.lost"):
        clock.forward(minutes=1)
        await simulator.trigger(event, {"title": event})
    await simulator.trigger("deal.deleted", {"id": "1"})
    assert await ids(served) == [2, 3, 4]
    assert [await ids(served, status=status) for status in ("won", "lost", "deleted")] == [[3], [4], [1]]
    assert await ids(served, updated_since="2026-11-20T09:32:00Z", status="won") == [3]
    assert await ids(served, updated_since="2026-11-20T10:32:01+01:00", status="won") == []
    assert await ids(served, updated_until="2026-11-20T09:31:00Z") == [2]


async def test_the_order_is_by_the_column_and_direction_that_is_asked_for(
    served: Any, simulator: PipedriveSimulator, clock: Any
) -> None:
    for _ in range(2):
        clock.forward(minutes=1)
        await simulator.trigger("deal.created", {"title": "x"})
    clock.forward(minutes=1)
    await simulator.trigger("deal.updated", {"id": "2", "title": "y"})
    assert await ids(served, sort_by="update_time", sort_direction="asc") == [1, 3, 2]
    assert await ids(served, sort_by="update_time", sort_direction="desc") == [2, 3, 1]
    assert await ids(served, sort_by="add_time") == [1, 2, 3]


async def test_an_archived_deal_is_not_listed(served: Any, simulator: PipedriveSimulator) -> None:
    simulator.world.deals[1]["is_archived"] = True
    assert await ids(served) == []


@pytest.mark.parametrize(
    "query",
    [
        {"updated_since": "2026-11-20"},
        {"updated_since": "2026-11-20 09:30:00"},
        {"updated_since": "Tsoon"},
        {"status": "gone"},
        {"sort_by": "title"},
        {"sort_direction": "down"},
        {"since": "2026-11-20T09:30:00Z"},
    ],
)
async def test_what_the_list_does_not_know_is_refused(served: Any, query: dict[str, str]) -> None:
    reply = await listed(served, **query)
    assert reply.status_code == 400
    assert next(iter(query)) in reply.json()["error"]
