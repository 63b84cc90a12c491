"""A connector for Acme, a shop, as somebody else would write it: on `crossdock_sdk` alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from crossdock_sdk import (
    Action,
    ApiClient,
    BearerAuth,
    Connection,
    ConnectionConfig,
    Context,
    Customer,
    Event,
    EventSpec,
    NotFoundError,
    PayloadError,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Transform,
    WebhookRequest,
    hookimpl,
)
from crossdock_sdk.webhooks import SignedWebhook, json_body, verify_hmac
from pydantic import SecretStr


class AcmeConfig(ConnectionConfig):
    api_key: SecretStr
    webhook: SignedWebhook


class AcmeConnection(Connection):
    connector = "acme"
    Config = AcmeConfig

    def __init__(self, config: AcmeConfig, context: Context) -> None:
        super().__init__(config, context)
        self.api = ApiClient(config.base_url, context, auth=BearerAuth(config.api_key))

    async def close(self) -> None:
        await self.api.close()


class Order(Record):
    id: str
    buyer: str
    total: Decimal


class AcmeSource(Source):
    connection_class = AcmeConnection
    events = (EventSpec("order.placed", {"order": Order}, ("order.id",)),)

    def verify(self, request: WebhookRequest) -> None:
        secret = self.connection.config.webhook.verifier_token
        verify_hmac(request, secret, header="X-Acme-Signature", prefix="sha256=")

    def parse(self, request: WebhookRequest) -> list[Event]:
        body = json_body(request)
        try:
            order = str(body["order"])
            return [Event("order.placed", str(body["id"]), order, {"order": {"id": order}})]
        except (KeyError, TypeError):
            raise PayloadError("an Acme delivery has id and order") from None

    async def hydrate(self, event: Event) -> dict[str, Record]:
        reply = await self.connection.api.get(f"/orders/{event.subject}")
        return {"order": Order.model_validate(reply.json())}


class ContactCreate(Action[Customer]):
    name = "contact.create"
    redo = Redo.LOOKUP
    object = "contact"

    async def apply(self, data: Customer, key: str) -> Receipt:
        body = {"name": data.name, "external_id": key}
        reply = await self.connection.api.post("/contacts", json=body)
        return Receipt(id=reply.require("contact", "id"))

    async def recover(self, data: Customer, key: str) -> Receipt | None:
        reply = await self.connection.api.get("/contacts", params={"external_id": key})
        found = reply.require("contacts")
        return Receipt(id=found[0]["id"]) if found else None

    async def undo(self, receipt: Receipt) -> None:
        try:
            await self.connection.api.delete(f"/contacts/{receipt.id}")
        except NotFoundError:
            return


class AcmeSink(Sink):
    connection_class = AcmeConnection
    actions = (ContactCreate,)


class Shout(Transform):
    name = "shout"
    summary = "in capitals, with an exclamation mark"

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return f"{value}!".upper()


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [AcmeSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [AcmeSink]


@hookimpl
def crossdock_transforms() -> list[type[Transform]]:
    return [Shout]
