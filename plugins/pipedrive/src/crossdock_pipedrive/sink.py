"""Pipedrive as a sink: the write-back to a deal, and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
)

from crossdock_pipedrive.changes import Change, Fate, Written, changes_of
from crossdock_pipedrive.connection import PipedriveConnection, number
from crossdock_pipedrive.replies import MISSHAPEN


class DealUpdated(Receipt):
    """`updated` names the fields that this write changed; a field that held its value already is left out.

    `undo` has `written`: per field its name, API key, the value it had before, the value it has since, and
    what is known of our part in it (see `crossdock_pipedrive.changes`).
    """

    updated: tuple[str, ...] = ()


class DealUpdateAction(Action[DealUpdate]):
    """Writes title, status, custom fields and native keys of one deal; never its `value`.

    Pipedrive derives the value of a deal with products, and a PATCH that carries it is reported to reset what
    is derived (client-nodejs#626). Fields that already hold the wanted value are left alone.
    """

    name = "deal.update"
    redo = Redo.UPSERT
    receipt = DealUpdated
    summary = "write fields of a deal"
    connection: PipedriveConnection

    async def apply(self, data: DealUpdate, key: str) -> DealUpdated:
        deal = await self.connection.deal(data.id)
        changes = await changes_of(data, deal.get("currency"), self.connection.fields)
        pending = [change for change in changes if not change.holds(deal)]
        written = await self._written_earlier(data.id, key, [change for change in changes if change.holds(deal)])
        written += [change.written(deal) for change in pending]
        if not pending:
            return self._receipt(data.id, written)
        reply = await self._patch(data.id, pending, f"crossdock/1 ({key})")
        return self._confirmed(reply, data.id, pending, written)

    async def undo(self, receipt: Receipt) -> None:
        """Put back what still holds our value. Raises `RejectedError` for what a person changed since."""
        try:
            deal = await self.connection.deal(receipt.id)
        except NotFoundError:
            return
        fields = await self.connection.fields.get("deal")
        written = [Written.from_undo(entry, fields.by_code) for entry in receipt.undo.get("written", ())]
        ours = [one.reversal() for one in written if one.fate(deal) is Fate.OURS]
        if ours:
            await self._patch(receipt.id, ours, "crossdock/1 (undo)")
        left = [one for one in written if one.fate(deal) is Fate.LEFT]
        if left:
            reasons = "; ".join(one.left_because(deal) for one in left)
            names = ", ".join(one.name for one in left)
            raise RejectedError(f"deal {receipt.id} is not all put back: {reasons}", field=names)

    def serialize_by(self, data: DealUpdate) -> str | None:
        return f"deal:{data.id}"

    async def _written_earlier(self, deal_id: str, key: str, settled: list[Change]) -> list[Written]:
        """Of the fields that hold the wanted value already: those that an earlier try of this leg wrote.

        That try's reply was lost, so what stood before is not in any receipt; the deal's changelog has it.
        """
        if not settled:
            return []
        log = await self.connection.changelog(deal_id)
        return [found for change in settled if (found := change.written_earlier(log, key)) is not None]

    async def _patch(self, deal_id: str, changes: Iterable[Change], agent: str) -> Reply:
        body: dict[str, Any] = {}
        for change in changes:
            change.put_into(body)
        return await self.connection.client.patch(
            f"/api/v2/deals/{number(deal_id)}", json=body, headers={"user-agent": agent}
        )

    def _confirmed(self, reply: Reply, deal_id: str, pending: list[Change], written: list[Written]) -> DealUpdated:
        """The receipt, once the reply, which is the whole deal, shows every value as it was sent."""
        after = reply.require("data")
        try:
            same_deal = str(after["id"]) == deal_id
            astray = [change for change in pending if not change.holds(after)]
        except MISSHAPEN as error:
            raise reply.unusable(f"the deal in it is not as documented: {error}") from None
        if not same_deal:
            raise reply.unusable("the deal in it is another one")
        if not astray:
            return self._receipt(deal_id, written)
        stands = {change.key: change.value_in(after) for change in astray}
        receipt = self._receipt(deal_id, [one.now_holding(stands) for one in written])
        first = astray[0]
        raise DiscrepancyError(
            f"deal {deal_id}: Pipedrive stored {first.name} as {stands[first.key]!r}, not {first.value!r}",
            receipt=receipt,
            field=first.name,
        )

    def _receipt(self, deal_id: str, written: list[Written]) -> DealUpdated:
        return DealUpdated(
            id=deal_id,
            created=bool(written),
            url=self.connection.url("deal", deal_id),
            updated=tuple(one.name for one in written),
            undo={"written": [one.for_undo() for one in written]},
        )


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
    return f"Crossdock {key}"


def _place(data: Note) -> dict[str, Any]:
    owners: Mapping[str, str | None] = {
        "deal_id": data.deal_id,
        "person_id": data.person_id,
        "org_id": data.organization_id,
    }
    return {key: number(owner) for key, owner in owners.items() if owner is not None}
