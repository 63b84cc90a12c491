"""A connector whose vendor agrees a secret in a handshake, as somebody else would write it; and three others beside it.

`beacon` makes handshakes, `buoy` has an API for webhooks without them, `flag` has no API, and `diary` sends none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    ApiClient,
    Connection,
    ConnectionConfig,
    Context,
    Event,
    EventSpec,
    Handshake,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Subscribable,
    Subscription,
    VerificationError,
    WebhookReply,
    WebhookRequest,
    hookimpl,
)
from crossdock_sdk.webhooks import json_body

SECRET = "x-beacon-secret"
SIGNATURE = "x-beacon-signature"


class Light(Record):
    id: str


class BeaconConnection(Connection):
    connector = "beacon"
    Config = ConnectionConfig

    def __init__(self, config: ConnectionConfig, context: Context) -> None:
        super().__init__(config, context)
        self.api = ApiClient(config.base_url, context)

    async def close(self) -> None:
        await self.api.close()


class BeaconSource(Subscribable):
    connection_class = BeaconConnection
    events = (
        EventSpec("light.on", {"light": Light}, ("light.id",)),
        EventSpec("light.off", {"light": Light}, ("light.id",)),
    )
    agrees_secrets = True

    def handshake(self, request: WebhookRequest) -> Handshake | None:
        secret = request.headers.get(SECRET)
        return None if secret is None else Handshake(WebhookReply(headers={SECRET: secret}), secret)

    def verify(self, request: WebhookRequest) -> None:
        given = request.headers.get(SIGNATURE, "")
        for secret in request.secrets:
            if hmac.compare_digest(signature(secret, request.body), given):
                return
        raise VerificationError("no agreed secret opens the delivery")

    def parse(self, request: WebhookRequest) -> list[Event]:
        body = json_body(request)
        return [Event(body["topic"], str(body["id"]), str(body["light"]), {"light": {"id": str(body["light"])}})]

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {"light": Light(id=event.subject)}

    async def wanted(self, url: str, events: Sequence[str]) -> list[Subscription]:
        return [Subscription(event, url) for event in events]

    async def subscriptions(self) -> list[Subscription]:
        reply = await self.connection.api.get("/hooks")
        return [Subscription(h["topic"], h["url"], h["id"], h["trouble"]) for h in reply.json()]

    async def subscribe(self, wanted: Subscription, delivery_url: str) -> Subscription:
        reply = await self.connection.api.post("/hooks", json={"topic": wanted.topic, "url": delivery_url})
        return Subscription(wanted.topic, delivery_url, str(reply.require("id")))

    async def unsubscribe(self, subscription: Subscription) -> None:
        await self.connection.api.delete(f"/hooks/{subscription.id}")


class Noted(Action[Light]):
    name = "light.note"
    redo = Redo.UPSERT

    async def apply(self, data: Light, key: str) -> Receipt:
        return Receipt(id=key)

    async def undo(self, receipt: Receipt) -> None:
        """Nothing is kept of it."""


class BeaconSink(Sink):
    connection_class = BeaconConnection
    actions = (Noted,)


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class BuoyConnection(BeaconConnection):
    connector = "buoy"


class BuoySource(BeaconSource):
    connection_class = BuoyConnection
    agrees_secrets = False

    def handshake(self, request: WebhookRequest) -> Handshake | None:
        return None

    def verify(self, request: WebhookRequest) -> None:
        """It signs nothing."""


class FlagConnection(BeaconConnection):
    connector = "flag"


class FlagSource(Source):
    connection_class = FlagConnection
    events = BeaconSource.events
    setup: ClassVar[str] = "in Flag, open Settings → Signals, and choose light.on"

    def verify(self, request: WebhookRequest) -> None:
        """It signs nothing."""

    def parse(self, request: WebhookRequest) -> list[Event]:
        return []

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {"light": Light(id=event.subject)}


class DiaryConnection(BeaconConnection):
    connector = "diary"


class DiarySource(FlagSource):
    connection_class = DiaryConnection
    webhooks = False


@hookimpl
def crossdock_sinks() -> list[type[Any]]:
    return [BeaconSink]


@hookimpl
def crossdock_sources() -> list[type[Any]]:
    return [BeaconSource, BuoySource, FlagSource, DiarySource]
