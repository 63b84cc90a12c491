"""The write-back: by readable names, once, and taken back to what stood before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_salesforce.updates import DealUpdateAction, RecordUpdate, RecordUpdateAction
from crossdock_sdk import AmbiguousError, DealUpdate, NotFoundError, Redo, RejectedError, TransientError, jsonio
from crossdock_sdk.testing import Fault, perform

KEY = "5f0c1d9e-1111-4222-8333-944455566677"
Connect = Callable[..., Awaitable[SalesforceConnection]]


@pytest.fixture
def action(connection: SalesforceConnection) -> DealUpdateAction:
    return DealUpdateAction(connection)


def custom(simulator: SalesforceSimulator) -> dict[str, Any]:
    found: dict[str, Any] = simulator.state()["deals"][0]["custom"]
    return found


def patches(simulator: SalesforceSimulator) -> list[dict[str, Any]]:
    return [jsonio.loads(entry["body"]) for entry in simulator.requests if entry["method"] == "PATCH"]


async def test_fields_are_written_by_readable_name_label_or_api_name(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    names = {"invoice_number": "INV-7", "Invoice status": "sent", "lead_score__C": Decimal("80.5")}
    receipt = await perform(action, DealUpdate(id=deal, custom=names), KEY)
    assert patches(simulator) == [
        {"Invoice_number__c": "INV-7", "Invoice_status__c": "sent", "Lead_score__c": Decimal("80.5")}
    ]
    assert (receipt.id, receipt.created, receipt.url) == (deal, True, f"{action.connection.config.base_url}/{deal}")


async def test_title_status_and_native_fields_are_written(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    await perform(action, DealUpdate(id=deal, title="Renamed", status="won", native={"NextStep": "Bill"}), KEY)
    row = simulator.org.row("Opportunity", deal)
    assert (row["Name"], row["StageName"], row["IsWon"], row["NextStep"]) == ("Renamed", "Closed Won", True, "Bill")


async def test_a_status_that_several_stages_mean_is_refused_with_their_names(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    with pytest.raises(RejectedError, match="Prospecting, Negotiation/Review; name one with native") as caught:
        await perform(action, DealUpdate(id=deal, status="open"), KEY)
    assert caught.value.field == "status"
    assert patches(simulator) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to write"),
        ({"status": "deleted"}, "no deal status"),
        ({"title": "A", "native": {"Name": "B"}}, "one field"),
        ({"custom": {"Invoice number": "A", "invoice_number": "B"}}, "one field"),
        ({"custom": {"discount": "much"}}, "is not a number"),
        ({"custom": {"discount": Decimal("12.345")}}, "keeps 2 decimal places"),
        ({"custom": {"invoice_number": ["A"]}}, "needs text"),
        ({"custom": {"invoice_numbr": "A"}}, "did you mean invoice_number"),
        ({"custom": {"NextStep": "A"}}, "no custom field 'NextStep'"),
        ({"custom": {"industry": "manufactoring"}}, "did you mean 'Manufacturing'"),
        ({"native": {"Nextstepp": "A"}}, "did you mean NextStep"),
        ({"native": {"Amount": 1}}, "derives it from the products"),
        ({"native": {"Id": "006"}}, "cannot change"),
        ({"native": {"IsWon": True}}, "cannot be written"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_anything_is(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(RejectedError, match=said):
        await perform(action, DealUpdate(id=deal, **given), KEY)
    assert patches(simulator) == []


async def test_a_write_is_one_call_once_the_fields_are_known(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    written = DealUpdate(id=deal, custom={"invoice_number": "INV-7"})
    assert await action.before(written) == {"Invoice_number__c": None}
    simulator.requests.clear()
    await action.apply(written, KEY)
    assert [entry["method"] for entry in simulator.requests] == ["PATCH"]


async def test_undo_restores_what_stood_before_twice_over(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    await simulator.trigger("deal.edit", {"id": deal, "custom": {"Invoice status": "draft"}})
    before = simulator.state()["deals"][0]["custom"]
    names = {"invoice_number": "INV-7 ", "invoice_status": "sent", "discount": 0, "industry": "Services"}
    receipt = await perform(action, DealUpdate(id=deal, title="Renamed", status="won", custom=names), KEY)
    for _ in range(2):
        await action.undo(receipt)
        assert custom(simulator) == before
        row = simulator.org.row("Opportunity", deal)
        assert (row["Name"], row["StageName"]) == ("Fernhill rollout", "Negotiation/Review")
    assert len(patches(simulator)) == 2


async def test_undo_leaves_what_a_person_changed_since_and_says_so(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    names = {"invoice_number": "INV-7", "invoice_status": "sent"}
    receipt = await perform(action, DealUpdate(id=deal, custom=names), KEY)
    await simulator.trigger("deal.edit", {"id": deal, "custom": {"Invoice status": "paid in cash"}})
    for _ in range(2):
        with pytest.raises(RejectedError, match="'paid in cash', not our 'sent'") as caught:
            await action.undo(receipt)
        assert caught.value.field == "custom.invoice_status"
        assert custom(simulator)["invoice_number"] is None


async def test_undo_leaves_a_field_alone_that_held_the_value_before(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    await simulator.trigger("deal.edit", {"id": deal, "custom": {"Invoice status": "sent"}})
    receipt = await perform(action, DealUpdate(id=deal, custom={"invoice_status": "sent"}), KEY)
    await action.undo(receipt)
    assert custom(simulator)["invoice_status"] == "sent"
    assert len(patches(simulator)) == 1


async def test_undo_of_a_deal_that_is_gone_is_done(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    receipt = await perform(action, DealUpdate(id=deal, title="Renamed"), KEY)
    await simulator.trigger("deal.deleted", {"id": deal})
    await action.undo(receipt)
    assert len(patches(simulator)) == 1


async def test_a_deal_that_is_gone_is_not_found(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    await simulator.trigger("deal.deleted", {"id": deal})
    with pytest.raises(NotFoundError):
        await perform(action, DealUpdate(id=deal, title="x"), KEY)


@pytest.mark.parametrize("kind", ["drop_after", "garbage", "drop_before", "applied_503"])
async def test_after_a_lost_reply_the_redo_still_knows_what_stood_before(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str, kind: Any
) -> None:
    wanted = DealUpdate(id=deal, custom={"invoice_number": "INV-7"})
    simulator.faults.append(Fault(kind=kind, method="PATCH"))
    if kind == "applied_503":
        with pytest.raises(TransientError):
            await perform(action, wanted, KEY)
        assert await action.recover(wanted, KEY) is not None
        return
    receipt = await perform(action, wanted, KEY, tries=2)
    assert custom(simulator)["invoice_number"] == "INV-7"
    await action.undo(receipt)
    assert custom(simulator)["invoice_number"] is None


async def test_recover_tells_whether_our_values_stand(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    wanted = DealUpdate(id=deal, custom={"invoice_number": "INV-7"})
    assert await action.recover(wanted, KEY) is None
    made = await action.apply(wanted, KEY)
    assert await action.recover(wanted, KEY) == made
    await simulator.trigger("deal.deleted", {"id": deal})
    assert await action.recover(wanted, KEY) is None


async def test_a_locked_row_took_no_effect_and_is_tried_again(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    await simulator.trigger("lock", {"id": deal})
    wanted = DealUpdate(id=deal, custom={"invoice_number": "INV-7"})
    with pytest.raises(TransientError) as caught:
        await action.apply(wanted, KEY)
    assert type(caught.value) is TransientError
    assert caught.value.code == "UNABLE_TO_LOCK_ROW"
    assert custom(simulator)["invoice_number"] is None
    await action.apply(wanted, KEY)
    assert custom(simulator)["invoice_number"] == "INV-7"


async def test_a_validation_rule_is_told_in_its_own_words(
    simulator: SalesforceSimulator, action: DealUpdateAction, deal: str
) -> None:
    simulator.org.rules.append(("Opportunity", lambda row: row["Name"] == "x", "Give it a name, please"))
    with pytest.raises(RejectedError, match="Give it a name, please") as caught:
        await perform(action, DealUpdate(id=deal, title="x"), KEY)
    assert caught.value.code == "FIELD_CUSTOM_VALIDATION_EXCEPTION"


async def test_another_answer_than_204_is_ambiguous(fake: Any) -> None:
    field = {"name": "X__c", "label": "X", "type": "string", "custom": True, "updateable": True}
    base = "/services/data/v66.0/sobjects/Opportunity"
    answers = {f"GET {base}/describe": {"fields": [field]}, f"PATCH {base}/0065g00000AAAAAAA4": {"success": True}}
    _, connection = await fake(answers)
    with pytest.raises(AmbiguousError, match="answered with 204"):
        await DealUpdateAction(connection).apply(DealUpdate(id="0065g00000AAAAAAA4", custom={"x": "1"}), KEY)


def test_writes_to_one_deal_are_serialised_whichever_form_its_id_has(action: DealUpdateAction) -> None:
    one, long = DealUpdate(id="0065g00000AAAAA", title="a"), DealUpdate(id="0065g00000AAAAAAA4", title="b")
    assert action.serialize_by(one) == action.serialize_by(long)
    assert action.serialize_by(one) != action.serialize_by(DealUpdate(id="0065g00000BBBBB", title="a"))
    assert action.redo is Redo.UPSERT


async def test_records_of_any_object_are_updated_alike(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    account = simulator.org.live("Account")[0]
    action = RecordUpdateAction(connection)
    fields = {"BillingCity": "Berlin", "Account Phone": "+49 30 1"}
    receipt = await perform(action, RecordUpdate(object="Account", id=account["Id"], fields=fields), KEY)
    assert (account["BillingCity"], account["Phone"]) == ("Berlin", "+49 30 1")
    await action.undo(receipt)
    assert (account["BillingCity"], account["Phone"]) == ("München", None)
    with pytest.raises(RejectedError, match="names nothing to write"):
        await action.before(RecordUpdate(object="Account", id=account["Id"]))
    with pytest.raises(RejectedError, match="not the API name of an object"):
        await action.before(RecordUpdate(object="Account/x", id=account["Id"], fields=fields))
