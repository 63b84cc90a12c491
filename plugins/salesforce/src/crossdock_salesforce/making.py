"""Records that are made, found by an external id, or deleted: `record.create`, `record.upsert`, `record.delete`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from crossdock_sdk import Action, NotFoundError, ObjectRef, Receipt, Record, Redo, RejectedError, Reply, looking
from crossdock_sdk.models import Id
from pydantic import Field

from crossdock_salesforce import soql
from crossdock_salesforce.changes import Change, body, changes_of, keys, put_back, written
from crossdock_salesforce.connection import SalesforceConnection, object_name, record_id
from crossdock_salesforce.errors import DELETED
from crossdock_salesforce.values import SalesField

ObjectName = Annotated[str, Field(min_length=1, description="API name, such as Account or Order__c")]


class RecordCreate(Record):
    """A new record of any object. Names in `fields` are API names, labels or readable names."""

    object: ObjectName
    fields: dict[str, Any] = Field(default_factory=dict)
    key_field: str | None = Field(default=None, description="instead of the connection's key_field")


class RecordUpsert(Record):
    """A record found by an external id, and made where there is none."""

    object: ObjectName
    external_id_field: Annotated[str, Field(min_length=1)]
    external_id: Id
    fields: dict[str, Any] = Field(default_factory=dict)


class RecordDelete(ObjectRef):
    object: ObjectName


class UpsertReceipt(Receipt):
    """`inserted`: the reply said that the record was made, not found."""

    inserted: bool


class RecordCreateAction(Action[RecordCreate]):
    """Makes a record under our key in a unique external id field, so that no try makes a second one.

    A plain POST that is repeated after a lost reply makes a duplicate; a PATCH by that field does not
    (REST API Developer Guide, 'Insert or Update (Upsert) a Record Using an External ID').
    """

    name = "record.create"
    redo = Redo.UPSERT
    summary = "make a record of any object"
    connection: SalesforceConnection

    async def apply(self, data: RecordCreate, key: str) -> Receipt:
        field = await self._key_field(data)
        changes = await changes_of(
            self.connection, data.object, fields=data.fields | data.native, custom=data.custom, creating=True
        )
        reply = await _upsert(self.connection, data.object, field.name, key, changes)
        return self._receipt(data, _made(reply))

    async def recover(self, data: RecordCreate, key: str) -> Receipt | None:
        with looking(f"our {data.object} was made"):
            field = await self._key_field(data)
            row = await _found(self.connection, data.object, field.name, key, [])
        return None if row is None else self._receipt(data, str(row["Id"]))

    async def named(self, object_id: str, data: RecordCreate, key: str) -> Receipt:
        await self.connection.record(data.object, object_id, [])
        return self._receipt(data, object_id)

    async def exists(self, receipt: Receipt) -> bool:
        return await _stands(self.connection, receipt)

    async def undo(self, receipt: Receipt) -> None:
        await _delete(self.connection, str(receipt.undo["object"]), receipt.id)

    async def _key_field(self, data: RecordCreate) -> SalesField:
        name = data.key_field or self.connection.config.key_field
        found = (await self.connection.fields.get(object_name(data.object))).find(name)
        if found is not None and found.external_id:
            return found
        raise RejectedError(
            f"record.create needs a field {name} on {data.object} (text of 36, unique, external id) to be found by; "
            "make it, name another one as key_field, or use record.upsert",
            field="key_field",
        )

    def _receipt(self, data: RecordCreate, record: str) -> Receipt:
        return Receipt(id=record, url=self.connection.url(record), undo={"object": data.object})


class RecordUpsertAction(Action[RecordUpsert]):
    """Writes a record that an external id names. `before` is what stood there: `{"record": {…} | None, "at": …}`."""

    name = "record.upsert"
    redo = Redo.UPSERT
    receipt = UpsertReceipt
    summary = "write the record that an external id names, or make it"
    connection: SalesforceConnection

    async def before(self, data: RecordUpsert) -> dict[str, Any]:
        field, changes = await self._asked(data)
        row = await _found(self.connection, data.object, field.name, data.external_id, keys(changes))
        kept = None if row is None else {key: row.get(key) for key in ("Id", *keys(changes))}
        return {"record": kept, "at": soql.literal(self.connection.context.now())}

    async def apply(self, data: RecordUpsert, key: str) -> UpsertReceipt:
        field, changes = await self._asked(data)
        reply = await _upsert(self.connection, data.object, field.name, data.external_id, changes)
        return self._receipt(data, changes, _made(reply), inserted=reply.status == 201)

    async def recover(self, data: RecordUpsert, key: str) -> UpsertReceipt | None:
        with looking(f"our values stand on {data.object} {data.external_id}"):
            field, changes = await self._asked(data)
            row = await _found(self.connection, data.object, field.name, data.external_id, keys(changes))
        if row is None or not all(change.holds(row) for change in changes):
            return None
        return self._receipt(data, changes, str(row["Id"]), inserted=False)

    async def named(self, object_id: str, data: RecordUpsert, key: str) -> UpsertReceipt:
        _, changes = await self._asked(data)
        await self.connection.record(data.object, object_id, [])
        return self._receipt(data, changes, object_id, inserted=False)

    async def exists(self, receipt: Receipt) -> bool:
        return await _stands(self.connection, receipt)

    async def undo(self, receipt: Receipt) -> None:
        """Delete what we made, or put back what stood before.

        Raises `RejectedError` for what was changed since, and for a record that somebody else may have made.
        """
        ours = [Change(**entry) for entry in receipt.undo["written"]]
        target, before = str(receipt.undo["object"]), receipt.undo.get("before")
        if before is None:
            raise RejectedError(f"{target} {receipt.id} is left as it is: what it held before is not known")
        if before["record"] is not None:
            await put_back(self.connection, target, receipt.id, ours, before["record"])
        elif getattr(receipt, "inserted", False) or await self._is_ours(target, receipt.id, ours, before["at"]):
            await _delete(self.connection, target, receipt.id)
        else:
            raise RejectedError(
                f"{target} {receipt.id} is left as it is: nobody can tell whether our lost try or somebody else made "
                "it; delete it by hand if it is ours"
            )

    def serialize_by(self, data: RecordUpsert) -> str | None:
        return f"{data.object}:{data.external_id_field}:{data.external_id}"

    async def _asked(self, data: RecordUpsert) -> tuple[SalesField, list[Change]]:
        field = await self.connection.fields.named(
            object_name(data.object), data.external_id_field, at="external_id_field"
        )
        if not field.external_id:
            raise RejectedError(f"{field.name} of {data.object} is no external id field", field="external_id_field")
        changes = await changes_of(self.connection, data.object, fields=data.fields | data.native, custom=data.custom)
        if field.name in keys(changes):
            raise RejectedError(f"{field.name} is given as external_id; leave it out of fields", field=field.name)
        return field, changes

    async def _is_ours(self, target: str, record: str, ours: list[Change], asked: str) -> bool:
        """Whether a record that a repeated try found was made by our first: by us, since then, unchanged."""
        wanted = ["CreatedDate", "CreatedById", "LastModifiedById", *keys(ours)]
        try:
            row = await self.connection.record(target, record, wanted)
        except NotFoundError:
            return True
        made, since = soql.instant(row["CreatedDate"]), datetime.fromisoformat(asked).replace(microsecond=0)
        by_one = row["CreatedById"] == row["LastModifiedById"]
        return made is not None and made >= since and by_one and all(change.holds(row) for change in ours)

    def _receipt(self, data: RecordUpsert, changes: list[Change], record: str, *, inserted: bool) -> UpsertReceipt:
        kept = {"object": data.object, "written": written(changes)}
        return UpsertReceipt(id=record, url=self.connection.url(record), undo=kept, inserted=inserted)


class RecordDeleteAction(Action[RecordDelete]):
    """Moves a record to the Recycle Bin. REST has no way back: undo tells a person to restore it."""

    name = "record.delete"
    redo = Redo.UPSERT
    summary = "delete a record of any object"
    connection: SalesforceConnection

    async def apply(self, data: RecordDelete, key: str) -> Receipt:
        await _delete(self.connection, data.object, data.id, gone_is_done=False)
        return self._receipt(data)

    async def recover(self, data: RecordDelete, key: str) -> Receipt | None:
        with looking(f"{data.object} {data.id} is deleted"):
            try:
                await self.connection.record(data.object, data.id, [])
            except NotFoundError:
                return self._receipt(data)
        return None

    async def undo(self, receipt: Receipt) -> None:
        target = str(receipt.undo["object"])
        try:
            await self.connection.record(target, receipt.id, [])
        except NotFoundError:
            raise RejectedError(
                f"{target} {receipt.id} is deleted and Salesforce's REST API cannot restore it; "
                "restore it from the Recycle Bin, where it stays for 15 days"
            ) from None

    def serialize_by(self, data: RecordDelete) -> str | None:
        return f"{data.object}:{data.id[:15]}"

    def _receipt(self, data: RecordDelete) -> Receipt:
        return Receipt(id=data.id, undo={"object": data.object})


async def _upsert(
    connection: SalesforceConnection, target: str, field: str, value: str, changes: list[Change]
) -> Reply:
    path = connection.path("sobjects", object_name(target), field, value)
    return await connection.client.patch(path, json=body(changes))


def _made(reply: Reply) -> str:
    """The id in `{id, success, created}` (201 made, 200 found); anything else is not taken for success."""
    if reply.status not in (200, 201) or reply.require("success") is not True:
        raise reply.unusable("an upsert is answered with 200 or 201 and success")
    found = reply.require("id")
    if not isinstance(found, str):
        raise reply.unusable("the id is no text")
    return found


async def _found(
    connection: SalesforceConnection, target: str, field: str, value: str, fields: list[str]
) -> dict[str, Any] | None:
    """Some fields of the record that an external id names; None where there is none."""
    path = connection.path("sobjects", object_name(target), field, value)
    try:
        reply = await connection.client.get(path, params={"fields": ",".join(["Id", *fields])})
    except NotFoundError:
        return None
    if not isinstance(reply.require("Id"), str):
        raise reply.unusable("the id is no text")
    return dict(reply.json())


async def _stands(connection: SalesforceConnection, receipt: Receipt) -> bool:
    try:
        await connection.record(str(receipt.undo["object"]), receipt.id, [])
    except NotFoundError:
        return False
    return True


async def _delete(connection: SalesforceConnection, target: str, record: str, *, gone_is_done: bool = True) -> None:
    """Delete one record; what is in the Recycle Bin already is done, and what never was is only for an undo."""
    path = connection.path("sobjects", object_name(target), record_id(record))
    try:
        reply = await connection.client.delete(path)
    except NotFoundError as error:
        if gone_is_done or error.code == DELETED:
            return
        raise
    if reply.status != 204:
        raise reply.unusable("a deletion is answered with 204")
