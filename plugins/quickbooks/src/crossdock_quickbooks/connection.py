"""One QuickBooks Online company: settings, tokens, limits and the few kinds of calls that the API has."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote, urlencode

from crossdock_sdk import (
    ApiClient,
    AuthError,
    Checked,
    Connection,
    ConnectionConfig,
    Context,
    Headroom,
    Limits,
    NotFoundError,
    OAuth2Refresh,
    RejectedError,
    Reply,
    TransientError,
)
from crossdock_sdk.models import Id
from crossdock_sdk.webhooks import SignedWebhook
from pydantic import Field, SecretStr, model_validator

from crossdock_quickbooks.changes import Told, in_order, told
from crossdock_quickbooks.currencies import Currencies, KnownCurrencies
from crossdock_quickbooks.errors import GONE, STALE, error_of
from crossdock_quickbooks.query import CHANGED, PAGE, select, since

Done = TypeVar("Done")

PRODUCTION = "https://quickbooks.api.intuit.com"
SANDBOX = "https://sandbox-quickbooks.api.intuit.com"
TOKEN_URL = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105 - an address, not a token

_APP = {"production": "https://app.qbo.intuit.com/app", "sandbox": "https://app.sandbox.qbo.intuit.com/app"}
_VERSION = "75"
_LONGEST_URL_QUERY = 1500


class QuickBooksConfig(ConnectionConfig):
    """`environment` chooses the host; an explicit `base_url` wins. Simulators need `token_url` too."""

    realm_id: Id = Field(description="the company; comes with the redirect when the app is connected")
    client_id: str = Field(min_length=1, description="of the app, from its keys at developer.intuit.com")
    client_secret: SecretStr = Field(min_length=1, description="of the app")
    refresh_token: SecretStr | None = Field(
        default=None, description="the first; the vault's newer one wins while it works"
    )
    environment: Literal["production", "sandbox"] = Field(
        default="production", description="chooses the host, where base_url does not"
    )
    base_url: str = Field(default=PRODUCTION, description="the API's host; an explicit one wins over the environment's")
    token_url: str = Field(default=TOKEN_URL, description="where tokens are refreshed")
    webhook: SignedWebhook | None = Field(
        default=None, description="verifier_token: of the app's webhooks; none: deliveries are refused"
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="keeps below QuickBooks' 500 a minute and company, shared by all its apps"
    )

    @model_validator(mode="before")
    @classmethod
    def _environment_sets_the_host(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("base_url"):
            host = SANDBOX if given.get("environment") == "sandbox" else PRODUCTION
            return {**given, "base_url": host}
        return given


class QuickBooksConnection(Connection):
    """The company's API. Every reply has been checked for faults; records are QuickBooks' own JSON."""

    connector: ClassVar[str] = "quickbooks"
    Config: ClassVar[type[ConnectionConfig]] = QuickBooksConfig
    config: QuickBooksConfig

    def __init__(self, config: QuickBooksConfig, context: Context) -> None:
        super().__init__(config, context)
        auth = OAuth2Refresh(
            context,
            token_url=config.token_url,
            client_id=config.client_id,
            client_secret=config.client_secret,
            refresh_token=config.refresh_token,
            # Intuit's own field, in seconds (Intuit docs, "OAuth 2.0", the answer to a refresh).
            refresh_lifetime="x_refresh_token_expires_in",
        )
        self._app = _APP[config.environment]
        self._client = ApiClient(
            f"{config.base_url.rstrip('/')}/v3/company/{quote(config.realm_id, safe='')}",
            context,
            auth=auth,
            # Intuit docs, "Limits and throttles": 10 requests at once for an app and company.
            limits=Limits(concurrency=10, requests=config.requests_per_minute, per=60.0),
            errors=lambda reply: error_of(reply, context.now(), context.redactor),
            headers={"accept": "application/json"},
        )
        self.currencies = KnownCurrencies(self._currencies, context.now)

    @property
    def account(self) -> str:
        """The company by its realm: hosts, apps and tokens may change. Sandboxes number theirs apart."""
        return self.account_of(self.config.realm_id)

    def account_of(self, realm: str) -> str:
        """Any company of the same app, as `account` would be for it."""
        known = f"{self.connector}:{realm}"
        return known if self.config.environment == "production" else f"{known}:{self.config.environment}"

    @property
    def headroom(self) -> Headroom:
        return self._client.headroom

    async def check(self) -> Checked:
        """The company by its name (API reference, `CompanyInfo`, 'Read')."""
        reply = await self._client.get(self._path(f"companyinfo/{quote(self.config.realm_id, safe='')}"))
        return Checked(str(reply.require("CompanyInfo", "CompanyName")), reply.date)

    async def close(self) -> None:
        await self._client.close()

    def app_url(self, page: str, **params: str) -> str:
        """A page of QuickBooks' own UI."""
        return f"{self._app}/{page}?{urlencode(params)}"

    async def read(self, entity: str, ident: str) -> dict[str, Any]:
        """One record by id. Raises `NotFoundError`, also for one that is answered with `status: Deleted`."""
        reply = await self._client.get(self._path(f"{entity.lower()}/{quote(ident, safe='')}"))
        found = record(reply, entity)
        if found.get("status") == "Deleted":
            raise NotFoundError(f"QuickBooks: {entity.lower()} {ident} is deleted", code=GONE, status=reply.status)
        reply.require(entity, "SyncToken")
        return found

    async def create(self, entity: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Create one record. The same `key` (at most 50 characters) again gives the first reply again."""
        path = self._path(entity.lower(), requestid=key)
        return record(await self._client.post(path, json=body), entity)

    async def change(self, entity: str, body: dict[str, Any], operation: str | None = None) -> dict[str, Any]:
        """Update, delete or void one record; `body` carries its `Id` and `SyncToken`."""
        path = self._path(entity.lower(), operation=operation)
        return record(await self._client.post(path, json=body), entity)

    async def send_invoice(self, ident: str, to: str | None, key: str) -> dict[str, Any]:
        """Have QuickBooks mail one invoice."""
        path = self._path(f"invoice/{quote(ident, safe='')}/send", sendTo=to, requestid=key)
        reply = await self._client.post(path, headers={"content-type": "application/octet-stream"})
        return record(reply, "Invoice")

    async def find(self, entity: str, *conditions: str) -> list[dict[str, Any]]:
        """All records that meet every condition, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._page(entity, select(entity, *conditions, start=len(found) + 1))
            found += page
            if len(page) < PAGE:
                return found

    async def changed(self, entities: Sequence[str], after: datetime) -> Told:
        """What was changed since an instant, by change data capture: one call for all entities."""
        asked = after.astimezone(UTC).isoformat(timespec="seconds")
        reply = await self._client.get(self._path("cdc", entities=",".join(entities), changedSince=asked))
        return told(reply, entities)

    async def changed_from(self, entity: str, at: datetime, start: int) -> list[dict[str, Any]]:
        """One page of the records whose last change was at `at` or later, oldest change first; row 1 is the first."""
        asked = since(CHANGED, at)
        rows = await self._page(entity, select(entity, asked, order=CHANGED, start=start))
        return in_order(rows, entity)

    async def preferences(self) -> dict[str, Any]:
        """The company's settings."""
        reply = await self._client.get(self._path("preferences"))
        found = reply.require("Preferences")
        if not isinstance(found, dict):
            raise reply.unusable("Preferences is not an object")
        return found

    async def _currencies(self) -> Currencies:
        try:
            return Currencies.of(await self.preferences())
        except (RejectedError, AuthError) as error:
            # Whose credentials are refused altogether hears it from the write; these may only lack the settings.
            self.context.logger.warning("whether amounts are in a currency of the books is not known: %s", error)
            return Currencies()

    async def _page(self, entity: str, statement: str) -> list[dict[str, Any]]:
        # `quote`, for `+` would have to mean a space in one place and itself in another.
        encoded = quote(statement, safe="")
        if len(encoded) <= _LONGEST_URL_QUERY:
            reply = await self._client.get(f"{self._path('query')}&query={encoded}")
        else:
            kind = {"content-type": "application/text"}
            reply = await self._client.post(self._path("query"), content=statement, headers=kind, write=False)
        rows = reply.require("QueryResponse")
        rows = rows.get(entity, []) if isinstance(rows, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("Id") for row in rows):
            raise reply.unusable(f"QueryResponse.{entity} is not a list of records")
        return [{**row, "Id": str(row["Id"])} for row in rows]

    def _path(self, path: str, **params: str | None) -> str:
        known = {"minorversion": _VERSION} | {k: v for k, v in params.items() if v is not None}
        return f"{path}?{urlencode(known, quote_via=quote)}"


def record(reply: Reply, entity: str) -> dict[str, Any]:
    """The record in a reply; anything else is not taken for success."""
    found = reply.require(entity)
    if not isinstance(found, dict):
        raise reply.unusable(f"{entity} is not an object")
    return {**found, "Id": str(reply.require(entity, "Id"))}


def inner(row: dict[str, Any], name: str, key: str = "value") -> str | None:
    """The text in `{name: {key: text}}`, such as a reference's id; None if it is not there."""
    found = row.get(name)
    value = found.get(key) if isinstance(found, dict) else None
    return None if value in (None, "") else str(value)


def derived_key(key: str, purpose: str) -> str:
    """A second key that is the same in every try, for a second write within one action."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key}:{purpose}"))


async def on_newest(attempt: Callable[[], Awaitable[Done]]) -> Done:
    """Run `attempt`, which reads a record and then changes it; once more if it was changed in between (5010).

    A payment raises an invoice's version as well, so a version that was kept from earlier is never trusted.
    """
    try:
        return await attempt()
    except RejectedError as error:
        if error.code != STALE:
            raise
    try:
        return await attempt()
    except RejectedError as error:
        if error.code != STALE:
            raise
        raise TransientError(f"somebody else keeps changing the record; {error.message}", code=STALE) from None
