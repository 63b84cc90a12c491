from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from crossdock_asana.simulator import CLIENT_ID
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConfigError,
    Receipt,
    Redo,
    RejectedError,
    Task,
    TransientError,
)

TASK = Task(name="Kick off Acme", project="1201", notes="Invoice 1042")


def test_create_says_how_it_can_be_asked_again(board: Any) -> None:
    assert board.create.redo is Redo.LOOKUP
    assert board.create.object == "task"
    assert board.create.input_model() is Task


async def test_create_makes_one_task_with_all_that_was_asked(board: Any, key: str) -> None:
    section = board.simulator.account.projects["1201"]["sections"][1]["gid"]
    task = Task(
        name="Kick off Acme",
        project="1201",
        section=section,
        notes="Invoice 1042",
        assignee="owner@example.com",
        due_date=date(2026, 12, 1),
        completed=True,
        custom={"invoice_number": "1042", "Status": "invoiced"},
    )
    receipt = await board.create.apply(task, key)

    [made] = board.tasks
    assert receipt.id == made["gid"]
    assert receipt.created
    assert receipt.name == "Kick off Acme"
    assert receipt.url == made["permalink_url"]
    assert made["sections"] == ["Done"]
    assert made["assignee"] == "owner@example.com"
    assert made["due_on"] == "2026-12-01"
    assert made["completed"] is True
    assert made["custom"] == {"invoice_number": "1042", "status": "Invoiced"}
    assert made["notes"].startswith("Invoice 1042")
    assert [one.key for one in board.simulator.standing()["task.create"]] == [key]


async def test_with_an_access_token_the_key_is_the_last_line_of_the_notes(pat_board: Any, key: str) -> None:
    await pat_board.create.apply(TASK, key)
    await pat_board.create.apply(Task(name="No notes", project="1201"), key)
    assert pat_board.tasks[0]["notes"] == f"Invoice 1042\n\ncrossdock:{key}"
    assert pat_board.tasks[1]["notes"] == f"crossdock:{key}"
    assert [one.key for one in pat_board.simulator.standing()["task.create"]] == [key, key]
    assert pat_board.tasks[0]["external"] is None


async def test_with_oauth_the_key_is_the_external_gid_and_the_notes_stay_clean(oauth_board: Any, key: str) -> None:
    await oauth_board.create.apply(TASK.model_copy(update={"native": {"external": {"data": "deal 812"}}}), key)
    assert oauth_board.tasks[0]["external"] == {"gid": key, "data": "deal 812"}
    assert oauth_board.tasks[0]["notes"] == "Invoice 1042"
    assert CLIENT_ID in next(iter(oauth_board.simulator.account.tasks.values()))["external"]


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage"])
async def test_a_task_whose_reply_was_lost_is_found_and_not_made_again(board: Any, key: str, kind: str) -> None:
    board.fault(kind, "POST", "/tasks")
    with pytest.raises(AmbiguousError):
        await board.create.apply(TASK, key)
    receipt = await board.create.recover(TASK, key)
    assert receipt is not None
    assert [t["gid"] for t in board.tasks] == [receipt.id]
    assert receipt.name == "Kick off Acme"
    assert receipt.url == board.tasks[0]["permalink_url"]
    assert board.calls("POST", "/tasks") == 1


async def test_a_task_that_was_never_made_is_not_found(board: Any, key: str) -> None:
    board.fault("drop_before", "POST", "/tasks")
    with pytest.raises(AmbiguousError):
        await board.create.apply(TASK, key)
    await board.create.apply(TASK, key.replace("0", "1"))
    assert await board.create.recover(TASK, key) is None


async def test_the_search_reads_every_page_and_tasks_older_than_a_day(pat_board: Any, key: str) -> None:
    for number in range(130):
        data = {"name": f"Old {number}", "projects": ["1201"], "notes": "crossdock:"}
        pat_board.simulator.account.create_task(data, None)
    made = await pat_board.create.apply(TASK, key)
    assert (await pat_board.create.recover(TASK, key)).id == made.id
    pat_board.clock.forward(days=3)
    assert (await pat_board.create.recover(TASK, key)).id == made.id


async def test_a_search_that_breaks_off_never_says_not_found(pat_board: Any, key: str) -> None:
    await pat_board.create.apply(TASK, key)
    pat_board.fault("status", "GET", "/tasks", status=500, times=None)
    with pytest.raises(TransientError):
        await pat_board.create.recover(TASK, key)


async def test_a_search_that_is_refused_never_says_not_found(pat_board: Any, key: str) -> None:
    await pat_board.create.apply(TASK, key)
    for status in (400, 404):
        pat_board.fault("status", "GET", "/tasks", status=status, body={"errors": [{"message": "project: no"}]})
        with pytest.raises(TransientError, match="'Kick off Acme' was made cannot be told"):
            await pat_board.create.recover(TASK, key)


