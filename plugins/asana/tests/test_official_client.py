"""Asana's own Python client against the simulator: what it can do there, it can do here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import asana
import pytest
from asana.rest import ApiException
from crossdock_asana.simulator import ACCESS_TOKEN
from crossdock_sdk import PollRequest, jsonio

Result = TypeVar("Result")


@pytest.fixture
def client(pat_board: Any) -> asana.ApiClient:
    configuration = asana.Configuration()
    configuration.host = f"{pat_board.url}/api/1.0"
    configuration.access_token = ACCESS_TOKEN
    # Asana answers at once; without this the client asks again by itself before a test sees an error.
    configuration.retry_strategy = None
    return asana.ApiClient(configuration)


async def aside(call: Callable[[], Result]) -> Result:
    """The client blocks, and the simulator it calls runs in this very loop."""
    return await asyncio.to_thread(call)


def shape(value: Any) -> Any:
    """The keys of a record, all the way down."""
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value).__name__


async def test_tasks_are_made_read_listed_changed_and_deleted(client: asana.ApiClient, pat_board: Any) -> None:
    tasks = asana.TasksApi(client)
    made = await aside(lambda: tasks.create_task({"data": {"name": "Kick off", "projects": ["1201"]}}, {}))
    gid = made["gid"]
    changed = await aside(lambda: tasks.update_task({"data": {"completed": True}}, gid, {}))
    assert changed["completed"] is True
    shown = await aside(lambda: tasks.get_task(gid, {"opt_fields": "name,completed_at,memberships.section.name"}))
    assert shown["completed_at"] == "2026-11-23T12:00:00.000Z"
    assert shown["memberships"][0]["section"]["name"] == "To do"
    for number in range(4):
        await pat_board.simulator.trigger("task.create", {"project": "1201", "name": str(number)})
    listed = await aside(lambda: list(tasks.get_tasks({"project": "1201", "limit": 2})))
    assert [task["name"] for task in listed] == ["Kick off", "0", "1", "2", "3"]
    await aside(lambda: tasks.delete_task(gid))
    with pytest.raises(ApiException) as caught:
        await aside(lambda: tasks.get_task(gid, {}))
    assert caught.value.status == 404


async def test_a_refusal_is_asanas(client: asana.ApiClient, pat_board: Any) -> None:
    tasks = asana.TasksApi(client)
    with pytest.raises(ApiException) as caught:
        await aside(lambda: tasks.create_task({"data": {"projects": ["1201"]}}, {}))
    assert caught.value.status == 400
    assert b"name: Missing input" in caught.value.body


async def test_a_webhook_is_made_listed_read_and_deleted(
    client: asana.ApiClient, pat_board: Any, listener: Any
) -> None:
    webhooks = asana.WebhooksApi(client)
    filters = [{"resource_type": "task", "action": "changed", "fields": ["completed"]}]
    body = {"data": {"resource": "1201", "target": listener.url, "filters": filters}}
    made = await aside(lambda: webhooks.create_webhook(body, {}))
    await pat_board.simulator.settle()
    assert len(listener.secrets) == len(listener.deliveries) == 1
    documented = {"gid", "resource_type", "active", "resource", "target", "created_at", "filters", "last_success_at"}
    documented |= {"last_failure_at", "last_failure_content", "delivery_retry_count", "next_attempt_after"}
    assert set(made) == documented | {"failure_deletion_timestamp"}
    [compact] = await aside(lambda: list(webhooks.get_webhooks("1200", {"resource": "1201", "limit": 10})))
    assert set(compact) == {"gid", "resource_type", "active", "resource", "target"}
    full = await aside(lambda: webhooks.get_webhook(made["gid"], {}))
    assert (full["filters"], full["active"]) == (filters, True)
    await aside(lambda: webhooks.delete_webhook(made["gid"]))
    assert await aside(lambda: list(webhooks.get_webhooks("1200", {}))) == []


async def test_a_handshake_that_is_not_answered_is_an_error_of_the_call(
    client: asana.ApiClient, pat_board: Any, listener: Any
) -> None:
    listener.expecting = False
    body = {"data": {"resource": "1201", "target": listener.url}}
    with pytest.raises(ApiException) as caught:
        await aside(lambda: asana.WebhooksApi(client).create_webhook(body, {}))
    assert caught.value.status == 400


async def test_events_are_read_by_its_iterator_and_tell_what_our_poll_tells(
    client: asana.ApiClient, pat_board: Any
) -> None:
    wanted = frozenset({"task.completed"})
    request = PollRequest(None, pat_board.clock(), pat_board.source.polling.overlap, wanted)
    cursor = (await pat_board.source.poll(request)).cursor
    # It begins without a token, as its first call to any project does, and takes the one in the 412.
    iterator = await aside(lambda: asana.EventsApi(client).get_events("1201", {}))
    assert await aside(lambda: list(iterator)) == []
    for _ in range(10):
        await pat_board.act("task.complete")
    read = await aside(lambda: list(asana.EventsApi(client).get_events("1201", {"sync": _token(cursor)})))
    completed = [e for e in read if e["action"] == "changed" and e["resource"]["resource_type"] == "task"]
    page = await pat_board.source.poll(PollRequest(cursor, request.since, request.overlap, wanted))
    assert [event["resource"]["gid"] for event in completed] == [event.subject for event in page.events]
    assert len(completed) == 10
    assert shape(completed[0]) == {
        "user": {"gid": "str", "resource_type": "str", "name": "str"},
        "created_at": "str",
        "type": "str",
        "action": "str",
        "resource": {"gid": "str", "resource_type": "str", "resource_subtype": "str", "name": "str"},
        "parent": "NoneType",
        "change": {"field": "str", "action": "str"},
    }


def _token(cursor: str) -> str:
    return str(jsonio.loads(cursor)["1201"]["sync"])
