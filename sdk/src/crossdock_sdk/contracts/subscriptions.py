"""Subscriptions: the webhooks that a vendor has been asked to send, where it has an API for that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from crossdock_sdk.contracts.source import Source


@dataclass(frozen=True, slots=True)
class Subscription:
    """One webhook as it stands, or should stand, at the vendor."""

    topic: str
    """What it tells of, in the vendor's words, such as `change.deal` or `task changed in 1201`."""
    url: str
    """Where it is sent, without a password or a secret."""
    id: str | None = None
    """The vendor's id; None for one that should be there and is not."""
    trouble: str | None = None
    """Why it does not deliver, such as `switched off by the vendor`; None while all is well."""


class Subscribable(Source, ABC):
    """A source whose webhooks are registered by API. All methods raise `ConnectorError`.

    A subscription is ours if its URL is the one that is asked for, whatever its query; others are left alone.
    """

    @abstractmethod
    async def wanted(self, url: str, events: Sequence[str]) -> list[Subscription]:
        """What should stand for these event types (`deal.won`, …) to reach `url`."""

    @abstractmethod
    async def subscriptions(self) -> list[Subscription]:
        """All that stand in the account, ours and others'."""

    @abstractmethod
    async def subscribe(self, wanted: Subscription, delivery_url: str) -> Subscription:
        """Register one of `wanted`; deliveries go to `delivery_url`, its URL with a query that must be kept.

        Returns once the vendor has accepted it, after a handshake where the vendor makes one.
        """

    @abstractmethod
    async def unsubscribe(self, subscription: Subscription) -> None:
        """Remove it; one that is gone already is no error."""
