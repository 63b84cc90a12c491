from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from crossdock_asana.sink import TaskComplete, TaskUpdateAction
from crossdock_sdk import (
    AmbiguousError,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
    Task,
    TaskUpdate,
    TransientError,
    jsonio,
)


@pytest.fixture
async def task(board: Any) -> str:
    data = {"name": "Kick off Acme", "projects": ["1201"], "notes": "n", "due_on": "2026-12-01"}
    return str(board.simulator.account.create_task(data, None)["gid"])


def only(board: Any) -> dict[str, Any]:
    [task] = board.tasks
    return dict(task)


def restarted(board: Any, action: type[Any]) -> Any:
    """The action as a new process has it: the same connection, no memory."""
    return action(board.connection)


def stored(receipt: Receipt) -> Receipt:
    """The receipt as the journal gives it back."""
    return Receipt.model_validate(jsonio.loads(jsonio.dumps(receipt)))


def test_changes_of_one_task_never_run_at_once(board: Any) -> None:
    assert board.update.serialize_by(TaskUpdate(id="7")) == board.complete.serialize_by(ObjectRef(id="7"))
    assert board.update.serialize_by(TaskUpdate(id="8")) != board.update.serialize_by(TaskUpdate(id="7"))
    assert board.update.redo is board.complete.redo is Redo.LOOKUP
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
    receipt = await board.update.apply(change, key)
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
    receipt = stored(await board.update.apply(change, key))
    assert only(board) != before
    await board.update.undo(receipt)
    assert only(board) == before
    await board.update.undo(receipt)
    assert only(board) == before


async def test_undo_gives_a_due_time_back(board: Any, task: str, key: str) -> None:
    board.by_hand(task, due_at="2026-12-01T09:30:00.000Z")
    receipt = stored(await board.update.apply(TaskUpdate(id=task, due_date=date(2027, 1, 2)), key))
    await board.update.undo(receipt)
    assert board.simulator.account.tasks[task]["due_at"] == "2026-12-01T09:30:00.000Z"


async def test_undo_leaves_what_a_person_changed_since_and_says_so(board: Any, task: str, key: str) -> None:
    receipt = stored(await board.update.apply(TaskUpdate(id=task, name="Acme", notes="new"), key))
    board.by_hand(task, name="Acme GmbH")
    with pytest.raises(RejectedError, match="name was 'Kick off Acme', then ours 'Acme', now 'Acme GmbH'"):
        await board.update.undo(receipt)
    assert (only(board)["name"], only(board)["notes"]) == ("Acme GmbH", "n")


async def test_undo_names_a_custom_field_by_its_label(board: Any, task: str, key: str) -> None:
    receipt = await board.update.apply(TaskUpdate(id=task, custom={"invoice_number": "1042"}), key)
    board.by_hand(task, custom_fields={board.simulator.account.projects["1201"]["fields"][0]: "1043"})
    with pytest.raises(RejectedError, match="Invoice number was None, then ours '1042', now '1043'"):
        await board.update.undo(receipt)


async def test_undo_of_a_task_that_is_gone_is_done(board: Any, task: str, key: str) -> None:
    receipt = await board.complete.apply(ObjectRef(id=task), key)
    await board.simulator.trigger("task.deleted", {"id": task})
    await board.complete.undo(receipt)


async def test_complete_and_undo(board: Any, task: str, key: str) -> None:
    receipt = await board.complete.apply(ObjectRef(id=task), key)
    assert only(board)["completed"] is True
    await board.complete.undo(receipt)
    assert only(board)["completed"] is False


async def test_undo_leaves_a_task_complete_that_was_complete_before(board: Any, task: str, key: str) -> None:
    await board.simulator.trigger("task.completed", {"id": task})
    receipt = await board.complete.apply(ObjectRef(id=task), key)
    await board.complete.undo(receipt)
    assert only(board)["completed"] is True


