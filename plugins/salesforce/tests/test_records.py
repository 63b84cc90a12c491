"""Records made under our key, written by an external id, or deleted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.making import (
    RecordCreate,
    RecordCreateAction,
    RecordDelete,
    RecordDeleteAction,
    RecordUpsert,
    RecordUpsertAction,
)
from crossdock_salesforce.simulator import SalesforceSimulator
from crossdock_salesforce.simulator.org import PERSON, Row
from crossdock_sdk import AmbiguousError, NotFoundError, RejectedError
from crossdock_sdk.testing import Fault, perform

KEY = "5f0c1d9e-1111-4222-8333-944455566677"
LOST = ["drop_after", "garbage", "drop_before"]
INVOICE = RecordCreate(object="Invoice__c", fields={"Name": "INV-7", "Total": Decimal("1199.90")})


def upsert(**fields: Any) -> RecordUpsert:
    given = fields or {"Total": Decimal(5)}
    return RecordUpsert(object="Invoice__c", external_id_field="Number", external_id="A/7 ü", fields=given)


def invoices(simulator: SalesforceSimulator) -> list[Row]:
    return simulator.org.live("Invoice__c")


@pytest.fixture
def create(connection: SalesforceConnection) -> RecordCreateAction:
    return RecordCreateAction(connection)


@pytest.fixture
def upserting(connection: SalesforceConnection) -> RecordUpsertAction:
    return RecordUpsertAction(connection)


async def test_a_record_is_made_under_our_key_and_taken_back(
    simulator: SalesforceSimulator, create: RecordCreateAction
) -> None:
    receipt = await perform(create, INVOICE, KEY)
    [made] = invoices(simulator)
    assert (made["Id"], made["Total__c"], made["Crossdock_Key__c"]) == (receipt.id, Decimal("1199.9"), KEY)
    assert await create.exists(receipt)
    for _ in range(2):
        await create.undo(receipt)
        assert invoices(simulator) == []
    assert not await create.exists(receipt)


@pytest.mark.parametrize("kind", LOST)
async def test_a_creation_whose_reply_was_lost_makes_one_record(
    simulator: SalesforceSimulator, create: RecordCreateAction, kind: Any
) -> None:
    simulator.faults.append(Fault(kind=kind, method="PATCH"))
    receipt = await perform(create, INVOICE, KEY, tries=2)
    assert [row["Id"] for row in invoices(simulator)] == [receipt.id]


async def test_recover_finds_a_record_by_our_key_alone(
    simulator: SalesforceSimulator, create: RecordCreateAction
) -> None:
    assert await create.recover(INVOICE, KEY) is None
    made = await create.apply(INVOICE, KEY)
    assert await create.recover(INVOICE, KEY) == made
    assert await create.recover(INVOICE, KEY.replace("5", "6")) is None
    assert await create.named(made.id, INVOICE, KEY) == made


@pytest.mark.parametrize("key_field", [None, "Name", "Nowhere__c"])
async def test_an_object_without_a_field_for_our_key_is_refused_before_anything_is_made(
    simulator: SalesforceSimulator, create: RecordCreateAction, key_field: str | None
) -> None:
    with pytest.raises(RejectedError, match="unique, external id") as caught:
        await perform(create, RecordCreate(object="Account", fields={"Name": "A"}, key_field=key_field), KEY)
    assert caught.value.field == "key_field"
    assert [row["Name"] for row in simulator.org.live("Account")] == ["Fernhill Instruments GmbH"]


async def test_what_the_org_requires_is_told(simulator: SalesforceSimulator, create: RecordCreateAction) -> None:
    simulator.org.objects["Invoice__c"].fields["Name"].required = True
    with pytest.raises(RejectedError, match=r"Required fields are missing: \[Name\]") as caught:
        await perform(create, RecordCreate(object="Invoice__c", fields={"Total": 1}), KEY)
    assert (caught.value.code, caught.value.field) == ("REQUIRED_FIELD_MISSING", "Name")


async def test_a_duplicate_rule_is_no_doubt(simulator: SalesforceSimulator, create: RecordCreateAction) -> None:
    simulator.org.duplicate_rules.append(("Invoice__c", "Name"))
    simulator.org.insert("Invoice__c", {"Name": "INV-7"})
    with pytest.raises(RejectedError, match="a duplicate rule of the org") as caught:
        await perform(create, INVOICE, KEY)
    assert caught.value.code == "DUPLICATES_DETECTED"


async def test_an_upsert_makes_what_is_not_there_and_undo_deletes_it(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    receipt = await perform(upserting, upsert(), KEY)
    [made] = invoices(simulator)
    assert (made["Number__c"], made["Total__c"], receipt.id) == ("A/7 ü", Decimal(5), made["Id"])
    assert receipt.model_dump()["inserted"] is True
    for _ in range(2):
        await upserting.undo(receipt)
        assert invoices(simulator) == []


async def test_an_upsert_writes_what_is_there_and_undo_puts_it_back(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    simulator.org.insert("Invoice__c", {"Number__c": "A/7 ü", "Total__c": 3}, by=PERSON)
    receipt = await perform(upserting, upsert(Total=Decimal(5), Paid=True), KEY)
    [row] = invoices(simulator)
    assert (row["Total__c"], row["Paid__c"], receipt.model_dump()["inserted"]) == (5, True, False)
    for _ in range(2):
        await upserting.undo(receipt)
        assert (row["Total__c"], row["Paid__c"], row["IsDeleted"]) == (3, False, False)


@pytest.mark.parametrize("kind", LOST)
async def test_an_upsert_whose_reply_was_lost_is_still_known_to_be_ours(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction, kind: Any
) -> None:
    simulator.faults.append(Fault(kind=kind, method="PATCH"))
    receipt = await perform(upserting, upsert(), KEY, tries=2)
    assert len(invoices(simulator)) == 1
    await upserting.undo(receipt)
    assert invoices(simulator) == []


async def test_undo_does_not_delete_what_somebody_else_made_meanwhile(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    before = await upserting.before(upsert())
    simulator.org.insert("Invoice__c", {"Number__c": "A/7 ü"}, by=PERSON)
    receipt = await upserting.apply(upsert(), KEY)
    receipt = receipt.model_copy(update={"undo": receipt.undo | {"before": before}})
    with pytest.raises(RejectedError, match="nobody can tell"):
        await upserting.undo(receipt)
    assert len(invoices(simulator)) == 1


async def test_recover_of_an_upsert_tells_whether_our_values_stand(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    assert await upserting.recover(upsert(), KEY) is None
    made = await upserting.apply(upsert(), KEY)
    found = await upserting.recover(upsert(), KEY)
    assert found is not None
    assert found.id == made.id
    simulator.org.update("Invoice__c", made.id, {"Total__c": 9})
    assert await upserting.recover(upsert(), KEY) is None


async def test_an_external_id_of_several_records_is_refused_and_names_them(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    two = [simulator.org.insert("Invoice__c", {"Legacy_Number__c": "9"})["Id"] for _ in range(2)]
    wanted = RecordUpsert(
        object="Invoice__c", external_id_field="Legacy number", external_id="9", fields={"Total": Decimal(5)}
    )
    for ask in (upserting.before(wanted), upserting.apply(wanted, KEY)):
        with pytest.raises(RejectedError, match=", ".join(two)) as caught:
            await ask
        assert caught.value.code == "MULTIPLE_CHOICES"
    assert {row["Total__c"] for row in invoices(simulator)} == {None}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"external_id_field": "Name"}, "no external id field"),
        ({"external_id_field": "Numbr"}, "did you mean"),
        ({"fields": {"Number__c": "B"}}, "leave it out of fields"),
        ({"object": "Invoice__c/describe"}, "not the API name"),
    ],
)
async def test_an_upsert_that_cannot_work_is_refused_before_anything_is_written(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(RejectedError, match=said):
        await perform(upserting, upsert().model_copy(update=given), KEY)
    assert not any(entry["method"] == "PATCH" for entry in simulator.requests)


async def test_a_key_field_that_the_org_hides_never_passes_for_a_missing_record(
    simulator: SalesforceSimulator, upserting: RecordUpsertAction
) -> None:
    await upserting.before(upsert())
    simulator.org.objects["Invoice__c"].fields["Number__c"].external_id = False
    with pytest.raises(RejectedError, match="Provided external ID field does not exist") as caught:
        await upserting.before(upsert())
    assert not isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("answer", [{"id": "a01"}, {"success": False, "id": "a01"}, {"success": True}, {}])
async def test_an_upsert_that_is_answered_otherwise_is_ambiguous(fake: Any, answer: Any) -> None:
    names = {"Number__c": "Number", "Total__c": "Total"}
    fields = [{"name": name, "label": label, "type": "string", "custom": True} for name, label in names.items()]
    fields = [row | {"updateable": True, "externalId": row["label"] == "Number"} for row in fields]
    base = "/services/data/v66.0/sobjects/Invoice__c"
    answers = {f"GET {base}/describe": {"fields": fields}, f"PATCH {base}/Number__c/7": answer}
    _, connection = await fake(answers)
    wanted = RecordUpsert(object="Invoice__c", external_id_field="Number", external_id="7", fields={"Total": "5"})
    with pytest.raises(AmbiguousError):
        await RecordUpsertAction(connection).apply(wanted, KEY)


async def test_a_record_is_deleted_once_and_its_undo_asks_a_person(
    simulator: SalesforceSimulator, connection: SalesforceConnection
) -> None:
    action = RecordDeleteAction(connection)
    made = simulator.org.insert("Invoice__c", {"Name": "X"})["Id"]
    wanted = RecordDelete(object="Invoice__c", id=made)
    assert await action.recover(wanted, KEY) is None
    receipt = await perform(action, wanted, KEY)
    assert invoices(simulator) == []
    assert await perform(action, wanted, KEY) == receipt
    assert await action.recover(wanted, KEY) == receipt
    with pytest.raises(RejectedError, match="restore it from the Recycle Bin"):
        await action.undo(receipt)
    simulator.org.tables["Invoice__c"][made]["IsDeleted"] = False
    await action.undo(receipt)


@pytest.mark.parametrize("kind", LOST)
async def test_a_deletion_whose_reply_was_lost_is_done(
    simulator: SalesforceSimulator, connection: SalesforceConnection, kind: Any
) -> None:
    made = simulator.org.insert("Invoice__c", {"Name": "X"})["Id"]
    simulator.faults.append(Fault(kind=kind, method="DELETE"))
    action = RecordDeleteAction(connection)
    receipt = await perform(action, RecordDelete(object="Invoice__c", id=made), KEY, tries=2)
    assert (receipt.id, invoices(simulator)) == (made, [])


async def test_deleting_what_never_was_is_refused(connection: SalesforceConnection) -> None:
    with pytest.raises(NotFoundError):
        await perform(RecordDeleteAction(connection), RecordDelete(object="Invoice__c", id="a017Q0000009999"), KEY)
