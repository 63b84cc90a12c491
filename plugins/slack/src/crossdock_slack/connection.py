"""One way to reach a Slack channel: a bot token, or an incoming webhook."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

import aiohttp
from crossdock_sdk import (
    AmbiguousError,
    Checked,
    ConfigError,
    Connection,
    ConnectionConfig,
    ConnectorError,
    Context,
    TransientError,
)
from crossdock_sdk.http.reply import http_date
from pydantic import Field, SecretStr, field_validator, model_validator
from slack_sdk.errors import SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from crossdock_slack.blocks import File, Message
from crossdock_slack.errors import refusal, translated
from crossdock_slack.text import escaped

if TYPE_CHECKING:
    from crossdock_slack.session import TransportSession

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_ANSWER = 3000
_YES = frozenset({"ok", '{"ok":true}'})
"""What a webhook says to what it takes, and, as people report, a `response_url`."""
_CODE = re.compile(r"[a-z][a-z_]{1,60}")
Result = TypeVar("Result")


class SlackConfig(ConnectionConfig):
    """Either `webhook_url` (nothing to set up but the address), or `bot_token` with `channel` (which can attach, answer
    in threads and change what it said). With `signing_secret` too its messages have buttons."""

    base_url: str = Field(default="https://slack.com/api/", description="the Web API, for a bot token")
    webhook_url: SecretStr | None = Field(default=None, description="an incoming webhook's address")
    bot_token: SecretStr | None = Field(default=None, min_length=1, description="instead of webhook_url; xoxb-…")
    channel: str | None = Field(default=None, min_length=1, description="its id, or a name; with bot_token")
    signing_secret: SecretStr | None = Field(
        default=None, min_length=1, description="verifies presses of buttons; none: messages have no buttons but Open"
    )

    @field_validator("webhook_url")
    @classmethod
    def _an_address(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in {"https", "http"} or not parts.hostname or parts.path in {"", "/"}):
            raise ValueError("webhook_url must look like https://hooks.slack.com/services/…")
        return value

    @model_validator(mode="after")
    def _one_way_out(self) -> SlackConfig:
        if self.webhook_url and (self.bot_token or self.channel):
            raise ValueError("give webhook_url, or bot_token and channel, not both (a webhook has its channel)")
        if not self.webhook_url and not (self.bot_token and self.channel):
            raise ValueError("give webhook_url, or bot_token and channel")
        if self.webhook_url and self.signing_secret:
            raise ValueError("signing_secret is for buttons, and those need bot_token and channel, not webhook_url")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bot's message stands: a channel id and the message's `ts`. `thread` is the `ts` of what it answers."""

    channel: str
    ts: str
    thread: str | None = None


