"""Telling people in Slack."""

from __future__ import annotations

from collections import OrderedDict

from crossdock_sdk import Alert, AmbiguousError, ConnectorError, Notifier, TransientError

from crossdock_slack.blocks import File, render
from crossdock_slack.connection import Posted, SlackConnection

_REMEMBERED = 1000


class SlackNotifier(Notifier):
    """Posts an alert, and by bot token attaches a payload that is too long for the message.

    Slack has no idempotency key. Within one process an alert that was posted is not posted again, whatever
    became of its file; an ambiguous post that is tried again may show twice.
    """

    connection_class = SlackConnection
    connection: SlackConnection

    def __init__(self, connection: SlackConnection) -> None:
        super().__init__(connection)
        self._posted: OrderedDict[str, Posted | None] = OrderedDict()

    async def notify(self, alert: Alert) -> None:
        """Deliver. A file that Slack refuses for good costs a warning in the log, not the alert."""
        message = render(alert, attaches=self.connection.attaches)
        if alert.id not in self._posted:
            self._remember(alert.id, await self.connection.post(message))
        posted = self._posted[alert.id]
        if posted is not None and message.file is not None:
            await self._attach(message.file, posted)
        self._posted[alert.id] = None

    async def _attach(self, file: File, posted: Posted) -> None:
        try:
            await self.connection.attach(file, posted)
        except (TransientError, AmbiguousError):
            raise
        except ConnectorError as error:
            self.connection.context.logger.warning("the alert stands without its file: %s", error.message)

    def _remember(self, alert: str, posted: Posted | None) -> None:
        self._posted[alert] = posted
        while len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)
