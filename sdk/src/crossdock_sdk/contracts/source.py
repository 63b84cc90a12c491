"""Sources: where events come from."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from crossdock_sdk.contracts.connection import Connection
from crossdock_sdk.models import Record


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One delivery, raw. `headers` has lower-case names; `body` is the bytes as received."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """What a vendor's handshake wants to hear."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a source.

    `id` is the same however often and by whichever way (webhook, poll) the vendor tells of this happening,
    and different for any other happening. `subject` is the id of the record it happened to. `data` is what
    is already known under the names that mappings use, at least `{"deal": {"id": "812"}}`.
    """

    type: str
    id: str
    subject: str
    data: dict[str, Any]
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventSpec:
    """Declares one event type: the names that a mapping can read, each with its model."""

    type: str
    """Such as `deal.won`; a flow says `when: <connection>.deal.won`."""
    records: Mapping[str, builtins.type[Record]]
    """Root name in mappings → model, such as `{"deal": Deal}`."""
    known: tuple[str, ...]
    """Paths that `Event.data` always carries, such as `deal.id`; a flow's `key` may read only these."""
    summary: str = ""


class Source(ABC):
    """A vendor that tells us of events. One instance per connection."""

    connection_class: ClassVar[type[Connection]]
    events: ClassVar[tuple[EventSpec, ...]]

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def handshake(self, request: WebhookRequest) -> WebhookReply | None:
        """Answer a vendor's set-up call; None for an ordinary delivery."""
        return None

    @abstractmethod
    def verify(self, request: WebhookRequest) -> None:
        """Raise `VerificationError` unless the raw delivery is proven authentic. No I/O, constant time."""

    @abstractmethod
    def parse(self, request: WebhookRequest) -> list[Event]:
        """The events in a verified delivery; empty if it tells of nothing that concerns us.

        Raises `PayloadError` if the body is not what the vendor documents. No I/O.
        """

    @abstractmethod
    async def hydrate(self, event: Event) -> dict[str, Record]:
        """Read the full records of the event's spec from the vendor. Raises `ConnectorError`.

        A delivery may be late: if what it told of no longer holds, it raises `EventVoid`.
        """
