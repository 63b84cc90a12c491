from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from crossdock_asana.simulator import ACCESS_TOKEN
from crossdock_sdk import Task

TASKS = "/api/1.0/tasks"


async def refused(board: Any, data: Any, token: str = ACCESS_TOKEN) -> tuple[int, str]:
    reply = await board.raw("POST", TASKS, token, json={"data": data})
    assert reply.status_code >= 400, reply.text
    return reply.status_code, reply.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"projects": ["1201"]}, "name: Missing input"),
        ({"name": 5, "projects": ["1201"]}, "name: Not a string: 5"),
        ({"name": "x"}, "You should specify one of workspace, parent, projects"),
        ({"name": "x", "project": "1201"}, "project: Unrecognized field"),
        ({"name": "x", "projects": "1201"}, "projects: Not an array"),
        ({"name": "x", "projects": [1201]}, "projects: [0]: Not a valid GID type: int"),
        ({"name": "x", "projects": ["Onboarding"]}, "projects: [0]: Not a recognized ID: Onboarding"),
        ({"name": "x", "projects": ["99"]}, "projects: [0]: Unknown object: 99"),
        ({"name": "x", "memberships": [{}]}, "memberships: [0]: project: Missing required field"),
        ({"name": "x", "projects": ["1201"], "due_on": "soon"}, "due_on: Date must be in ISO-8601"),
        (
            {"name": "x", "projects": ["1201"], "due_on": "2026-12-01", "due_at": "2026-12-01T00:00:00Z"},
            "You may only provide one of due_on or due_at!",
        ),
        ({"name": "x", "projects": ["1201"], "completed": "yes"}, "completed: Not a boolean: yes"),
        (
            {"name": "x", "projects": ["1201"], "assignee": "x@y.z"},
            "assignee: Not a user in Organization: x@y.z",
        ),
        (
            {"name": "x", "projects": ["1201"], "custom_fields": "a"},
            "custom_fields: Value is not a JSON object",
        ),
        (
            {"name": "x", "projects": ["1201"], "custom_fields": {"5": "a"}},
            "Custom field with ID 5 is not on given object",
        ),
        ({"name": "x", "workspace": "7"}, "workspace: Unknown object: 7"),
    ],
)
async def test_a_task_that_asana_refuses_is_refused(pat_board: Any, data: dict[str, Any], said: str) -> None:
    status, message = await refused(pat_board, data)
    assert status == 400
    assert message.startswith(said)
    assert pat_board.tasks == []


async def test_custom_values_of_the_wrong_type_are_refused(pat_board: Any) -> None:
    text, status = pat_board.simulator.account.projects["1201"]["fields"]
    for gid, value in ((text, 5), (status, "Paid"), (status, ["x"]), (status, {})):
        data = {"name": "x", "projects": ["1201"], "custom_fields": {gid: value}}
        assert (await refused(pat_board, data))[0] == 400


async def test_an_access_token_cannot_see_or_set_external(pat_board: Any) -> None:
    assert (await refused(pat_board, {"name": "x", "projects": ["1201"], "external": {"gid": "k"}}))[0] == 403
    reply = await pat_board.raw("GET", f"{TASKS}/external:k", ACCESS_TOKEN)
    assert reply.status_code == 404


async def test_no_or_a_wrong_token_is_401(pat_board: Any) -> None:
    for token in (None, "wrong"):
        reply = await pat_board.raw("GET", f"{TASKS}/1", token)
        assert reply.status_code == 401
        assert reply.json()["errors"][0]["message"] == "Not Authorized"


async def test_the_token_endpoint_refuses_what_it_does_not_know(pat_board: Any) -> None:
    right = pat_board.simulator.oauth_settings("")
    form = {name: right[name] for name in ("client_id", "client_secret", "refresh_token")}
    form["grant_type"] = "refresh_token"
    for name, said in (
        ("grant_type", "unsupported_grant_type"),
        ("client_secret", "invalid_client"),
        ("refresh_token", "invalid_grant"),
    ):
        reply = await pat_board.raw("POST", "/-/oauth_token", data=form | {name: "wrong"})
        assert reply.json()["error"] == said


