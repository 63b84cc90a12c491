"""The task that an event tells of, read when the run starts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock_sdk import BoardTask, Event, EventVoid, NotFoundError, ObjectRef, TransientError, WebhookRequest, jsonio

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def told(board: Any, kind: str) -> list[Event]:
    """The events of a type that `/events` and webhooks would tell, oldest first."""
    page = [one.compact() for one in board.simulator.feed._log]
    events = board.source.parse(WebhookRequest("POST", "/", {}, jsonio.dumps({"events": page})))
    return [event for event in events if event.type == kind]


async def test_a_completed_task_comes_in_full(board: Any) -> None:
    field = {"name": "Hours", "type": "number", "precision": 1, "project": "1201"}
    await board.simulator.trigger("custom_field.create", field)
    await board.simulator.trigger("custom_field.create", {"name": "Seen", "type": "date", "project": "1201"})
    edit = {"notes": "Call first", "assignee": "me", "due_on": "2026-12-01"}
    custom = {"invoice_number": "INV-1", "Status": "Paid", "hours": Decimal("2.5"), "seen": date(2026, 11, 20)}
    task = await board.act("task.edit", **edit, custom=custom)
    await board.act("task.complete", task)
    [event] = told(board, "task.completed")
    record = (await board.source.hydrate(event))["task"]
    assert isinstance(record, BoardTask)
    assert (record.id, record.name, record.completed, record.completed_at) == (task, "Kick off", True, NOON)
    assert (record.notes, record.due_date, record.updated_at) == ("Call first", date(2026, 12, 1), NOON)
    assert (record.assignee_name, record.projects) == ("Sandbox Owner", ("1201",))
    assert record.assignee_id == board.simulator.account.users[0]["gid"]
    assert record.url == f"https://app.asana.com/1/1200/task/{task}"
    assert record.custom == {
        "invoice_number": "INV-1",
        "status": "Paid",
        "hours": Decimal("2.5"),
        "seen": "2026-11-20",
    }
    assert record.native["gid"] == task


async def test_an_empty_task_has_a_key_for_each_custom_field(pat_board: Any) -> None:
    options = {"name": "Tags", "type": "multi_enum", "options": ["a", "b"], "project": "1201"}
    await pat_board.simulator.trigger("custom_field.create", options)
    await pat_board.simulator.trigger("custom_field.create", {"name": "Owners", "type": "people", "project": "1201"})
    await pat_board.act("task.complete")
    [event] = told(pat_board, "task.completed")
    record = (await pat_board.source.hydrate(event))["task"]
    assert record.custom == {"invoice_number": None, "status": None, "tags": [], "owners": []}
    assert (record.notes, record.due_date, record.assignee_id, record.assignee_name) == (None, None, None, None)


async def test_several_options_and_people_are_read_as_they_are_written(pat_board: Any) -> None:
    options = {"name": "Tags", "type": "multi_enum", "options": ["a", "b"], "project": "1201"}
    await pat_board.simulator.trigger("custom_field.create", options)
    await pat_board.simulator.trigger("custom_field.create", {"name": "Owners", "type": "people", "project": "1201"})
    user = pat_board.simulator.account.users[0]["gid"]
    await pat_board.act("task.edit", custom={"tags": ["b", "a"], "owners": [user]})
    record = (await pat_board.source.hydrate(told(pat_board, "task.changed")[0]))["task"]
    assert sorted(record.custom["tags"]) == ["a", "b"]
    assert record.custom["owners"] == [user]


async def test_a_task_that_is_open_again_voids_the_completion(pat_board: Any) -> None:
    task = await pat_board.act("task.complete")
    pat_board.clock.forward(minutes=1)
    await pat_board.act("task.reopen", task)
    completed, reopened = told(pat_board, "task.completed")
    for event in (completed, reopened):
        with pytest.raises(EventVoid, match=f"task {task} is open again"):
            await pat_board.source.hydrate(event)


async def test_of_two_completions_only_the_last_holds(pat_board: Any) -> None:
    task = await pat_board.act("task.complete")
    for event in ("task.reopen", "task.complete"):
        pat_board.clock.forward(minutes=1)
        await pat_board.act(event, task)
    first, reopened, second = told(pat_board, "task.completed")
    for event in (first, reopened):
        with pytest.raises(EventVoid, match=r"completed once more at 2026-11-23T12:02:00\.000Z"):
            await pat_board.source.hydrate(event)
    assert (await pat_board.source.hydrate(second))["task"].completed


async def test_completing_what_is_complete_leaves_the_completion_as_it_was(pat_board: Any, key: str) -> None:
    task = await pat_board.act("task.complete")
    pat_board.clock.forward(hours=1)
    await pat_board.complete.apply(ObjectRef(id=task), key)
    [event] = told(pat_board, "task.completed")
    assert (await pat_board.source.hydrate(event))["task"].completed_at == NOON


async def test_a_completion_stamped_a_little_later_than_its_event_holds(pat_board: Any) -> None:
    task = await pat_board.act("task.complete")
    [event] = told(pat_board, "task.completed")
    pat_board.simulator.account.tasks[task]["completed_at"] = "2026-11-23T12:00:04.900Z"
    assert (await pat_board.source.hydrate(event))["task"].id == task


async def test_a_changed_task_names_the_field_that_changed(pat_board: Any) -> None:
    task = await pat_board.act("task.edit", name="Kick it off")
    record = (await pat_board.source.hydrate(told(pat_board, "task.changed")[0]))["task"]
    assert (record.id, record.name, record.native["change"]) == (task, "Kick it off", "name")


async def test_a_change_of_a_task_that_is_gone_is_void_and_its_completion_is_not(pat_board: Any) -> None:
    task = await pat_board.act("task.complete")
    await pat_board.act("task.delete", task)
    with pytest.raises(EventVoid, match=f"task {task} was changed and is gone"):
        await pat_board.source.hydrate(told(pat_board, "task.changed")[0])
    with pytest.raises(NotFoundError):
        await pat_board.source.hydrate(told(pat_board, "task.completed")[0])


async def test_a_deleted_task_is_its_id_and_is_not_read(pat_board: Any) -> None:
    task = await pat_board.act("task.delete")
    [event] = told(pat_board, "task.deleted")
    assert await pat_board.source.hydrate(event) == {"task": ObjectRef(id=task)}
    assert len(pat_board.simulator.requests) == 0


async def test_a_preview_of_an_open_task_claims_nothing(pat_board: Any) -> None:
    task = await pat_board.act("task.reopen")
    for kind in ("task.completed", "task.changed"):
        preview = Event(kind, "plan:1", task, {"task": {"id": task}})
        assert (await pat_board.source.hydrate(preview))["task"].completed is False
    with pytest.raises(NotFoundError):
        await pat_board.source.hydrate(Event("task.changed", "plan:1", "99", {"task": {"id": "99"}}))


@pytest.mark.parametrize("kind", ["garbage", "truncate"])
async def test_half_a_task_is_worth_another_try(pat_board: Any, kind: str) -> None:
    task = await pat_board.act("task.complete")
    pat_board.fault(kind, "GET", f"/tasks/{task}", times=None)
    with pytest.raises(TransientError):
        await pat_board.source.hydrate(told(pat_board, "task.completed")[0])


@pytest.mark.parametrize("wrong", [{"name": None}, {"completed": None}, {"due_on": "soon"}, {"modified_at": "now"}])
async def test_a_task_that_is_not_as_documented_is_worth_another_try(pat_board: Any, wrong: dict[str, Any]) -> None:
    task = await pat_board.act("task.complete")
    event = told(pat_board, "task.completed")[0]
    pat_board.simulator.account.tasks[task] |= wrong
    with pytest.raises(TransientError, match="the task is not as documented"):
        await pat_board.source.hydrate(event)
