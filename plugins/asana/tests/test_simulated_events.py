"""What the simulator refuses about webhooks and events, and what it tells of."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock_asana.simulator import ACCESS_TOKEN

API = "/api/1.0"
TARGET = "http://127.0.0.1:9/hook"


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        ({"target": TARGET}, 400, "resource: Missing input"),
        ({"resource": "1201"}, 400, "target: Missing input"),
        ({"resource": "99", "target": TARGET}, 404, "project: Unknown object: 99"),
        ({"resource": "1201", "target": "hook"}, 400, "target: Not a valid URL: hook"),
        ({"resource": "1201", "target": TARGET, "url": "x"}, 400, "url: Unrecognized field"),
        ({"resource": "1201", "target": TARGET, "filters": {}}, 400, "filters: Not an array"),
        (
            {"resource": "1201", "target": TARGET, "filters": [{"action": "changed"}]},
            400,
            "filters: [0]: resource_type",
        ),
        (
            {"resource": "1201", "target": TARGET, "filters": [{"resource_type": "task", "action": "edited"}]},
            400,
            "filters: [0]: action: Not one of",
        ),
        (
            {"resource": "1201", "target": TARGET, "filters": [{"resource_type": "task", "fields": ["name"]}]},
            400,
            "filters: [0]: fields: Only valid for the action changed",
        ),
        ({"resource": "1201", "target": TARGET, "filters": [{"type": "task"}]}, 400, "filters: [0]: Not a webhook"),
    ],
)
async def test_a_webhook_that_asana_refuses_is_refused(
    pat_board: Any, data: dict[str, Any], status: int, said: str
) -> None:
    reply = await pat_board.raw("POST", f"{API}/webhooks", ACCESS_TOKEN, json={"data": data})
    assert reply.status_code == status
    assert reply.json()["errors"][0]["message"].startswith(said)


async def test_webhooks_are_listed_by_workspace_only(pat_board: Any) -> None:
    for query in ("", "?workspace=7"):
        assert (await pat_board.raw("GET", f"{API}/webhooks{query}", ACCESS_TOKEN)).status_code == 400
    assert (await pat_board.raw("GET", f"{API}/webhooks/7", ACCESS_TOKEN)).status_code == 404


async def test_a_sync_token_that_is_missing_foreign_or_old_is_412_with_a_fresh_one(pat_board: Any) -> None:
    await pat_board.simulator.trigger("project.create", {"name": "Sales", "gid": "1300"})

    async def asked(resource: str, sync: str = "") -> Any:
        return await pat_board.raw("GET", f"{API}/events?resource={resource}{sync and '&sync='}{sync}", ACCESS_TOKEN)

    first = await asked("1201")
    token = first.json()["sync"]
    assert (first.status_code, first.json()["errors"][0]["message"][:18]) == (412, "Sync token invalid")
    page = (await asked("1201", token)).json()
    assert (page["data"], page["has_more"]) == ([], False)
    assert (await asked("1300", token)).status_code == 412
    pat_board.clock.forward(hours=23)
    assert (await asked("1201", token)).status_code == 200
    pat_board.clock.forward(hours=1)
    stale = await asked("1201", token)
    assert stale.status_code == 412
    assert (await asked("1201", stale.json()["sync"])).status_code == 200


async def test_events_need_a_resource_that_is_there(pat_board: Any) -> None:
    for query, status in (("", 400), ("?resource=99", 404)):
        assert (await pat_board.raw("GET", f"{API}/events{query}", ACCESS_TOKEN)).status_code == status


async def told(board: Any, resource: str, sync: str) -> list[tuple[str, str, str | None]]:
    page = (await board.raw("GET", f"{API}/events?resource={resource}&sync={sync}", ACCESS_TOKEN)).json()
    return [(e["action"], e["resource"]["resource_type"], e.get("change", {}).get("field")) for e in page["data"]]


async def test_a_write_by_api_is_told_as_a_persons_is(pat_board: Any) -> None:
    sync = (await pat_board.raw("GET", f"{API}/events?resource=1201", ACCESS_TOKEN)).json()["sync"]
    body = {"data": {"name": "x", "projects": ["1201"]}}
    gid = (await pat_board.raw("POST", f"{API}/tasks", ACCESS_TOKEN, json=body)).json()["data"]["gid"]
    for completed in (True, True, False):
        data = {"data": {"completed": completed}}
        await pat_board.raw("PUT", f"{API}/tasks/{gid}", ACCESS_TOKEN, json=data)
    await pat_board.raw("DELETE", f"{API}/tasks/{gid}", ACCESS_TOKEN)
    after = [
        ("changed", "task", "completed"),
        ("added", "story", None),
        ("changed", "task", "completed"),
        ("added", "story", None),
        ("deleted", "task", None),
    ]
    assert await told(pat_board, "1201", sync) == [("added", "task", None), ("added", "task", None), *after]


async def test_people_edit_what_a_task_has(pat_board: Any) -> None:
    task = await pat_board.act("task.edit", notes="x", custom={"Status": "Paid"})
    assert pat_board.tasks[0]["custom"] == {"invoice_number": None, "status": "Paid"}
    for body in ({"colour": "red"}, {"custom": {"Colour": "red"}}):
        with pytest.raises(ValueError, match=r"task\.edit: .*[Cc]olour"):
            await pat_board.act("task.edit", task, **body)
