"""Conversations: notifiers whose messages stand, can be changed and answered, and have buttons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crossdock_sdk.contracts.notifier import Alert, Notifier
from crossdock_sdk.contracts.source import WebhookReply, WebhookRequest

Posted: TypeAlias = dict[str, Any]
"""Where a message stands, in the notifier's own words: plain JSON without secrets, which the runtime stores."""


class ConversationNotifier(Notifier, ABC):
    """A notifier that can change what it has posted, and put messages below it.

    The runtime then keeps one thread for each run, and one message for runs that fail alike. A connection may turn out
    to be of the plain kind (`converses` False): its alerts go to `notify` then, as those of any other notifier.
    """

    @property
    def converses(self) -> bool:
        """Whether this connection's settings allow it. No I/O."""
        return True

    async def notify(self, alert: Alert) -> None:
        """Post a message that nothing more will be said about."""
        await self.post(alert, None)

    @abstractmethod
    async def post(self, alert: Alert, reply_to: Posted | None) -> Posted:
        """Post a new message, below that of `reply_to` where it is given; where it stands. Raises `ConnectorError`.

        The same alert may come again after an error: it should show once, as far as the vendor allows. Raises
        `NotFoundError` if `reply_to` is gone.
        """

    @abstractmethod
    async def update(self, posted: Posted, alert: Alert) -> None:
        """Let a message say this instead, buttons included. The same again changes nothing. Raises `ConnectorError`.

        Raises `NotFoundError` if the message is gone, or cannot be changed any more: it is posted anew then.
        """


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody pressed a button. `token` is the one of its `AlertAction`, as whoever pressed it shows it."""

    token: str = field(repr=False)
    action: str
    user_id: str
    """The vendor's id of who pressed, which does not change."""
    user_name: str
    text: str | None = None
    """What they wrote with it."""
    answer_to: Posted = field(default_factory=dict, repr=False)
    """Where `Interactive.answer` reaches them, in the notifier's own words."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a verified call from the vendor comes to; `reply` is what the vendor must hear within seconds."""

    presses: tuple[Press, ...] = ()
    reply: WebhookReply = field(default_factory=WebhookReply)


class Interactive(ConversationNotifier, ABC):
    """A notifier whose buttons come back, at `POST /interactions/<connection>`."""

    @property
    @abstractmethod
    def takes_presses(self) -> bool:
        """Whether the settings have what a press is verified with; without it alerts come without actions. No I/O."""

    @property
    @abstractmethod
    def press_setup(self) -> str:
        """What is missing where `takes_presses` is False, and where to find it, in one line."""

    @abstractmethod
    def interactions(self, request: WebhookRequest) -> Interaction:
        """The presses in a call. No I/O.

        Raises `VerificationError` unless the raw call is proven authentic and recent, in constant time, and
        `PayloadError` if it is not what the vendor documents. A verified call that presses nothing has no presses.
        """

    @abstractmethod
    async def answer(self, press: Press, text: str) -> None:
        """Tell whoever pressed, and nobody else where the vendor can, what became of it. Raises `ConnectorError`."""