async def test_access_tokens_from_oauth_end_after_an_hour(pat_board: Any) -> None:
    right = pat_board.simulator.oauth_settings("")
    form = {name: right[name] for name in ("client_id", "client_secret", "refresh_token")}
    token = (await pat_board.raw("POST", "/-/oauth_token", data=form | {"grant_type": "refresh_token"})).json()
    assert "refresh_token" not in token
    assert (await pat_board.raw("GET", "/api/1.0/users/me", token["access_token"])).status_code == 200
    pat_board.clock.forward(seconds=token["expires_in"])
    assert (await pat_board.raw("GET", "/api/1.0/users/me", token["access_token"])).status_code == 401


async def test_lists_are_compact_and_opt_fields_say_what_is_shown(pat_board: Any) -> None:
    await pat_board.raw("POST", TASKS, ACCESS_TOKEN, json={"data": {"name": "x", "projects": ["1201"]}})
    plain = await pat_board.raw("GET", f"{TASKS}?project=1201", ACCESS_TOKEN)
    assert set(plain.json()["data"][0]) == {"gid", "resource_type", "name", "resource_subtype"}
    asked = await pat_board.raw("GET", f"{TASKS}?project=1201&opt_fields=notes,projects.name", ACCESS_TOKEN)
    task = asked.json()["data"][0]
    assert set(task) == {"gid", "notes", "projects"}
    assert task["projects"] == [{"gid": "1201", "name": "Onboarding"}]


async def test_custom_field_settings_are_compact_until_asked_for(pat_board: Any) -> None:
    path = "/api/1.0/projects/1201/custom_field_settings"
    plain = (await pat_board.raw("GET", path, ACCESS_TOKEN)).json()["data"]
    assert set(plain[0]) == {"gid", "resource_type"}
    asked = (await pat_board.raw("GET", f"{path}?opt_fields=custom_field.name", ACCESS_TOKEN)).json()["data"]
    assert [s["custom_field"]["name"] for s in asked] == ["Invoice number", "Status"]


async def test_pages_follow_offsets_that_live_a_quarter_of_an_hour(pat_board: Any) -> None:
    for number in range(5):
        data = {"name": str(number), "projects": ["1201"]}
        await pat_board.raw("POST", TASKS, ACCESS_TOKEN, json={"data": data})
    path, names, offset = f"{TASKS}?project=1201&limit=2", [], ""
    while True:
        page = (await pat_board.raw("GET", path + offset, ACCESS_TOKEN)).json()
        names += [t["name"] for t in page["data"]]
        if page["next_page"] is None:
            break
        offset = f"&offset={page['next_page']['offset']}"
    assert names == ["0", "1", "2", "3", "4"]
    pat_board.clock.forward(minutes=16)
    stale = await pat_board.raw("GET", path + offset, ACCESS_TOKEN)
    assert stale.json()["errors"][0]["message"] == "offset: Your pagination token is invalid."
    assert (await pat_board.raw("GET", f"{TASKS}?project=1201&limit=101", ACCESS_TOKEN)).status_code == 400


async def test_listing_needs_exactly_one_filter(pat_board: Any) -> None:
    for query in ("", "?workspace=1200", "?project=1201&assignee=me&workspace=1200"):
        reply = await pat_board.raw("GET", TASKS + query, ACCESS_TOKEN)
        assert "exactly one of" in reply.json()["errors"][0]["message"]


async def test_bodies_outside_data_are_refused(pat_board: Any) -> None:
    for content, said in (
        (b"{", "Could not parse request data, invalid JSON"),
        (b"[]", "Could not parse request data, invalid JSON"),
        (b'{"name": "x"}', "Unrecognized request field name ."),
        (b"{}", "data: Missing input"),
    ):
        reply = await pat_board.raw("POST", TASKS, ACCESS_TOKEN, content=content)
        assert reply.status_code == 400
        assert reply.json()["errors"][0]["message"].startswith(said)


