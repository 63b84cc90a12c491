"""Writes to fields of a record that is there: `deal.update` and `record.update`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, TypeVar

from crossdock_sdk import Action, DealUpdate, NotFoundError, ObjectRef, Receipt, Redo, RejectedError, looking
from pydantic import Field

from crossdock_salesforce.changes import Change, changes_of, keys, patch, put_back, written
from crossdock_salesforce.connection import SalesforceConnection

_STATUSES = ("open", "won", "lost")
Input = TypeVar("Input", bound=ObjectRef)


class RecordUpdate(ObjectRef):
    """Changes to one record of any object: only what is named is written.

    `fields` go by API name, label or readable name; `custom` names custom fields only.
    """

    object: Annotated[str, Field(min_length=1, description="API name, such as Account or Order__c")]
    fields: dict[str, Any] = Field(default_factory=dict)


class FieldsAction(Action[Input]):
    """Writes fields. `before` is {API name: value}; `undo["written"]` are the `Change`s as they stand."""

    redo: ClassVar[Redo] = Redo.UPSERT
    connection: SalesforceConnection

    @abstractmethod
    def target(self, data: Input) -> str:
        """The object's API name."""

    @abstractmethod
    async def changes(self, data: Input) -> list[Change]:
        """All that `data` names. Raises `RejectedError`."""

    async def before(self, data: Input) -> dict[str, Any]:
        wanted = keys(await self.changes(data))
        row = await self.connection.record(self.target(data), data.id, wanted)
        return {key: row.get(key) for key in wanted}

    async def apply(self, data: Input, key: str) -> Receipt:
        changes = await self.changes(data)
        await patch(self.connection, self.target(data), data.id, changes)
        return self._receipt(data, changes)

    async def recover(self, data: Input, key: str) -> Receipt | None:
        """The receipt if the record holds all that `data` names; None too for one that is gone."""
        target = self.target(data)
        with looking(f"our values stand on {target} {data.id}"):
            changes = await self.changes(data)
            try:
                row = await self.connection.record(target, data.id, keys(changes))
            except NotFoundError:
                return None
        return self._receipt(data, changes) if all(change.holds(row) for change in changes) else None

    async def named(self, object_id: str, data: Input, key: str) -> Receipt:
        changes = await self.changes(data)
        await self.connection.record(self.target(data), data.id, keys(changes))
        return self._receipt(data, changes)

    async def undo(self, receipt: Receipt) -> None:
        """Put back what still holds our value. Raises `RejectedError` for what a person changed since."""
        ours = [Change(**entry) for entry in receipt.undo["written"]]
        before = receipt.undo.get("before") or {}
        await put_back(self.connection, str(receipt.undo["object"]), receipt.id, ours, before)

    def serialize_by(self, data: Input) -> str | None:
        return f"{self.target(data)}:{data.id[:15]}"

    def _receipt(self, data: Input, changes: list[Change]) -> Receipt:
        kept = {"object": self.target(data), "written": written(changes)}
        return Receipt(id=data.id, url=self.connection.url(data.id), undo=kept)


class DealUpdateAction(FieldsAction[DealUpdate]):
    """Writes name, stage, custom fields and native fields of an opportunity; never its `Amount`."""

    name = "deal.update"
    summary = "write fields of an opportunity"

    def target(self, data: DealUpdate) -> str:
        return "Opportunity"

    async def changes(self, data: DealUpdate) -> list[Change]:
        fields: dict[str, Any] = dict(data.native)
        changes = await changes_of(self.connection, "Opportunity", fields=fields, custom=data.custom, at="native")
        if data.title is not None:
            changes.insert(0, Change("title", "Name", "string", data.title))
        if data.status is not None:
            changes.insert(0, Change("status", "StageName", "picklist", await self._stage(data.status)))
        _once(changes)
        if not changes:
            raise RejectedError("deal.update names nothing to write; give title, status or custom", field="custom")
        return changes

    async def _stage(self, status: str) -> str:
        if status not in _STATUSES:
            raise RejectedError(f"no deal status {status!r}; there are {', '.join(_STATUSES)}", field="status")
        return (await self.connection.stages.get()).standing_for(status)


class RecordUpdateAction(FieldsAction[RecordUpdate]):
    name = "record.update"
    summary = "write fields of any record"

    def target(self, data: RecordUpdate) -> str:
        return data.object

    async def changes(self, data: RecordUpdate) -> list[Change]:
        fields = data.fields | data.native
        changes = await changes_of(self.connection, data.object, fields=fields, custom=data.custom)
        if not changes:
            raise RejectedError("record.update names nothing to write; give fields", field="fields")
        return changes


def _once(changes: list[Change]) -> None:
    seen: dict[str, str] = {}
    for change in changes:
        if change.key in seen:
            raise RejectedError(f"{seen[change.key]} and {change.name} are one field", field=change.name)
        seen[change.key] = change.name
