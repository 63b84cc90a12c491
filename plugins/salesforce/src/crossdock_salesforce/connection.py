"""One Salesforce org: its settings, its tokens, and the few kinds of calls that the connector makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from crossdock_sdk import (
    ApiClient,
    Checked,
    ConfigError,
    Connection,
    ConnectionConfig,
    Context,
    Headroom,
    Limits,
    OAuth2Minted,
    OAuth2Refresh,
    RejectedError,
    Reply,
    TransientError,
    client_credentials,
)
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from crossdock_salesforce import soql
from crossdock_salesforce.assertion import jwt_bearer, rsa_key
from crossdock_salesforce.errors import MISSHAPEN, calls_left, error_of
from crossdock_salesforce.fields import Descriptions, ObjectFields
from crossdock_salesforce.stages import Stages, StagesOnce
from crossdock_salesforce.values import is_id

_CONCURRENCY = 10
_ROOT = "/services/data/"
_LOGIN = "https://login.salesforce.com"
_OBJECT_NAME = 80


class TokenWebhook(BaseModel):
    """`webhook: {token}`: the secret in the address that Outbound Messages are sent to, as `?token=…`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: SecretStr = Field(min_length=16, description="unguessable, such as from `openssl rand -hex 32`")


class SalesforceConfig(ConnectionConfig):
    """The routing file's keys: how the app proves itself is told by which of them are given."""

    base_url: str = Field(description="the My Domain address, https://<company>.my.salesforce.com")
    client_id: str = Field(min_length=1, description="consumer key of the External Client App")
    client_secret: SecretStr | None = Field(
        default=None, min_length=1, description="consumer secret; alone: the client credentials of the app"
    )
    refresh_token: SecretStr | None = Field(default=None, min_length=1, description="the first; newer ones are kept")
    username: str | None = Field(default=None, min_length=1, description="JWT bearer: the integration user")
    private_key: SecretStr | None = Field(default=None, min_length=1, description="JWT bearer: RSA key in PEM")
    audience: str = Field(default=_LOGIN, description="JWT bearer: https://test.salesforce.com for a sandbox")
    token_url: str | None = Field(default=None, description="default: base_url/services/oauth2/token")
    api_version: str = Field(default="66.0", pattern=r"^\d{2,3}\.0$", description="of the REST API")
    organization_id: str | None = Field(default=None, description="whose Outbound Messages are taken; none: any org's")
    currency: str | None = Field(
        default=None, pattern=r"^[A-Z]{3}$", description="of an org with one currency, which its records do not tell"
    )
    key_field: str = Field(
        default="Crossdock_Key__c", description="the unique external id field that record.create is found by"
    )
    webhook: TokenWebhook | None = Field(
        default=None, description="token: the secret in the address of Outbound Messages; none: they are refused"
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError("base_url is to be like https://acme.my.salesforce.com")
        if parts.hostname in ("login.salesforce.com", "test.salesforce.com"):
            raise ValueError("base_url is to be the org's own My Domain address, like https://acme.my.salesforce.com")
        return url.rstrip("/")

    @field_validator("private_key")
    @classmethod
    def _rsa(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            rsa_key(key.get_secret_value())
        return key

    @field_validator("organization_id")
    @classmethod
    def _an_id(cls, org: str | None) -> str | None:
        if org is not None and not is_id(org):
            raise ValueError("organization_id has 15 or 18 characters (Setup > Company Information)")
        return org

    @model_validator(mode="after")
    def _one_way_to_prove_it(self) -> SalesforceConfig:
        by_key = self.private_key is not None or self.username is not None
        if by_key and (self.private_key is None or self.username is None or self.client_secret or self.refresh_token):
            raise ValueError("JWT bearer takes username and private_key, and no client_secret or refresh_token")
        if not by_key and self.client_secret is None:
            raise ValueError(
                "give client_secret and refresh_token, or client_secret alone (client credentials), "
                "or username and private_key (JWT bearer)"
            )
        return self


class SalesforceConnection(Connection):
    """The org behind `base_url`. Records are Salesforce's own JSON."""

    connector: ClassVar[str] = "salesforce"
    Config: ClassVar[type[ConnectionConfig]] = SalesforceConfig
    config: SalesforceConfig

    def __init__(self, config: SalesforceConfig, context: Context) -> None:
        super().__init__(config, context)
        self.client = ApiClient(
            config.base_url,
            context,
            auth=_auth(config, context),
            # Salesforce limits calls that last 20 s or more to 25 at once (5 in Developer Edition).
            limits=Limits(concurrency=_CONCURRENCY),
            errors=error_of,
            quotas=calls_left,
        )
        self.fields = Descriptions(self._describe, context.now)
        self.stages = StagesOnce(self._stages, context.now)

    @property
    def account(self) -> str:
        """The org by its My Domain host: apps, users and tokens may change."""
        return f"{self.connector}:{urlsplit(self.config.base_url).hostname}"

    @property
    def headroom(self) -> Headroom:
        return self.client.headroom

    async def check(self) -> Checked:
        """The version's resources, for which API access is enough (REST guide, 'List Available REST Resources')."""
        reply = await self.client.get(self.path(""))
        reply.require("sobjects")
        return Checked(f"the org at {urlsplit(self.config.base_url).hostname}", reply.date)

    async def close(self) -> None:
        await self.client.close()

    def path(self, *parts: str) -> str:
        """A path of the REST API; each part is encoded whole."""
        return f"{_ROOT}v{self.config.api_version}/" + "/".join(quote(part, safe="") for part in parts)

    def url(self, record: str) -> str:
        """The record's page in Salesforce's UI, which finds out by itself what kind it is."""
        return f"{self.config.base_url}/{record}"

    async def record(self, name: str, record: str, fields: Sequence[str]) -> dict[str, Any]:
        """Some fields of one record. Raises `NotFoundError`, also for one in the Recycle Bin."""
        path = self.path("sobjects", object_name(name), record_id(record))
        return _object(await self.client.get(path, params={"fields": ",".join(["Id", *fields])}))

    async def page(self, statement: str) -> tuple[list[dict[str, Any]], bool]:
        """The first page of a query's rows, and whether there are more."""
        reply = await self.client.get(self.path("query"), params={"q": statement})
        return _rows(reply, reply.json())[:2]

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        """All rows of a query, page by page."""
        reply = await self.client.get(self.path("query"), params={"q": statement})
        return await self._rest(reply, reply.json())

    async def children(self, value: Any) -> list[dict[str, Any]]:
        """All rows of a subquery's result within a row; null is none."""
        if value is None:
            return []
        if not isinstance(value, dict) or not isinstance(value.get("records"), list):
            raise TransientError("a subquery's result is neither null nor {done, records}")
        first = [dict(row) for row in value["records"]]
        if value.get("done") is True:
            return first
        reply = await self.client.get(_below(value.get("nextRecordsUrl")))
        return first + await self._rest(reply, reply.json())

    async def _rest(self, reply: Reply, body: Any) -> list[dict[str, Any]]:
        found, more, following = _rows(reply, body)
        seen = {following}
        while more:
            if following is None:
                raise reply.unusable("it says that there are more rows, and not where")
            reply = await self.client.get(_below(following))
            rows, more, following = _rows(reply, reply.json())
            found += rows
            if more and following in seen:
                raise reply.unusable("nextRecordsUrl does not move on")
            seen.add(following)
        return found

    async def _describe(self, name: str) -> ObjectFields:
        reply = await self.client.get(self.path("sobjects", object_name(name), "describe"))
        rows = reply.require("fields")
        try:
            return ObjectFields.described(name, rows)
        except MISSHAPEN as error:
            raise reply.unusable(f"the description is not as documented: {error}") from None

    async def _stages(self) -> Stages:
        columns = ("MasterLabel", "ApiName", "IsActive", "IsClosed", "IsWon")
        rows = await self.rows(soql.select(columns, "OpportunityStage"))
        try:
            return Stages.of(rows)
        except MISSHAPEN as error:
            raise TransientError(f"the org's stages are not as documented: {error}") from None


def _auth(config: SalesforceConfig, context: Context) -> OAuth2Refresh | OAuth2Minted:
    token_url = config.token_url or f"{config.base_url}/services/oauth2/token"
    if config.private_key is not None and config.username is not None:
        key = rsa_key(config.private_key.get_secret_value())
        names = {"issuer": config.client_id, "subject": config.username, "audience": config.audience}
        form = jwt_bearer(key, now=lambda: context.now().astimezone(UTC), **names)
        return OAuth2Minted(context, token_url=token_url, form=form)
    if config.client_secret is None:
        raise ConfigError(f"connection {context.name} has neither client_secret nor private_key")
    if config.refresh_token is None:
        form = client_credentials(config.client_id, config.client_secret)
        return OAuth2Minted(context, token_url=token_url, form=form)
    return OAuth2Refresh(
        context,
        token_url=token_url,
        client_id=config.client_id,
        client_secret=config.client_secret,
        refresh_token=config.refresh_token,
        basic=False,
    )


def record_id(text: str) -> str:
    """An id as Salesforce writes it. Raises `RejectedError` for text that cannot be one."""
    if not is_id(text):
        raise RejectedError(f"{text!r} is not a Salesforce id; ids have 15 or 18 letters and digits", field="id")
    return text


def object_name(text: str) -> str:
    """An object's API name. Raises `RejectedError` for text that cannot be one."""
    if not (text.isascii() and text.replace("_", "").isalnum() and len(text) <= _OBJECT_NAME):
        raise RejectedError(f"{text!r} is not the API name of an object, like Account or Order__c", field="object")
    return text


def _below(following: Any) -> str:
    """A `nextRecordsUrl`, which is a path of the same host; credentials go nowhere else."""
    if not isinstance(following, str) or not following.startswith(_ROOT):
        raise TransientError("nextRecordsUrl is not a path of the REST API")
    return following


def _object(reply: Reply) -> dict[str, Any]:
    row = reply.json()
    if not isinstance(row, dict) or not isinstance(row.get("Id"), str):
        raise reply.unusable("the record is not an object with an Id")
    return row


def _rows(reply: Reply, body: Any) -> tuple[list[dict[str, Any]], bool, str | None]:
    rows = body.get("records") if isinstance(body, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or "done" not in body:
        raise reply.unusable("a query's reply is not {done, records}")
    return list(rows), body["done"] is not True, body.get("nextRecordsUrl")
