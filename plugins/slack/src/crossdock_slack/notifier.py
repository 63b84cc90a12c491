"""Telling people in Slack."""

from __future__ import annotations

from collections import OrderedDict

from crossdock_sdk import (
    Alert,
    AmbiguousError,
    ConfigError,
    ConnectorError,
    Interaction,
    Interactive,
    Posted,
    Press,
    TransientError,
    VerificationError,
    WebhookRequest,
)

from crossdock_slack import presses
from crossdock_slack.blocks import File, render
from crossdock_slack.connection import Place, SlackConnection

_REMEMBERED = 1000


class SlackNotifier(Interactive):
    """Posts an alert, and by bot token attaches a payload that is too long for the message.

    Slack has no idempotency key. Within one process an alert that was posted is not posted again, whatever
    became of its file; an ambiguous post that is tried again may show twice.
    """

    connection_class = SlackConnection
    connection: SlackConnection

    def __init__(self, connection: SlackConnection) -> None:
        super().__init__(connection)
        self._posted: OrderedDict[str, Place | None] = OrderedDict()
        self._attached: set[str] = set()

    @property
    def converses(self) -> bool:
        """By bot token: a webhook's reply does not say where the message stands."""
        return self.connection.config.bot_token is not None

    @property
    def takes_presses(self) -> bool:
        """By bot token and with the app's signing secret."""
        return self.converses and self.connection.config.signing_secret is not None

    @property
    def press_setup(self) -> str:
        """The settings that buttons need."""
        return (
            f"connection {self.connection.context.name} takes no presses: give it bot_token, channel and signing_secret"
            " (Slack app, 'Basic Information')"
        )

    async def notify(self, alert: Alert) -> None:
        """Deliver. A file that Slack refuses for good costs a warning in the log, not the alert."""
        await self._deliver(alert, None)

    async def post(self, alert: Alert, reply_to: Posted | None) -> Posted:
        """As `notify`; where it stands. Below a message that is deleted, Slack's refusal is a `NotFoundError`."""
        place = await self._deliver(alert, _place(reply_to) if reply_to else None)
        if place is None:
            raise ConfigError(f"{self.connection.context.name}: a webhook does not tell where a message stands")
        return {"channel": place.channel, "ts": place.ts}

    async def update(self, posted: Posted, alert: Alert) -> None:
        """Change a message; a payload that was attached to it stays attached."""
        await self.connection.update(render(alert, attaches=self.connection.attaches), _place(posted))

    def interactions(self, request: WebhookRequest) -> Interaction:
        """The presses in a call that Slack has signed within five minutes."""
        secret = self.connection.config.signing_secret
        if secret is None:
            raise VerificationError("no signing_secret is configured")
        presses.verify(request, secret, self.connection.context.now())
        return presses.read(request)

    async def answer(self, press: Press, text: str) -> None:
        """Say it to that person alone, in the channel."""
        url = press.answer_to.get("url", "")
        if presses.answers_there(url, self.connection.config.base_url):
            await self.connection.answer(url, text)

    async def _deliver(self, alert: Alert, below: Place | None) -> Place | None:
        message = render(alert, attaches=self.connection.attaches)
        if alert.id not in self._posted:
            self._remember(alert.id, await self.connection.post(message, below))
        place = self._posted[alert.id]
        if place is not None and message.file is not None and alert.id not in self._attached:
            await self._attach(message.file, place)
        self._attached.add(alert.id)
        return place

    async def _attach(self, file: File, place: Place) -> None:
        try:
            await self.connection.attach(file, place)
        except (TransientError, AmbiguousError):
            raise
        except ConnectorError as error:
            self.connection.context.logger.warning("the alert stands without its file: %s", error.message)

    def _remember(self, alert: str, place: Place | None) -> None:
        self._posted[alert] = place
        while len(self._posted) > _REMEMBERED:
            forgotten, _ = self._posted.popitem(last=False)
            self._attached.discard(forgotten)


def _place(posted: Posted) -> Place:
    return Place(str(posted["channel"]), str(posted["ts"]))
