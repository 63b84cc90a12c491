from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from crossdock_sdk import (
    AmbiguousError,
    NotFoundError,
    ObjectRef,
    Redo,
    RejectedError,
    Task,
    TaskUpdate,
    TransientError,
)
from crossdock_sdk.testing import perform


@pytest.fixture
async def task(board: Any) -> str:
    data = {"name": "Kick off Acme", "projects": ["1201"], "notes": "n", "due_on": "2026-12-01"}
    return str(board.simulator.account.create_task(data, None)["gid"])


def only(board: Any) -> dict[str, Any]:
    [task] = board.tasks
    return dict(task)


def test_changes_of_one_task_never_run_at_once(board: Any) -> None:
    assert board.update.serialize_by(TaskUpdate(id="7")) == board.complete.serialize_by(ObjectRef(id="7"))
    assert board.update.serialize_by(TaskUpdate(id="8")) != board.update.serialize_by(TaskUpdate(id="7"))
    assert board.update.redo is board.complete.redo is Redo.UPSERT
    assert board.complete.input_model() is ObjectRef
    assert board.update.input_model() is TaskUpdate


async def test_update_writes_what_is_named_and_nothing_else(board: Any, task: str, key: str) -> None:
    change = TaskUpdate(
        id=task,
        name="Acme",
        assignee="owner@example.com",
        due_date=date(2027, 1, 2),
        custom={"invoice_number": "1042", "status": "Paid"},
    )
    receipt = await perform(board.update, change, key)
    after = only(board)
    assert receipt.id == task
    assert receipt.url == after["permalink_url"]
    assert (after["name"], after["due_on"], after["notes"]) == ("Acme", "2027-01-02", "n")
    assert after["assignee"] == "owner@example.com"
    assert after["custom"] == {"invoice_number": "1042", "status": "Paid"}
    assert after["completed"] is False


async def test_undo_restores_every_field_and_twice_is_fine(board: Any, task: str, key: str) -> None:
    board.by_hand(task, custom_fields={board.simulator.account.projects["1201"]["fields"][0]: "old"})
    before = only(board)
    change = TaskUpdate(
        id=task,
        name="Acme",
        notes="new",
        assignee="me",
        due_date=date(2027, 1, 2),
        completed=True,
        custom={"invoice_number": "1042", "status": "Paid"},
    )
    receipt = await perform(board.update, change, key)
    assert only(board) != before
    await board.update.undo(receipt)
    assert only(board) == before
    await board.update.undo(receipt)
    assert only(board) == before


async def test_undo_gives_a_due_time_back(board: Any, task: str, key: str) -> None:
    board.by_hand(task, due_at="2026-12-01T09:30:00.000Z")
    receipt = await perform(board.update, TaskUpdate(id=task, due_date=date(2027, 1, 2)), key)
    await board.update.undo(receipt)
    assert board.simulator.account.tasks[task]["due_at"] == "2026-12-01T09:30:00.000Z"


async def test_undo_gives_a_due_day_back(board: Any, task: str, key: str) -> None:
    change = TaskUpdate(id=task, native={"due_at": "2026-12-01T09:30:00.000Z"})
    receipt = await perform(board.update, change, key)
    assert board.simulator.account.tasks[task]["due_at"] == "2026-12-01T09:30:00.000Z"
    for _ in range(2):
        await board.update.undo(receipt)
        now = board.simulator.account.tasks[task]
        assert (now["due_on"], now["due_at"]) == ("2026-12-01", None)


async def test_undo_leaves_what_a_person_changed_since_and_says_so(board: Any, task: str, key: str) -> None:
    receipt = await perform(board.update, TaskUpdate(id=task, name="Acme", notes="new"), key)
    board.by_hand(task, name="Acme GmbH")
    with pytest.raises(RejectedError, match="name was 'Kick off Acme', then ours 'Acme', now 'Acme GmbH'"):
        await board.update.undo(receipt)
    assert (only(board)["name"], only(board)["notes"]) == ("Acme GmbH", "n")


async def test_undo_names_a_custom_field_by_its_label(board: Any, task: str, key: str) -> None:
    receipt = await perform(board.update, TaskUpdate(id=task, custom={"invoice_number": "1042"}), key)
    board.by_hand(task, custom_fields={board.simulator.account.projects["1201"]["fields"][0]: "1043"})
    with pytest.raises(RejectedError, match="Invoice number was None, then ours '1042', now '1043'"):
        await board.update.undo(receipt)


async def test_undo_of_a_task_that_is_gone_is_done(board: Any, task: str, key: str) -> None:
    receipt = await perform(board.complete, ObjectRef(id=task), key)
    await board.simulator.trigger("task.delete", {"id": task})
    await board.complete.undo(receipt)


async def test_complete_and_undo(board: Any, task: str, key: str) -> None:
    receipt = await perform(board.complete, ObjectRef(id=task), key)
    assert only(board)["completed"] is True
    await board.complete.undo(receipt)
    assert only(board)["completed"] is False


async def test_undo_leaves_a_task_complete_that_was_complete_before(board: Any, task: str, key: str) -> None:
    await board.simulator.trigger("task.complete", {"id": task})
    receipt = await perform(board.complete, ObjectRef(id=task), key)
    await board.complete.undo(receipt)
    assert only(board)["completed"] is True
    board.by_hand(task, completed=False)
    await board.complete.undo(receipt)
    assert only(board)["completed"] is False


