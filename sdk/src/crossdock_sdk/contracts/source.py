"""Sources: where events come from."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from crossdock_sdk.contracts.connection import Connection
from crossdock_sdk.models import Record

if TYPE_CHECKING:
    from crossdock_sdk.contracts.polling import Polling, PollPage, PollRequest


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One delivery, raw. `headers` has lower-case names; `body` is the bytes as received."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What was agreed with the vendor in handshakes, newest first, for a source that makes them."""


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """What a vendor's handshake wants to hear."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A vendor's set-up call: what it wants to hear, and the secret that it gives for later deliveries.

    The runtime takes it only while a registration of ours is under way, and keeps the secret encrypted.
    """

    reply: WebhookReply
    secret: str | None = field(default=None, repr=False)


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
    account: str | None = None
    """The account that it happened in (`Connection.account`), where one delivery tells of several; None: this one."""


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
    object: str = ""
    """What kind of vendor object `Event.subject` names, in the word that actions use (`Action.object`), such as
    `invoice`: a flow may follow the flow that made it. Empty where no action makes such a thing."""


class Source(ABC):
    """A vendor that tells us of events. One instance per connection."""

    connection_class: ClassVar[type[Connection]]
    events: ClassVar[tuple[EventSpec, ...]]
    polling: ClassVar[Polling | None] = None
    """How it is polled; None if it cannot be."""
    setup: ClassVar[str] = ""
    """How webhooks are registered at a vendor that has no API for it, in a line or two of plain text."""
    webhooks: ClassVar[bool] = True
    """Whether the vendor sends webhooks at all."""
    agrees_secrets: ClassVar[bool] = False
    """Whether deliveries are verified by secrets that were agreed in handshakes."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def handshake(self, request: WebhookRequest) -> Handshake | None:
        """Answer a vendor's set-up call; None for an ordinary delivery. No I/O."""
        return None

    def calls_for_poll(self, request: WebhookRequest) -> bool:
        """Whether a verified delivery tells of what only a poll can read; the poll is due at once then. No I/O."""
        return False

    def acknowledgement(self, request: WebhookRequest) -> WebhookReply | None:
        """What the vendor must hear once a verified delivery is on disk; None: an empty-handed 200 will do."""
        return None

    async def poll(self, request: PollRequest) -> PollPage:
        """One page of what happened since, oldest first. Raises `ConnectorError`.

        Only where `polling` says so. An event has the same id as its webhook has.
        """
        raise NotImplementedError(f"{type(self).__name__} has `polling` and no `poll`")

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
