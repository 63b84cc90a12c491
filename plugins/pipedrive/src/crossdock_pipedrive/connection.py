"""One Pipedrive company account: its settings, its client, and what its error replies mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from crossdock_sdk import (
    ApiClient,
    Checked,
    Connection,
    ConnectionConfig,
    Context,
    HeaderAuth,
    Headroom,
    Limits,
    NotFoundError,
    RejectedError,
)
from crossdock_sdk.webhooks import BasicWebhook
from pydantic import Field, SecretStr, field_validator

from crossdock_pipedrive.fields import FieldMap, FieldMaps, Kind, custom_field
from crossdock_pipedrive.replies import MISSHAPEN, ErrorReplies, burst_left, quotas_left

Row = TypeVar("Row")

_PAGE = 500


class PipedriveConfig(ConnectionConfig):
    """The routing file's keys for a Pipedrive connection."""

    base_url: str = Field(default="https://acme.pipedrive.com", description="https://<company>.pipedrive.com")
    api_token: SecretStr = Field(min_length=1, description="Settings > Personal preferences > API")
    webhook: BasicWebhook | None = Field(
        default=None, description="HTTP Basic user and password that the webhook was registered with"
    )
    burst: int | None = Field(
        default=None,
        ge=1,
        description="at most so many requests in two seconds; without it Pipedrive's own x-ratelimit headers count",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError("base_url is to be like https://acme.pipedrive.com")
        return url.rstrip("/")


class PipedriveConnection(Connection):
    """The account that `api_token` belongs to. Burst limits count per token (docs, 'Rate limiting')."""

    connector: ClassVar[str] = "pipedrive"
    Config: ClassVar[type[ConnectionConfig]] = PipedriveConfig
    config: PipedriveConfig

    def __init__(self, config: PipedriveConfig, context: Context) -> None:
        super().__init__(config, context)
        self.client = ApiClient(
            config.base_url,
            context,
            auth=HeaderAuth("x-api-token", config.api_token),
            limits=Limits(concurrency=10, requests=config.burst, per=2.0),
            errors=ErrorReplies(context.now),
            pause=burst_left,
            quotas=lambda reply: quotas_left(reply, context.now()),
        )
        self.fields = FieldMaps(self._field_map, context.now)

    @property
    def account(self) -> str:
        """The company by its own host; the token, which every user may renew, does not tell it."""
        return f"{self.connector}:{urlsplit(self.config.base_url).hostname}"

    @property
    def headroom(self) -> Headroom:
        return self.client.headroom

    async def check(self) -> Checked:
        """The token's user (API reference, 'Get current user data')."""
        reply = await self.client.get("/api/v1/users/me")
        name, company = reply.require("data", "name"), reply.require("data", "company_name")
        return Checked(f"{name} at {company}", reply.date)

    async def close(self) -> None:
        await self.client.close()

    async def deal(self, deal_id: str) -> dict[str, Any]:
        """The deal's JSON. Raises `NotFoundError` also for one in the bin, where it stays for 30 days."""
        deal = await self.record(f"/api/v2/deals/{number(deal_id)}", lambda row: row)
        if deal.get("is_deleted") or deal.get("status") == "deleted":
            raise NotFoundError(f"deal {deal_id} is deleted in Pipedrive; restore it there to go on")
        return deal

    async def record(self, path: str, build: Callable[[dict[str, Any]], Row]) -> Row:
        """`build` of the reply's `data`. A record that `build` trips over is an unusable reply."""
        reply = await self.client.get(path)
        data = reply.require("data")
        try:
            return build(_record(data))
        except MISSHAPEN as error:
            raise reply.unusable(f"the record is not as documented: {error}") from None

    async def listed(self, path: str, build: Callable[[dict[str, Any]], Row]) -> list[Row]:
        """`build` of every row over all pages of a v2 list (docs, 'Pagination': limit 500 and a cursor)."""
        rows: list[Row] = []
        cursor: str | None = None
        while True:
            reply = await self.client.get(path, params={"limit": _PAGE, "cursor": cursor})
            data = reply.require("data")
            try:
                rows += [build(_record(row)) for row in data]
                following = ((reply.json().get("additional_data") or {}).get("next_cursor")) or None
            except MISSHAPEN as error:
                raise reply.unusable(f"the list is not as documented: {error}") from None
            if following is None:
                return rows
            if following == cursor:
                raise reply.unusable("the list's next_cursor does not move on")
            cursor = following

    def url(self, kind: str, record_id: str) -> str | None:
        """Deep link into Pipedrive's UI; None where `base_url` is the API host that all companies share."""
        if urlsplit(self.config.base_url).hostname == "api.pipedrive.com":
            return None
        return f"{self.config.base_url}/{kind}/{record_id}"

    async def _field_map(self, kind: Kind) -> FieldMap:
        fields = await self.listed(f"/api/v2/{kind}Fields", custom_field)
        return FieldMap.named_by_label(field for field in fields if field is not None)


def number(record_id: str) -> int:
    """An id as Pipedrive writes it. Raises `RejectedError` for text that cannot be one."""
    if not (record_id.isascii() and record_id.isdigit()):
        raise RejectedError(f"{record_id!r} is not a Pipedrive id; ids are whole numbers", field="id")
    return int(record_id)


def _record(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"a record is {type(data).__name__}, not an object")
    if not isinstance(data.get("custom_fields"), (dict, type(None))):
        raise TypeError("custom_fields is no object")
    return data