async def test_projects_cannot_be_written_on_an_update(pat_board: Any) -> None:
    made = await pat_board.raw("POST", TASKS, ACCESS_TOKEN, json={"data": {"name": "x", "projects": ["1201"]}})
    gid = made.json()["data"]["gid"]
    assert made.status_code == 201
    reply = await pat_board.raw("PUT", f"{TASKS}/{gid}", ACCESS_TOKEN, json={"data": {"projects": []}})
    assert reply.json()["errors"][0]["message"] == "projects: Cannot write this property"


async def test_a_refused_update_changes_nothing(pat_board: Any) -> None:
    made = await pat_board.raw("POST", TASKS, ACCESS_TOKEN, json={"data": {"name": "x", "projects": ["1201"]}})
    gid = made.json()["data"]["gid"]
    body = {"data": {"name": "y", "custom_fields": {"5": 1}}}
    assert (await pat_board.raw("PUT", f"{TASKS}/{gid}", ACCESS_TOKEN, json=body)).status_code == 400
    assert pat_board.tasks[0]["name"] == "x"


async def test_a_deleted_task_is_404_and_an_unknown_route_too(pat_board: Any) -> None:
    made = await pat_board.raw("POST", TASKS, ACCESS_TOKEN, json={"data": {"name": "x", "projects": ["1201"]}})
    gid = made.json()["data"]["gid"]
    deleted = await pat_board.raw("DELETE", f"{TASKS}/{gid}", ACCESS_TOKEN)
    assert deleted.json() == {"data": {}}
    for method, path, said in (
        ("GET", f"{TASKS}/{gid}", f"task: Unknown object: {gid}"),
        ("DELETE", f"{TASKS}/{gid}", f"task: Unknown object: {gid}"),
        ("GET", "/api/1.0/nothing", "No matching route for request"),
    ):
        reply = await pat_board.raw(method, path, ACCESS_TOKEN)
        assert reply.status_code == 404
        assert reply.json()["errors"][0]["message"] == said


async def test_triggers_act_like_people(pat_board: Any) -> None:
    trigger = pat_board.simulator.trigger
    project = (await trigger("project.create", {"name": "Sales", "gid": "1300"}))["project"]
    assert project["sections"][0]["name"] == "Untitled section"
    options = {"name": "Stage", "type": "enum", "options": ["a", "b"], "project": "1300"}
    field = (await trigger("custom_field.create", options))["custom_field"]
    assert pat_board.simulator.account.projects["1300"]["fields"] == [field["gid"]]
    task = pat_board.simulator.account.create_task({"name": "x", "projects": ["1300"]}, None)["gid"]
    assert (await trigger("task.complete", {"id": task}))["task"]["completed"] is True
    assert (await trigger("task.delete", {"id": task}))["task"]["gid"] == task
    assert pat_board.tasks == []
    with pytest.raises(LookupError, match="task\\.exploded"):
        await trigger("task.exploded", {})
    for body in ({}, {"id": "12"}, {"id": "x"}):
        with pytest.raises(ValueError, match=r"task\.delete"):
            await trigger("task.delete", body)


async def test_unpaged_lists_end_at_a_thousand(pat_board: Any) -> None:
    for number in range(1001):
        pat_board.simulator.account.create_task({"name": str(number), "projects": ["1201"]}, None)
    reply = await pat_board.raw("GET", f"{TASKS}?project=1201", ACCESS_TOKEN)
    assert reply.status_code == 400
    assert "too large" in reply.json()["errors"][0]["message"]


async def test_a_list_shows_a_new_task_only_after_the_lag(pat_board: Any, key: str) -> None:
    task = Task(name="Kick off", project="1201")
    pat_board.simulator.search_lag = timedelta(seconds=3)
    made = await pat_board.create.apply(task, key)
    assert await pat_board.create.recover(task, key) is None
    pat_board.clock.forward(seconds=3)
    assert (await pat_board.create.recover(task, key)).id == made.id