async def test_a_look_by_our_own_id_that_is_refused_never_says_not_found(oauth_board: Any, key: str) -> None:
    await oauth_board.create.apply(TASK, key)
    oauth_board.fault("status", "GET", "/tasks/external:*", status=400, body={"errors": [{"message": "no"}]})
    with pytest.raises(TransientError):
        await oauth_board.create.recover(TASK, key)


async def test_a_project_with_more_tasks_than_can_be_searched_is_left_to_a_person(
    pat_board: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock_asana.marker._MOST_PAGES", 1)
    await pat_board.create.apply(TASK, key.replace("0", "1"))
    with pytest.raises(TransientError, match="look for it in Asana by hand"):
        await pat_board.create.recover(TASK, key)


async def test_without_a_project_the_assignee_and_workspace_say_where_to_search(pat_board: Any, key: str) -> None:
    task = Task(name="Call Acme", assignee="owner@example.com", native={"workspace": "1200"})
    made = await pat_board.create.apply(task, key)
    assert (await pat_board.create.recover(task, key)).id == made.id


@pytest.mark.parametrize("native", [{}, {"workspace": "1200"}])
async def test_a_task_that_could_not_be_found_again_is_refused_before_it_is_made(
    pat_board: Any, key: str, native: dict[str, str]
) -> None:
    with pytest.raises(RejectedError, match="give `project`"):
        await pat_board.create.apply(Task(name="Lost", native=native), key)
    assert pat_board.calls("POST", "/tasks") == 0


async def test_a_subtask_is_refused_with_an_access_token_only(board: Any, key: str) -> None:
    parent = board.simulator.account.create_task({"name": "p", "projects": ["1201"]}, None)["gid"]
    task = TASK.model_copy(update={"native": {"parent": parent}})
    if board.connection.sets_external:
        made = await board.create.apply(task, key)
        assert (await board.create.recover(task, key)).id == made.id
    else:
        with pytest.raises(RejectedError, match="subtask"):
            await board.create.apply(task, key)
        assert len(board.tasks) == 1


async def test_oauth_finds_a_task_without_any_project(oauth_board: Any, key: str) -> None:
    task = Task(name="Call Acme", native={"workspace": "1200"})
    made = await oauth_board.create.apply(task, key)
    assert (await oauth_board.create.recover(task, key)).id == made.id


async def test_native_is_merged_last_and_cannot_take_the_key_away(pat_board: Any, key: str) -> None:
    native = {"notes": "mine", "due_on": "2027-01-02"}
    await pat_board.create.apply(TASK.model_copy(update={"native": native}), key)
    assert pat_board.tasks[0]["notes"] == f"mine\n\ncrossdock:{key}"
    assert pat_board.tasks[0]["due_on"] == "2027-01-02"


async def test_rich_notes_carry_the_key_too(pat_board: Any, key: str) -> None:
    task = Task(name="Rich", project="1201", native={"html_notes": "<body><b>Acme</b> &amp; Co</body>"})
    made = await pat_board.create.apply(task, key)
    assert pat_board.tasks[0]["notes"] == f"Acme & Co\n\ncrossdock:{key}"
    assert (await pat_board.create.recover(task, key)).id == made.id


async def test_rich_and_plain_notes_together_are_refused(pat_board: Any, key: str) -> None:
    task = TASK.model_copy(update={"native": {"html_notes": "<body>x</body>"}})
    with pytest.raises(RejectedError, match="must stand alone"):
        await pat_board.create.apply(task, key)


async def test_a_foreign_external_gid_is_refused(oauth_board: Any, key: str) -> None:
    with pytest.raises(RejectedError, match="Crossdock's own key"):
        await oauth_board.create.apply(TASK.model_copy(update={"native": {"external": {"gid": "x"}}}), key)


async def test_undo_moves_the_task_to_the_trash_and_twice_is_fine(board: Any, key: str) -> None:
    receipt = await board.create.apply(TASK, key)
    await board.create.undo(receipt)
    await board.create.undo(receipt)
    assert board.tasks == []
    assert [t["gid"] for t in board.simulator.state()["trash"]] == [receipt.id]
    assert await board.create.recover(TASK, key) is None


async def test_undo_whose_reply_was_lost_can_be_repeated(board: Any, key: str) -> None:
    receipt = await board.create.apply(TASK, key)
    board.fault("drop_after", "DELETE", "/tasks/*")
    with pytest.raises(AmbiguousError):
        await board.create.undo(receipt)
    await board.create.undo(receipt)
    assert board.tasks == []


async def test_undo_leaves_alone_what_was_not_created(board: Any, key: str) -> None:
    receipt = await board.create.apply(TASK, key)
    await board.create.undo(Receipt(id=receipt.id, created=False))
    assert len(board.tasks) == 1


async def test_an_unknown_custom_field_is_refused_with_the_nearest_name(board: Any, key: str) -> None:
    with pytest.raises(RejectedError, match="did you mean invoice_number") as caught:
        await board.create.apply(TASK.model_copy(update={"custom": {"invoice_no": "1042"}}), key)
    assert caught.value.field == "custom.invoice_no"
    assert board.tasks == []


async def test_a_custom_field_that_is_not_on_the_project_is_unknown(board: Any, key: str) -> None:
    await board.simulator.trigger("custom_field.create", {"name": "Budget", "type": "number"})
    with pytest.raises(RejectedError, match="no custom field 'budget'"):
        await board.create.apply(TASK.model_copy(update={"custom": {"budget": Decimal(1)}}), key)


async def test_a_custom_field_without_a_value_is_left_out(board: Any, key: str) -> None:
    await board.create.apply(TASK.model_copy(update={"custom": {"invoice_number": None}}), key)
    assert board.calls("GET", "/projects/1201/custom_field_settings") == 0


async def test_custom_fields_need_a_project(oauth_board: Any, key: str) -> None:
    task = Task(name="x", native={"workspace": "1200"}, custom={"status": "Paid"})
    with pytest.raises(RejectedError, match="belong to a project"):
        await oauth_board.create.apply(task, key)


async def test_a_section_needs_its_project(board: Any, key: str) -> None:
    with pytest.raises(RejectedError, match="section belongs to a project"):
        await board.create.apply(Task(name="x", section="1"), key)


async def test_numbers_arrive_exactly(board: Any, key: str) -> None:
    field = {"name": "Total", "type": "number", "precision": 2, "project": "1201"}
    await board.simulator.trigger("custom_field.create", field)
    await board.create.apply(TASK.model_copy(update={"custom": {"total": Decimal("30.30")}}), key)
    assert board.tasks[0]["custom"]["total"] == "30.30"
    assert "30.30" in board.simulator.requests[-1]["body"]


async def test_asanas_own_words_and_field_reach_the_error(board: Any, key: str) -> None:
    with pytest.raises(RejectedError, match=r"projects: \[0\]: Unknown object: 99") as caught:
        await board.create.apply(Task(name="x", project="99"), key)
    assert caught.value.field == "projects[0]"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("status", "error"), [(402, ConfigError), (403, ConfigError), (451, RejectedError), (412, RejectedError)]
)
async def test_statuses_become_our_errors(board: Any, key: str, status: int, error: type[Exception]) -> None:
    body = {"errors": [{"message": "Not for you.", "help": "ask"}]}
    board.fault("status", "POST", "/tasks", status=status, body=body)
    with pytest.raises(error, match=r"Not for you\."):
        await board.create.apply(TASK, key)


