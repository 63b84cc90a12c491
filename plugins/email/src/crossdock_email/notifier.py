"""Telling people by mail."""

from __future__ import annotations

from collections import OrderedDict

from crossdock_sdk import Alert, Notifier, TransientError

from crossdock_email.connection import EmailConnection
from crossdock_email.message import Envelope, compose

_REMEMBERED = 1000


class EmailNotifier(Notifier):
    """Sends an alert as one mail to all recipients.

    SMTP has no idempotency key. A mail that may have been taken twice has the same Message-ID both times; within one
    process nobody is sent an alert again that the server has taken for them.
    """

    connection_class = EmailConnection
    connection: EmailConnection

    def __init__(self, connection: EmailConnection) -> None:
        super().__init__(connection)
        self._told: OrderedDict[str, set[str]] = OrderedDict()

    async def notify(self, alert: Alert) -> None:
        """Deliver. An address that is refused for good costs a warning in the log, if others are told."""
        told = self._remembered(alert.id)
        config = self.connection.config
        if told >= {mailbox.addr_spec for mailbox in self.connection.recipients}:
            return
        envelope = Envelope(self.connection.sender, self.connection.recipients, config.reply_to)
        refused = await self.connection.send(lambda limit: compose(alert, envelope, limit), told)
        for error in refused:
            if isinstance(error, TransientError):
                raise error
        for error in refused:
            self.connection.context.logger.warning("the alert %s went to the others only: %s", alert.id, error.message)

    def _remembered(self, alert: str) -> set[str]:
        told = self._told.setdefault(alert, set())
        self._told.move_to_end(alert)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return told
