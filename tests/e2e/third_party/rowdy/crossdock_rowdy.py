"""A connector whose code is wrong in every way that only shows when it runs."""

from __future__ import annotations

import asyncio
from typing import Any

from crossdock_sdk import (
    Action,
    Connection,
    ConnectionConfig,
    Event,
    EventSpec,
    Note,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Transform,
    WebhookRequest,
    hookimpl,
)


class RowdyConnection(Connection):
    connector = "rowdy"
    Config = ConnectionConfig


class _Rowdy(Action[Note]):
    redo = Redo.UNSAFE

    async def undo(self, receipt: Receipt) -> None:
        return


class Raise(_Rowdy):
    name = "wrong.raise"

    async def apply(self, data: Note, key: str) -> Receipt:
        answer: dict[str, str] = {}
        return Receipt(id=answer["identifier"])


class Rubbish(_Rowdy):
    name = "wrong.rubbish"

    async def apply(self, data: Note, key: str) -> Any:
        return {"id": "1"}


class Hang(_Rowdy):
    name = "wrong.hang"

    async def apply(self, data: Note, key: str) -> Receipt:
        await asyncio.Event().wait()
        return Receipt(id="never")


class Lock(_Rowdy):
    name = "wrong.lock"

    async def apply(self, data: Note, key: str) -> Receipt:
        return Receipt(id="1")

    def serialize_by(self, data: Note) -> str | None:
        return str(1 // len(data.custom))


class Start(_Rowdy):
    name = "wrong.start"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        raise OSError("a file that is not there")

    async def apply(self, data: Note, key: str) -> Receipt:
        return Receipt(id="1")


class RowdySink(Sink):
    connection_class = RowdyConnection
    actions = (Raise, Rubbish, Hang, Lock, Start)


class RowdySource(Source):
    connection_class = RowdyConnection
    events = (EventSpec("thing.done", {"note": Note}, ()),)

    def verify(self, request: WebhookRequest) -> None:
        return

    def parse(self, request: WebhookRequest) -> list[Event]:
        if not request.body:
            raise LookupError("a table that somebody forgot to fill")
        return [Event("thing.done", "1", "1", {})]

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {"order": Note(content="something else", deal_id="1")}


class Stumble(Transform):
    name = "stumble"

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return value["nowhere"]


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [RowdySource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [RowdySink]


@hookimpl
def crossdock_transforms() -> list[type[Transform]]:
    return [Stumble]