async def test_a_rate_limit_is_transient_and_says_when(open_board: Any, key: str) -> None:
    async with open_board(requests_per_minute=1) as board:
        await board.create.apply(TASK, key)
        board.clock.forward(seconds=20)
        with pytest.raises(TransientError) as caught:
            await board.create.apply(TASK, key)
        assert caught.value.retry_after == 60
        assert len(board.tasks) == 1
        board.clock.forward(seconds=60)
        await board.create.apply(TASK, key)


async def test_a_server_error_on_a_write_is_ambiguous(board: Any, key: str) -> None:
    board.fault("status", "POST", "/tasks", status=500, body={"errors": [{"message": "Server Error"}]})
    with pytest.raises(AmbiguousError):
        await board.create.apply(TASK, key)


async def test_a_refused_token_is_an_auth_error_that_does_not_show_it(pat_board: Any, key: str) -> None:
    pat_board.fault("status", "POST", "/tasks", status=401, body={"errors": [{"message": "Not Authorized"}]})
    with pytest.raises(AuthError) as caught:
        await pat_board.create.apply(TASK, key)
    assert pat_board.config.access_token.get_secret_value() not in str(caught.value)


async def test_an_expired_oauth_token_is_renewed_once_and_the_task_made_once(oauth_board: Any, key: str) -> None:
    await oauth_board.create.apply(TASK, key)
    await oauth_board.simulator.trigger("token.expire", {})
    await oauth_board.create.apply(TASK, key.replace("0", "1"))
    assert len(oauth_board.tasks) == 2
    renewals = [r for r in oauth_board.simulator.requests if r["path"] == "/-/oauth_token"]
    assert len(renewals) == 2
