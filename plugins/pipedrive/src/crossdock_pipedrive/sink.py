"""Pipedrive as a sink: the write-back to a deal, and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    DealUpdate,
    DiscrepancyError,
    Note,
    NotFoundError,
    Receipt,
    Redo,
    RejectedError,
    Reply,
    Sink,
    looking,
)

from crossdock_pipedrive.changes import Change, changes_of, patch_body, reversal
from crossdock_pipedrive.connection import PipedriveConnection, number
from crossdock_pipedrive.replies import MISSHAPEN

NOTE_MARK = "Crossdock "
"""What stands before the leg's key in a note."""


class DealUpdateAction(Action[DealUpdate]):
    """Writes title, status, custom fields and native keys of one deal; never its `value`.

    Pipedrive derives the value of a deal with products, and a PATCH that carries it is reported to reset what
    is derived (client-nodejs#626). `before` is {API key: value}; `undo["written"]` are the `Change`s as they stand.
    """

    name = "deal.update"
    redo = Redo.UPSERT
    summary = "write fields of a deal"
    connection: PipedriveConnection

    async def before(self, data: DealUpdate) -> dict[str, Any]:
        deal = await self.connection.deal(data.id)
        return {change.key: change.value_in(deal) for change in await changes_of(data, self.connection, deal)}

    async def apply(self, data: DealUpdate, key: str) -> Receipt:
        changes = await changes_of(data, self.connection)
        return self._confirmed(await self._patch(data.id, changes), data.id, changes)

    async def recover(self, data: DealUpdate, key: str) -> Receipt | None:
        """The receipt if the deal holds all that `data` names; None too for a deal that is gone."""
        with looking(f"our values stand on deal {data.id}"):
            try:
                deal = await self.connection.deal(data.id)
            except NotFoundError:
                return None
            changes = await changes_of(data, self.connection, deal)
        return self._receipt(deal, data.id, changes) if all(change.holds(deal) for change in changes) else None

    async def named(self, object_id: str, data: DealUpdate, key: str) -> Receipt:
        deal = await self.connection.deal(data.id)
        return self._receipt(deal, data.id, await changes_of(data, self.connection, deal))

    async def undo(self, receipt: Receipt) -> None:
        """Put back what still holds our value. Raises `RejectedError` for what a person changed since."""
        written = [Change(**entry) for entry in receipt.undo["written"]]
        try:
            deal = await self.connection.deal(receipt.id)
            back, left = reversal(written, receipt.undo.get("before") or {}, deal)
            if back:
                await self._patch(receipt.id, back)
        except NotFoundError:
            return
        if left:
            reasons = "; ".join(left.values())
            raise RejectedError(f"deal {receipt.id} is not all put back: {reasons}", field=", ".join(left))

    def serialize_by(self, data: DealUpdate) -> str | None:
        return f"deal:{data.id}"

    async def _patch(self, deal_id: str, changes: Iterable[Change]) -> Reply:
        return await self.connection.client.patch(f"/api/v2/deals/{number(deal_id)}", json=patch_body(changes))

    def _confirmed(self, reply: Reply, deal_id: str, changes: list[Change]) -> Receipt:
        """The receipt, once the reply, which is the whole deal, shows every value as it was sent."""
        after = reply.require("data")
        try:
            same_deal = str(after["id"]) == deal_id
            receipt = self._receipt(after, deal_id, changes)
            astray = next((change for change in changes if not change.holds(after)), None)
        except MISSHAPEN as error:
            raise reply.unusable(f"the deal in it is not as documented: {error}") from None
        if not same_deal:
            raise reply.unusable("the deal in it is another one")
        if astray is not None:
            raise DiscrepancyError(
                f"deal {deal_id}: Pipedrive stored {astray.name} as {astray.value_in(after)!r}, not {astray.value!r}",
                receipt=receipt,
                field=astray.name,
            )
        return receipt

    def _receipt(self, deal: Mapping[str, Any], deal_id: str, changes: Iterable[Change]) -> Receipt:
        written = [asdict(replace(change, value=change.value_in(deal))) for change in changes]
        return Receipt(id=deal_id, url=self.connection.url("deal", deal_id), undo={"written": written})


class NoteCreate(Action[Note]):
    """Adds a note. Its last line carries the leg's key as text, by which a lost reply is found again.

    Pipedrive sanitizes the HTML of notes (API reference, 'Add a note'), so that no comment would last.
    """

    name = "note.create"
    redo = Redo.LOOKUP
    summary = "add a note to a deal, a person or an organization"
    connection: PipedriveConnection

    async def apply(self, data: Note, key: str) -> Receipt:
        if data.custom:
            raise RejectedError("notes have no custom fields in Pipedrive; leave custom out", field="custom")
        content = f"{data.content}<br><small>{_marker(key)}</small>"
        body = data.native | {"content": content} | _place(data)
        reply = await self.connection.client.post("/api/v1/notes", json=body)
        return self._receipt(data, str(reply.require("data", "id")))

    async def recover(self, data: Note, key: str) -> Receipt | None:
        """Looks through the notes of that record, newest first, for the key."""
        start: int | None = 0
        while start is not None:
            with looking("our note was added"):
                rows, start = await self._page(data, start)
            found = next((row for row in rows if _marker(key) in str(row.get("content"))), None)
            if found is not None:
                return self._receipt(data, str(found["id"]))
        return None

    async def undo(self, receipt: Receipt) -> None:
        try:
            await self.connection.client.delete(f"/api/v1/notes/{number(receipt.id)}")
        except NotFoundError:
            return

    async def _page(self, data: Note, start: int) -> tuple[list[dict[str, Any]], int | None]:
        """One v1 page, and where the next one starts (docs, 'Pagination'). No rows are `data: null`."""
        params = _place(data) | {"start": start, "limit": 100, "sort": "add_time DESC"}
        reply = await self.connection.client.get("/api/v1/notes", params=params)
        try:
            body = reply.json()
            rows = [dict(row, id=row["id"]) for row in body["data"] or ()]
            page = (body.get("additional_data") or {}).get("pagination") or {}
            following = int(page["next_start"]) if page.get("more_items_in_collection") else None
        except MISSHAPEN as error:
            raise reply.unusable(f"the list of notes is not as documented: {error}") from None
        if following is not None and following <= start:
            raise reply.unusable("the list's next_start does not move on")
        return rows, following

    def _receipt(self, data: Note, note_id: str) -> Receipt:
        kind, owner = next(
            (kind, owner)
            for kind, owner in (
                ("deal", data.deal_id),
                ("person", data.person_id),
                ("organization", data.organization_id),
            )
            if owner is not None
        )
        return Receipt(id=note_id, url=self.connection.url(kind, owner))


class PipedriveSink(Sink):
    connection_class = PipedriveConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (DealUpdateAction, NoteCreate)


def _marker(key: str) -> str:
    return f"{NOTE_MARK}{key}"


def _place(data: Note) -> dict[str, Any]:
    owners: Mapping[str, str | None] = {
        "deal_id": data.deal_id,
        "person_id": data.person_id,
        "org_id": data.organization_id,
    }
    return {key: number(owner) for key, owner in owners.items() if owner is not None}
