"""One Asana account: its settings, its client, and what its errors mean to us."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from crossdock_sdk import (
    ApiClient,
    BearerAuth,
    Checked,
    ConfigError,
    Connection,
    ConnectionConfig,
    ConnectorError,
    Context,
    Headroom,
    Limits,
    NotFoundError,
    OAuth2Refresh,
    RejectedError,
    Reply,
)
from pydantic import Field, SecretStr, model_validator

PAGE = 100
"""The most that Asana returns at once (OpenAPI document, parameter `limit`)."""

Gid = Annotated[str, Field(pattern=r"^[0-9]+$")]

_FIELD = re.compile(r"^([a-z_]+(?:: \[\d+\])*(?:: [a-z_]+)?): ")
_CUSTOM_FIELD = re.compile(r"Custom field with ID (\d+)")


class AsanaConfig(ConnectionConfig):
    """`access_token` (a personal access or service account token), or OAuth's `client_id` and the rest.

    The OAuth refresh token may also come from the vault. `requests_per_minute` keeps below a plan's limit, 150 on
    a free and 1500 on a paid one (Asana docs, 'Rate limits'); without it the connection waits when Asana says so.
    """

    base_url: str = Field(default="https://app.asana.com/api/1.0", description="the API")
    token_url: str = Field(default="https://app.asana.com/-/oauth_token", description="where tokens are refreshed")
    access_token: SecretStr | None = Field(
        default=None, min_length=1, description="a personal access token, or a service account's"
    )
    client_id: str | None = Field(default=None, min_length=1, description="of an OAuth app, instead of access_token")
    client_secret: SecretStr | None = Field(default=None, min_length=1, description="of the OAuth app")
    refresh_token: SecretStr | None = Field(default=None, min_length=1, description="the first; newer ones are kept")
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="keeps below the plan's limit; none: waits when Asana answers 429"
    )
    projects: tuple[Gid, ...] = Field(default=(), description="whose tasks are watched; ids, needed for events only")

    @model_validator(mode="after")
    def _one_way_in(self) -> AsanaConfig:
        oauth = (self.client_id, self.client_secret, self.refresh_token)
        if self.access_token and any(oauth):
            raise ValueError("give access_token, or OAuth's client_id, client_secret and refresh_token, not both")
        if not self.access_token and not (self.client_id and self.client_secret):
            raise ValueError("give access_token, or OAuth's client_id, client_secret and refresh_token")
        return self


class SyncLapsedError(RejectedError):
    """The sync token is missing or too old (412); `sync` is a new one, for what happens from now on."""

    def __init__(self, message: str, sync: str) -> None:
        super().__init__(message, status=412)
        self.sync = sync


class AsanaConnection(Connection):
    """`api` for single calls, `pages` for lists."""

    connector = "asana"
    Config = AsanaConfig
    config: AsanaConfig

    def __init__(self, config: AsanaConfig, context: Context) -> None:
        super().__init__(config, context)
        self.api = ApiClient(
            config.base_url,
            context,
            auth=_auth(config, context),
            limits=Limits(concurrency=15, requests=config.requests_per_minute, per=60.0),
            errors=asana_error,
        )

    @property
    def sets_external(self) -> bool:
        """Whether our key can be a task's `external.gid`: for OAuth apps only (OpenAPI, `TaskBase`)."""
        return self.config.access_token is None

    def watched(self) -> tuple[str, ...]:
        """The projects whose events are wanted. Raises `ConfigError` if none is named."""
        if not self.config.projects:
            name = self.context.name
            raise ConfigError(f'connection {name} watches nothing: name its projects, such as projects: ["1201"]')
        return tuple(dict.fromkeys(self.config.projects))

    async def pages(self, path: str, params: Mapping[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
        """The pages of a list, in Asana's order; an offset lives some minutes, so read on without a pause."""
        offset: str | None = None
        while True:
            reply = await self.api.get(path, params={**params, "limit": PAGE, "offset": offset})
            items = reply.require("data")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise reply.unusable("`data` is not a list of objects")
            yield items
            following = reply.json().get("next_page")
            if following is None:
                return
            last, offset = offset, following.get("offset") if isinstance(following, dict) else None
            if not isinstance(offset, str) or offset == last:
                raise reply.unusable("`next_page` has no new offset")

    @property
    def headroom(self) -> Headroom:
        return self.api.headroom

    async def check(self) -> Checked:
        """The token's user (OpenAPI document, `getUser` with `me`)."""
        reply = await self.api.get("users/me", params={"opt_fields": "name"})
        return Checked(str(reply.require("data", "name")), reply.date)

    async def close(self) -> None:
        await self.api.close()


def segment(value: str) -> str:
    """An id or address as one segment of a path."""
    return quote(value, safe="@:")


def _auth(config: AsanaConfig, context: Context) -> BearerAuth | OAuth2Refresh:
    if config.access_token is not None:
        return BearerAuth(config.access_token)
    if config.client_id is None or config.client_secret is None:
        raise ConfigError(f"connection {context.name}: OAuth needs client_id and client_secret")
    return OAuth2Refresh(
        context,
        token_url=config.token_url,
        client_id=config.client_id,
        client_secret=config.client_secret,
        refresh_token=config.refresh_token,
        basic=False,
    )


def asana_error(reply: Reply) -> ConnectorError | None:
    """Asana's 4xx replies in our terms; None leaves 401, 408, 429 and 5xx to the client's own mapping."""
    if reply.status < 400 or reply.status >= 500 or reply.status in {401, 408, 429}:
        return None
    said = _said(reply)
    if reply.status == 402:
        return ConfigError(f"Asana's plan does not include this: {said}", status=402)
    if reply.status == 403:
        return ConfigError(f"Asana refuses access: {said} Give the token's user (or its scopes) access.", status=403)
    if reply.status == 412 and isinstance(reply.json().get("sync"), str):
        return SyncLapsedError(f"Asana: {said}", reply.json()["sync"])
    kind = NotFoundError if reply.status in {404, 410} else RejectedError
    return kind(f"Asana: {said}", status=reply.status, field=_field_in(said))


def _said(reply: Reply) -> str:
    """Asana's own message, all of them if several."""
    try:
        body = reply.json()
    except ConnectorError:
        body = None
    errors = body.get("errors") if isinstance(body, dict) else None
    messages = [e["message"] for e in errors or () if isinstance(e, dict) and isinstance(e.get("message"), str)]
    return "; ".join(messages) or f"HTTP {reply.status} without a message"


def _field_in(said: str) -> str | None:
    custom = _CUSTOM_FIELD.search(said)
    if custom:
        return f"custom_fields.{custom[1]}"
    named = _FIELD.match(said)
    return named[1].replace(": [", "[").replace(": ", ".") if named else None