async def test_before_reads_exactly_what_is_written(board: Any, task: str, key: str) -> None:
    number, status = (f"custom_fields.{gid}" for gid in board.simulator.account.projects["1201"]["fields"])
    change = TaskUpdate(id=task, name="Acme", assignee="me", custom={"Invoice number": "1042", "status": "Paid"})
    before = await board.update.before(change)
    assert before == {"name": "Kick off Acme", "assignee": None, number: None, status: None}
    receipt = await board.update.apply(change, key)
    assert receipt.undo["written"].keys() == before.keys()


async def test_a_write_is_one_call_and_reads_no_values(board: Any, task: str, key: str) -> None:
    change = TaskUpdate(id=task, name="Acme", assignee="owner@example.com", due_date=date(2027, 1, 2))
    await board.update.apply(change, key)
    assert (board.calls("PUT", f"/tasks/{task}"), board.calls("GET", f"/tasks/{task}")) == (1, 0)


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage", "drop_before"])
async def test_after_a_lost_reply_undo_still_knows_what_stood_before(
    board: Any, task: str, key: str, kind: str
) -> None:
    before = only(board)
    change = TaskUpdate(id=task, name="Acme", notes="n", completed=True, custom={"status": "Paid"})
    board.fault(kind, "PUT", "/tasks/*")
    receipt = await perform(board.update, change, key, tries=2)
    assert board.simulator.faults[0].struck == 1
    assert (only(board)["name"], only(board)["custom"]["status"]) == ("Acme", "Paid")
    await board.update.undo(receipt)
    assert only(board) == before


async def test_a_lost_undo_is_done_again(board: Any, task: str, key: str) -> None:
    receipt = await perform(board.complete, ObjectRef(id=task), key)
    board.fault("drop_after", "PUT", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.complete.undo(receipt)
    await board.complete.undo(receipt)
    assert only(board)["completed"] is False


async def test_what_a_receipt_does_not_know_is_left_to_a_person(board: Any, task: str, key: str) -> None:
    receipt = await board.complete.apply(ObjectRef(id=task), key)
    with pytest.raises(RejectedError, match="completed is True, and what it was before our write is not known"):
        await board.complete.undo(receipt)
    assert only(board)["completed"] is True


async def test_native_clears_and_reaches_fields_by_gid(board: Any, task: str, key: str) -> None:
    status = board.simulator.account.projects["1201"]["fields"][1]
    paid = board.simulator.account.fields[status]["options"][1]["gid"]
    change = TaskUpdate(id=task, native={"due_on": None, "custom_fields": {status: paid}})
    receipt = await perform(board.update, change, key)
    assert only(board)["due_on"] is None
    assert only(board)["custom"]["status"] == "Paid"
    await board.update.undo(receipt)
    assert only(board)["due_on"] == "2026-12-01"
    assert only(board)["custom"]["status"] is None


async def test_an_update_of_nothing_is_refused(board: Any, task: str, key: str) -> None:
    with pytest.raises(RejectedError, match="nothing to change"):
        await perform(board.update, TaskUpdate(id=task), key)
    with pytest.raises(RejectedError, match="Crossdock's own key"):
        await perform(board.update, TaskUpdate(id=task, native={"external": {"gid": "x"}}), key)
    with pytest.raises(RejectedError, match="custom_fields needs"):
        await perform(board.update, TaskUpdate(id=task, native={"custom_fields": None}), key)


async def test_a_task_that_does_not_exist_is_named(board: Any, key: str) -> None:
    with pytest.raises(NotFoundError, match="task: Unknown object: 404404"):
        await perform(board.update, TaskUpdate(id="404404", name="x"), key)


async def test_an_unknown_assignee_is_refused_by_name(board: Any, task: str, key: str) -> None:
    with pytest.raises(RejectedError, match=r"assignee: .* nobody@example\.com"):
        await perform(board.update, TaskUpdate(id=task, assignee="nobody@example.com"), key)


async def test_a_look_that_is_refused_says_nothing_of_our_write(board: Any, task: str, key: str) -> None:
    board.fault("status", "GET", f"/tasks/{task}", status=400, body={"errors": [{"message": "no"}]})
    with pytest.raises(TransientError, match="cannot be told"):
        await board.update.recover(TaskUpdate(id=task, name="x"), key)
    with pytest.raises(TransientError, match=r"nobody@example\.com"):
        await board.update.recover(TaskUpdate(id=task, assignee="nobody@example.com"), key)
    assert await board.update.recover(TaskUpdate(id="404404", name="x"), key) is None


async def test_an_id_cannot_reach_another_path(board: Any, key: str) -> None:
    with pytest.raises(RejectedError):
        await perform(board.update, TaskUpdate(id="../projects/1201", name="x"), key)
    assert board.calls("GET", "/projects/1201") == 0


async def test_status_follows_on_the_task_that_create_made(board: Any, key: str) -> None:
    made = await board.create.apply(Task(name="Kick off", project="1201"), key)
    await perform(board.update, TaskUpdate(id=made.id, completed=True, custom={"status": "Paid"}), key)
    assert only(board)["completed"] is True
    assert only(board)["custom"]["status"] == "Paid"
