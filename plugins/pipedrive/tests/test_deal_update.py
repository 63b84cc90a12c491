from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.sink import DealUpdateAction
from crossdock_sdk import (
    AmbiguousError,
    DealUpdate,
    DiscrepancyError,
    NotFoundError,
    Receipt,
    Redo,
    RejectedError,
    TransientError,
    jsonio,
)
from crossdock_sdk.testing import Fault, perform

KEY = "5f0c1d9e-1111-4222-8333-944455566677"
PATCH = "/api/v2/deals/1"


@pytest.fixture
def action(connection: PipedriveConnection) -> DealUpdateAction:
    return DealUpdateAction(connection)


def update(**fields: Any) -> DealUpdate:
    return DealUpdate(id="1", **fields)


def custom(simulator: PipedriveSimulator) -> dict[str, Any]:
    found: dict[str, Any] = simulator.state()["deals"][0]["custom"]
    return found


def patches(simulator: PipedriveSimulator) -> list[dict[str, Any]]:
    return [jsonio.loads(entry["body"]) for entry in simulator.requests if entry["method"] == "PATCH"]


async def test_fields_are_written_by_readable_name_label_or_code(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    code = next(row["field_code"] for row in simulator.world.fields["deal"] if row["field_name"] == "Lead score")
    names = {"invoice_number": "INV-7", "Invoice status": "sent", code: Decimal("80.5")}
    receipt = await perform(action, update(custom=names), KEY)
    assert custom(simulator)["invoice_number"] == "INV-7"
    assert custom(simulator)["invoice_status"] == "sent"
    assert custom(simulator)["lead_score"] == Decimal("80.5")
    assert (receipt.id, receipt.created, receipt.url) == ("1", True, f"{action.connection.config.base_url}/deal/1")


async def test_title_status_and_native_keys_are_written_at_top_level(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    await perform(action, update(title="Renamed", status="won", native={"probability": 90, "label_ids": [2, 1]}), KEY)
    assert patches(simulator) == [{"title": "Renamed", "status": "won", "probability": 90, "label_ids": [2, 1]}]
    assert simulator.state()["deals"][0]["status"] == "won"


async def test_labels_of_options_are_written_as_ids(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    await simulator.trigger("field.create", {"name": "Modules", "type": "set", "options": ["Base", "Pro", "API"]})
    await perform(action, update(custom={"industry": "SERVICES", "modules": ["api", "Base"]}), KEY)
    assert custom(simulator)["industry"] == "Services"
    assert custom(simulator)["modules"] == ["API", "Base"]
    [industry, modules] = patches(simulator)[0]["custom_fields"].values()
    assert [type(option) for option in (industry, *modules)] == [int, int, int]


async def test_money_given_as_a_number_is_in_the_deals_currency(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    await simulator.trigger("field.create", {"name": "Invoiced", "type": "monetary"})
    await perform(action, update(custom={"invoiced": Decimal("1199.90")}), KEY)
    assert custom(simulator)["invoiced"] == {"value": Decimal("1199.9"), "currency": "EUR"}


async def test_undo_leaves_a_field_alone_that_held_the_value_before(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    await simulator.trigger("deal.updated", {"id": "1", "custom": {"Invoice status": "sent"}})
    receipt = await perform(action, update(custom={"invoice_status": "sent"}), KEY)
    await action.undo(receipt)
    await simulator.trigger("deal.updated", {"id": "1", "custom": {"Invoice status": "paid"}})
    await action.undo(receipt)
    assert custom(simulator)["invoice_status"] == "paid"
    assert len(patches(simulator)) == 1


async def test_before_reads_exactly_what_is_written(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    written = update(title="Renamed", custom={"Lead score": 80, "industry": "Services"}, native={"probability": 90})
    before = await action.before(written)
    await action.apply(written, KEY)
    [body] = patches(simulator)
    assert before.keys() == {"title", "probability", *body["custom_fields"]}
    assert list(before.values()) == ["Fernhill rollout", None, 72, 32]


async def test_a_write_is_one_call_and_reads_nothing_of_the_deal(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    written = update(title="Renamed", custom={"invoice_number": "INV-7"})
    await action.before(written)
    simulator.requests.clear()
    await action.apply(written, KEY)
    assert [(entry["method"], entry["path"]) for entry in simulator.requests] == [("PATCH", PATCH)]


async def test_the_value_of_the_deal_is_never_sent(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    for key in ("value", "custom_fields", "id"):
        with pytest.raises(RejectedError) as caught:
            await perform(action, update(native={key: 1}), KEY)
        assert caught.value.field == f"native.{key}"
    assert patches(simulator) == []


async def test_an_unknown_field_is_refused_with_the_nearest_name(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    with pytest.raises(RejectedError, match="did you mean invoice_number") as caught:
        await perform(action, update(custom={"invoice_numbr": "INV-7"}), KEY)
    assert caught.value.field == "custom.invoice_numbr"
    with pytest.raises(RejectedError, match="there are discount, industry, invoice_number"):
        await perform(action, update(custom={"zzzz": "INV-7"}), KEY)
    assert patches(simulator) == []


async def test_an_unknown_option_is_refused_with_the_nearest_label(action: DealUpdateAction) -> None:
    with pytest.raises(RejectedError, match="did you mean 'Manufacturing'") as caught:
        await perform(action, update(custom={"industry": "manufactoring"}), KEY)
    assert caught.value.field == "industry"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "nothing to write"),
        ({"status": "deleted"}, "no deal status"),
        ({"title": "A", "native": {"title": "B"}}, "one field"),
        ({"custom": {"Invoice number": "A", "invoice_number": "B"}}, "one field"),
        ({"custom": {"discount": "much"}}, "is not a number"),
        ({"custom": {"discount": True}}, "exact number"),
        ({"custom": {"invoice_number": ["A"]}}, "needs text"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_anything_is(
    simulator: PipedriveSimulator, action: DealUpdateAction, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(RejectedError, match=message):
        await perform(action, update(**fields), KEY)
    assert patches(simulator) == []


async def test_an_id_that_is_none_is_refused_without_a_call(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    with pytest.raises(RejectedError, match="not a Pipedrive id"):
        await perform(action, DealUpdate(id="1/products", title="x"), KEY)
    assert not simulator.requests


async def test_a_deal_that_is_gone_is_not_found(action: DealUpdateAction) -> None:
    with pytest.raises(NotFoundError):
        await perform(action, DealUpdate(id="99", title="x"), KEY)


async def test_undo_restores_what_stood_before_twice_over(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    await simulator.trigger("deal.updated", {"id": "1", "custom": {"Invoice status": "draft"}})
    before = custom(simulator)
    receipt = await perform(
        action,
        update(title="Renamed", custom={"invoice_number": "INV-7", "invoice_status": "sent", "discount": 0}),
        KEY,
    )
    for _ in range(2):
        await action.undo(receipt)
        assert custom(simulator) == before
        assert simulator.state()["deals"][0]["title"] == "Fernhill rollout"
    assert len(patches(simulator)) == 2


async def test_undo_leaves_what_a_person_changed_since_and_says_so(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    receipt = await perform(action, update(custom={"invoice_number": "INV-7", "invoice_status": "sent"}), KEY)
    await simulator.trigger("deal.updated", {"id": "1", "custom": {"Invoice status": "paid in cash"}})
    for _ in range(2):
        with pytest.raises(RejectedError, match="'paid in cash', not our 'sent'") as caught:
            await action.undo(receipt)
        assert caught.value.field == "custom.invoice_status"
        assert custom(simulator)["invoice_status"] == "paid in cash"
        assert custom(simulator)["invoice_number"] is None


async def test_undo_of_a_deal_that_is_gone_is_done(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    receipt = await perform(action, update(title="Renamed"), KEY)
    await simulator.trigger("deal.deleted", {"id": "1"})
    await action.undo(receipt)


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "garbage", "drop_before"])
async def test_a_lost_reply_is_ambiguous_and_the_redo_still_knows_what_stood_before(
    simulator: PipedriveSimulator, action: DealUpdateAction, kind: Any
) -> None:
    await simulator.trigger("field.create", {"name": "Modules", "type": "set", "options": ["Base", "Pro", "API"]})
    await simulator.trigger("field.create", {"name": "Invoiced", "type": "monetary"})
    earlier = {"Invoice status": "draft", "Modules": ["Base", "Pro"], "Invoiced": {"value": 5, "currency": "EUR"}}
    await simulator.trigger("deal.updated", {"id": "1", "custom": earlier})
    before = custom(simulator)
    ours = {"invoice_number": "INV-7", "invoice_status": "sent", "discount": 5, "modules": ["API"], "invoiced": 7}
    written = update(custom=ours, title="Renamed")
    simulator.faults.append(Fault(kind=kind, method="PATCH", path=PATCH))
    receipt = await perform(action, written, KEY, tries=2)
    assert simulator.faults[0].struck == 1
    assert custom(simulator)["modules"] == ["API"]
    await action.undo(receipt)
    assert custom(simulator) == before
    assert simulator.state()["deals"][0]["title"] == "Fernhill rollout"


@pytest.mark.parametrize("path", ["/api/v2/deals/1", "/api/v2/dealFields"])
@pytest.mark.parametrize("status", [400, 403])
async def test_a_look_that_is_refused_says_nothing_of_our_write(
    simulator: PipedriveSimulator, action: DealUpdateAction, path: str, status: int
) -> None:
    refusal = {"success": False, "error": "No access to this item", "error_info": ""}
    simulator.faults.append(Fault(kind="status", method="GET", path=path, status=status, body=refusal))
    with pytest.raises(TransientError, match="our values stand on deal 1 cannot be told"):
        await action.recover(update(custom={"invoice_number": "INV-7"}), KEY)
    await perform(action, update(custom={"invoice_number": "INV-7"}), KEY)
    assert await action.recover(update(custom={"invoice_number": "INV-7"}), KEY) is not None


async def test_on_a_deal_that_is_gone_nothing_of_ours_stands(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    await simulator.trigger("deal.deleted", {"id": "1"})
    assert await action.recover(update(title="x"), KEY) is None


async def test_what_a_receipt_does_not_know_is_left_to_a_person(
    simulator: PipedriveSimulator, action: DealUpdateAction
) -> None:
    receipt = await action.apply(update(custom={"invoice_number": "INV-7"}), KEY)
    with pytest.raises(RejectedError, match="holds 'INV-7', and what it held before our write is not known"):
        await action.undo(receipt)
    assert custom(simulator)["invoice_number"] == "INV-7"


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_server_error_on_the_write_is_ambiguous(
    simulator: PipedriveSimulator, action: DealUpdateAction, status: int
) -> None:
    simulator.faults.append(Fault(kind="status", status=status, method="PATCH"))
    with pytest.raises(AmbiguousError):
        await perform(action, update(title="Renamed"), KEY)


async def test_a_throttled_write_is_transient(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    simulator.faults.append(Fault(kind="status", status=429, method="PATCH", headers={"x-ratelimit-reset": "2"}))
    with pytest.raises(TransientError) as caught:
        await perform(action, update(title="Renamed"), KEY)
    assert caught.value.retry_after == 2


async def test_a_lost_undo_is_done_again(simulator: PipedriveSimulator, action: DealUpdateAction) -> None:
    receipt = await perform(action, update(title="Renamed"), KEY)
    simulator.faults.append(Fault(kind="drop_after", method="PATCH"))
    with pytest.raises(AmbiguousError):
        await action.undo(receipt)
    await action.undo(receipt)
    assert simulator.state()["deals"][0]["title"] == "Fernhill rollout"


async def test_our_own_write_comes_back_as_no_event(
    simulator: PipedriveSimulator, connection: PipedriveConnection, action: DealUpdateAction, listener: Any
) -> None:
    await simulator.trigger("deal.won", {"id": "1"})
    receipt = await perform(action, update(custom={"invoice_number": "INV-7"}), KEY)
    await action.undo(receipt)
    await simulator.settle()
    assert [delivery["meta"]["change_source"] for delivery in listener.bodies] == ["app", "api", "api"]
    assert [len(events) for events in listener.events(connection)] == [1, 0, 0]


def test_writes_to_one_deal_are_serialised(action: DealUpdateAction) -> None:
    assert action.serialize_by(update(title="a")) == action.serialize_by(update(title="b"))
    assert action.serialize_by(update(title="a")) != action.serialize_by(DealUpdate(id="2", title="a"))
    assert action.redo is Redo.UPSERT


class TestReplyToThePatch:
    """What the PATCH answers is compared with what was sent."""

    ANSWERS = "GET /api/v2/deals/1"

    @pytest.fixture
    def patched(self, fake: Any) -> Any:
        async def applied(after: Any) -> Receipt:
            before = {"success": True, "data": {"id": 1, "title": "Old", "currency": "EUR", "custom_fields": None}}
            _, connection = await fake({self.ANSWERS: before, "PATCH /api/v2/deals/1": after})
            return await perform(DealUpdateAction(connection), update(title="New "), KEY)

        return applied

    async def test_another_value_than_sent_is_a_discrepancy(self, patched: Any) -> None:
        with pytest.raises(DiscrepancyError, match="stored title as 'New', not 'New '") as caught:
            await patched({"success": True, "data": {"id": 1, "title": "New", "custom_fields": None}})
        undo = caught.value.receipt.undo
        assert (undo["before"], undo["written"][0]["value"]) == ({"title": "Old"}, "New")

    @pytest.mark.parametrize(
        "after",
        [
            {"success": True, "data": None},
            {"success": True},
            {"success": False, "error": "no"},
            {"success": True, "data": {"id": 2, "title": "New "}},
            {"success": True, "data": ["New "]},
        ],
    )
    async def test_another_shape_than_documented_is_ambiguous(self, patched: Any, after: Any) -> None:
        with pytest.raises(AmbiguousError):
            await patched(after)
