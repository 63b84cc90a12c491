from __future__ import annotations

from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.sink import NoteCreate
from crossdock_sdk import AmbiguousError, Note, RejectedError, TransientError
from crossdock_sdk.testing import Fault
from crossdock_sdk.testing.simulator import json_response

KEY = "5f0c1d9e-1111-4222-8333-944455566677"
NOTE = Note(content="<b>Invoice INV-7</b> was sent", deal_id="1")


@pytest.fixture
def action(connection: PipedriveConnection) -> NoteCreate:
    return NoteCreate(connection)


def notes(simulator: PipedriveSimulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = simulator.state()["notes"]
    return found


async def test_a_note_is_added_to_its_deal(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    receipt = await action.apply(NOTE, KEY)
    [note] = notes(simulator)
    assert note["content"].startswith("<b>Invoice INV-7</b> was sent")
    assert (note["deal_id"], note["person_id"], note["org_id"]) == (1, None, None)
    assert (receipt.id, receipt.created) == (str(note["id"]), True)
    assert receipt.url == f"{action.connection.config.base_url}/deal/1"
    assert [one.key for one in simulator.standing()["note.create"]] == [KEY]


@pytest.mark.parametrize(
    ("place", "column", "page"),
    [({"person_id": "1"}, "person_id", "person"), ({"organization_id": "1"}, "org_id", "organization")],
)
async def test_a_note_is_added_to_a_person_or_an_organization(
    simulator: PipedriveSimulator, action: NoteCreate, place: dict[str, str], column: str, page: str
) -> None:
    note = Note(content="Hello", **place)
    receipt = await action.apply(note, KEY)
    assert notes(simulator)[0][column] == 1
    assert receipt.url is not None
    assert receipt.url.endswith(f"/{page}/1")
    assert await action.recover(note, KEY) == receipt


async def test_native_keys_go_along(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    await action.apply(NOTE.model_copy(update={"native": {"pinned_to_deal_flag": 1}}), KEY)
    assert '"pinned_to_deal_flag":1' in next(e["body"] for e in simulator.requests if e["method"] == "POST")


async def test_custom_fields_of_a_note_are_refused(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    with pytest.raises(RejectedError, match="no custom fields"):
        await action.apply(Note(content="x", deal_id="1", custom={"a": 1}), KEY)
    assert notes(simulator) == []


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage"])
async def test_a_lost_reply_is_found_again(simulator: PipedriveSimulator, action: NoteCreate, kind: Any) -> None:
    simulator.faults.append(Fault(kind=kind, method="POST", path="/api/v1/notes"))
    with pytest.raises(AmbiguousError):
        await action.apply(NOTE, KEY)
    receipt = await action.recover(NOTE, KEY)
    assert receipt is not None
    assert receipt.id == str(notes(simulator)[0]["id"])


async def test_a_note_that_was_never_made_is_not_found(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    simulator.faults.append(Fault(kind="drop_before", method="POST"))
    with pytest.raises(AmbiguousError):
        await action.apply(NOTE, KEY)
    assert await action.recover(NOTE, KEY) is None
    await action.apply(NOTE, "0e0e0e0e-1111-4222-8333-944455566677")
    assert await action.recover(NOTE, KEY) is None


async def test_a_note_is_found_behind_hundreds_of_newer_ones(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    receipt = await action.apply(NOTE, KEY)
    for number in range(2, 252):
        simulator.world.notes[number] = simulator.world.notes[1] | {"id": number, "content": "newer"}
    simulator.requests.clear()
    assert await action.recover(NOTE, KEY) == receipt
    assert len(simulator.requests) == 3


async def test_the_key_is_in_text_that_sanitizing_leaves(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    note = Note(content="Fine<!-- gone --><script>alert(1)</script>", deal_id="1")
    await action.apply(note, KEY)
    assert "gone" not in notes(simulator)[0]["content"]
    assert KEY in notes(simulator)[0]["content"]


async def test_undo_deletes_the_note_twice_over(simulator: PipedriveSimulator, action: NoteCreate) -> None:
    receipt = await action.apply(NOTE, KEY)
    await action.undo(receipt)
    assert notes(simulator) == []
    await action.undo(receipt)


async def test_an_owner_that_is_no_id_is_refused(action: NoteCreate) -> None:
    with pytest.raises(RejectedError, match="not a Pipedrive id"):
        await action.apply(Note(content="x", deal_id="1; drop"), KEY)


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {"id": 1}},
        {"success": True, "data": [{"content": "x"}]},
        {"success": True, "data": [], "additional_data": {"pagination": {"more_items_in_collection": True}}},
        {
            "success": True,
            "data": [],
            "additional_data": {"pagination": {"more_items_in_collection": True, "next_start": 0}},
        },
        ["x"],
    ],
)
async def test_a_list_that_is_not_as_documented_is_never_taken_for_empty(fake: Any, body: Any) -> None:
    _, connection = await fake({"GET /api/v1/notes": body})
    with pytest.raises(TransientError):
        await NoteCreate(connection).recover(NOTE, KEY)


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_list_that_is_refused_is_never_taken_for_empty(fake: Any, status: int) -> None:
    refusal = {"success": False, "error": "Deal not found", "error_info": "", "data": None}
    _, connection = await fake({"GET /api/v1/notes": json_response(refusal, status)})
    with pytest.raises(TransientError, match="our note was added cannot be told"):
        await NoteCreate(connection).recover(NOTE, KEY)


async def test_a_created_note_without_id_is_ambiguous(fake: Any) -> None:
    _, connection = await fake({"POST /api/v1/notes": json_response({"success": True, "data": {}}, 201)})
    with pytest.raises(AmbiguousError):
        await NoteCreate(connection).apply(NOTE, KEY)