async def test_a_lost_reply_is_found_again_with_the_values_before_it(board: Any, task: str, key: str) -> None:
    change = TaskUpdate(id=task, name="Acme", completed=True)
    board.fault("drop_after", "PUT", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.update.apply(change, key)
    receipt = await board.update.recover(change, key)
    assert receipt is not None
    assert board.calls("PUT", f"/tasks/{task}") == 1
    await board.update.undo(stored(receipt))
    assert (only(board)["name"], only(board)["completed"]) == ("Kick off Acme", False)


async def test_a_write_that_never_arrived_is_made_again_with_a_true_before(board: Any, task: str, key: str) -> None:
    change = TaskUpdate(id=task, name="Acme", notes="n")
    board.fault("drop_before", "PUT", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.update.apply(change, key)
    assert await board.update.recover(change, key) is None
    receipt = await board.update.apply(change, key)
    await board.update.undo(stored(receipt))
    assert (only(board)["name"], only(board)["notes"]) == ("Kick off Acme", "n")


async def test_a_try_that_failed_before_the_write_leaves_nothing_in_doubt(board: Any, task: str, key: str) -> None:
    await board.simulator.trigger("task.completed", {"id": task})
    board.fault("status", "GET", "/tasks/*", status=429, headers={"Retry-After": "1"})
    with pytest.raises(TransientError):
        await board.complete.apply(ObjectRef(id=task), key)
    board.clock.forward(seconds=2)
    receipt = await board.complete.recover(ObjectRef(id=task), key)
    await board.complete.undo(stored(receipt))
    assert only(board)["completed"] is True


async def test_values_before_the_write_that_a_crash_has_taken_are_not_made_up(board: Any, task: str, key: str) -> None:
    board.fault("drop_after", "PUT", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.complete.apply(ObjectRef(id=task), key)
    complete = restarted(board, TaskComplete)
    receipt = await complete.recover(ObjectRef(id=task), key)
    assert receipt is not None
    with pytest.raises(RejectedError, match="the earlier value of completed was lost in a crash"):
        await complete.undo(stored(receipt))
    assert only(board)["completed"] is True


async def test_after_a_crash_a_field_that_already_matched_stays_in_doubt(board: Any, task: str, key: str) -> None:
    """Both fields were written, then a person changed the name: only the old notes are lost."""
    change = TaskUpdate(id=task, name="Acme", notes="new")
    board.fault("drop_after", "PUT", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.update.apply(change, key)
    board.by_hand(task, name="Acme GmbH")
    update = restarted(board, TaskUpdateAction)
    assert await update.recover(change, key) is None
    receipt = stored(await update.apply(change, key))
    with pytest.raises(RejectedError, match="the earlier value of notes was lost"):
        await update.undo(receipt)
    assert only(board)["name"] == "Acme GmbH"


async def test_the_memory_of_values_before_is_bounded(board: Any, task: str) -> None:
    for number in range(1100):
        board.update._remember(f"key {number}", {})
    assert len(board.update._earlier) == 1000
    assert "key 1099" in board.update._earlier


async def test_native_clears_and_reaches_fields_by_gid(board: Any, task: str, key: str) -> None:
    status = board.simulator.account.projects["1201"]["fields"][1]
    paid = board.simulator.account.fields[status]["options"][1]["gid"]
    change = TaskUpdate(id=task, native={"due_on": None, "custom_fields": {status: paid}})
    receipt = stored(await board.update.apply(change, key))
    assert only(board)["due_on"] is None
    assert only(board)["custom"]["status"] == "Paid"
    await board.update.undo(receipt)
    assert only(board)["due_on"] == "2026-12-01"
    assert only(board)["custom"]["status"] is None


async def test_an_update_of_nothing_is_refused(board: Any, task: str, key: str) -> None:
    with pytest.raises(RejectedError, match="nothing to change"):
        await board.update.apply(TaskUpdate(id=task), key)
    with pytest.raises(RejectedError, match="Crossdock's own key"):
        await board.update.apply(TaskUpdate(id=task, native={"external": {"gid": "x"}}), key)


async def test_a_task_that_does_not_exist_is_named(board: Any, key: str) -> None:
    with pytest.raises(NotFoundError, match="task: Unknown object: 404404"):
        await board.update.apply(TaskUpdate(id="404404", name="x"), key)


async def test_an_unknown_assignee_is_refused_by_name(board: Any, task: str, key: str) -> None:
    with pytest.raises(RejectedError, match=r"assignee nobody@example\.com") as caught:
        await board.update.apply(TaskUpdate(id=task, assignee="nobody@example.com"), key)
    assert caught.value.field == "assignee"


async def test_an_id_cannot_reach_another_path(board: Any, key: str) -> None:
    with pytest.raises(RejectedError):
        await board.update.apply(TaskUpdate(id="../projects/1201", name="x"), key)
    assert board.calls("GET", "/projects/1201") == 0


async def test_status_follows_on_the_task_that_create_made(board: Any, key: str) -> None:
    made = await board.create.apply(Task(name="Kick off", project="1201"), key)
    await board.update.apply(TaskUpdate(id=made.id, completed=True, custom={"status": "Paid"}), key)
    assert only(board)["completed"] is True
    assert only(board)["custom"]["status"] == "Paid"