class SlackConnection(Connection):
    """Posts messages and attaches files through slack-sdk, without its retries.

    slack-sdk repeats a failed chat.postMessage by default, also after the request was sent: that would post twice.
    Each request has its own connection, so that none fails on one that Slack has closed meanwhile. Proxies of
    the environment are not used.
    """

    connector = "slack"
    Config = SlackConfig
    config: SlackConfig

    def __init__(self, config: SlackConfig, context: Context) -> None:
        super().__init__(config, context)
        self._session: aiohttp.ClientSession | TransportSession | None = None
        self._closed = False
        if config.webhook_url is not None:
            # What is secret of the address is its path, which logs and errors may show alone.
            path = urlsplit(config.webhook_url.get_secret_value()).path
            context.redactor.add(path, path.rpartition("/")[2])
        # slack-sdk logs addresses and bodies at DEBUG, and a webhook's address is a secret.
        self._logger = context.logger.getChild("slack_sdk")
        self._logger.setLevel(logging.WARNING)

    @property
    def attaches(self) -> bool:
        """Whether files can be sent: an incoming webhook takes none."""
        return self.config.bot_token is not None

    async def check(self) -> Checked | None:
        """Whose token it is (Slack docs, `auth.test`); a webhook can only post, which people would see."""
        if self.config.bot_token is None:
            return None
        try:
            answer = await _call("auth.test", self._client().auth_test())
        except AmbiguousError as error:
            # It has changed nothing, whatever became of it.
            raise TransientError(error.message, status=error.status, unanswered=error.unanswered) from None
        date = {name.lower(): value for name, value in answer.headers.items()}.get("date")
        return Checked(f"{answer.get('user')} in {answer.get('team')}", http_date(date))

    async def post(self, message: Message, below: Place | None = None) -> Place | None:
        """Post to the channel, or into the thread of `below`. Raises `ConnectorError`.

        None by webhook, whose reply says nothing of where.
        """
        body: dict[str, Any] = {
            "text": message.text,
            "blocks": message.blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if self.config.webhook_url is not None:
            await self._post_by_webhook(self.config.webhook_url, body)
            return None
        client = self._client()
        if below is not None:
            body["thread_ts"] = below.ts
        where = below.channel if below else self.config.channel or ""
        answer = await _call("chat.postMessage", client.chat_postMessage(channel=where, **body))
        channel, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise AmbiguousError("Slack chat.postMessage: the reply names no channel or no ts")
        return Place(channel, ts, below.ts if below else None)

    async def update(self, message: Message, place: Place) -> None:
        """Let a message say this instead. Raises `ConnectorError`."""
        said: dict[str, Any] = {"text": message.text, "blocks": message.blocks}
        await _call("chat.update", self._client().chat_update(channel=place.channel, ts=place.ts, **said))

    async def answer(self, url: str, text: str) -> None:
        """Say something to one person alone, at the `response_url` of their press. Raises `ConnectorError`."""
        body = {"text": escaped(text, _ANSWER), "response_type": "ephemeral", "replace_original": False}
        await self._post_by_webhook(SecretStr(url), body, "response_url")

    async def attach(self, file: File, place: Place) -> None:
        """Attach a file in the thread of a message. Raises `ConnectorError`."""
        uploading = self._client().files_upload_v2(
            channel=place.channel,
            thread_ts=place.thread or place.ts,
            filename=file.name,
            title=file.name,
            content=file.content,
        )
        await _call("file upload", uploading)

    async def _post_by_webhook(self, url: SecretStr, body: dict[str, Any], what: str = "incoming webhook") -> None:
        client = AsyncWebhookClient(
            url.get_secret_value(), session=cast(Any, self._open_session()), logger=self._logger, retry_handlers=[]
        )
        client.proxy = None
        answer = await _call(what, client.send_dict(body))
        said = answer.body.strip() if isinstance(answer.body, str) else ""
        if answer.status_code == 200 and said in _YES:
            return
        if 200 <= answer.status_code < 400:
            raise AmbiguousError(f"Slack {what}: HTTP {answer.status_code}, not the documented `ok`")
        code = said if _CODE.fullmatch(said) else f"HTTP {answer.status_code}"
        raise refusal(code, status=answer.status_code, headers=answer.headers, what=what)

    def _client(self) -> AsyncWebClient:
        token = self.config.bot_token
        if token is None:
            raise ConfigError(f"connection {self.context.name}: this needs bot_token and channel")
        client = AsyncWebClient(
            token=token.get_secret_value(),
            base_url=self.config.base_url,
            session=cast(Any, self._open_session()),
            logger=self._logger,
            retry_handlers=[],
        )
        client.proxy = None
        return client

    def _open_session(self) -> aiohttp.ClientSession | TransportSession:
        if self._closed:
            raise TransientError(f"connection {self.context.name} is closed")
        if self._session is None and self.context.transport is not None:
            # Only here, for it needs httpx, which a server does without.
            from crossdock_slack.session import TransportSession

            self._session = TransportSession(self.context.transport)
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, trust_env=False)
        return self._session

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


async def _call(what: str, call: Awaitable[Result]) -> Result:
    """Await a call of slack-sdk; no exception of others leaves."""
    try:
        return await call
    except SlackRequestError:
        # Raised before anything is sent, or for the upload step, which shows nothing to anybody yet.
        told: ConnectorError = TransientError(f"Slack {what}: the upload was refused")
    except Exception as error:
        told = translated(error, what)
    raise told
