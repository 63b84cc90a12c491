"""Webhooks v2 at Pipedrive: which are wanted, which stand, and what is wrong with them.

They are registered in v1 of the API, the only one that has them (API reference, 'Webhooks').
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crossdock_sdk import ConfigError, NotFoundError, Subscription

from crossdock_pipedrive.connection import PipedriveConnection, number
from crossdock_pipedrive.replies import MISSHAPEN

_PATH = "/api/v1/webhooks"
_VERSION = "2.0"
_TOPICS = {"deal.won": ("change.deal", "create.deal")}
"""Event type → what tells of it: a deal may be created as won."""


def wanted(url: str, events: Iterable[str]) -> list[Subscription]:
    topics = dict.fromkeys(topic for event in events for topic in _TOPICS.get(event, ()))
    return [Subscription(topic, url) for topic in topics]


async def standing(connection: PipedriveConnection) -> list[Subscription]:
    """All webhooks of the company that the token's user may see."""
    reply = await connection.client.get(_PATH)
    try:
        return [_subscription(connection, row) for row in reply.json().get("data") or ()]
    except MISSHAPEN as error:
        raise reply.unusable(f"the webhooks are not as documented: {error}") from None


async def register(connection: PipedriveConnection, asked: Subscription, delivery_url: str) -> Subscription:
    """Pipedrive calls `delivery_url` before it answers, and refuses one that nobody answers at."""
    settings, name = connection.config.webhook, connection.context.name
    if settings is None:
        raise ConfigError(f"connection {name} has no webhook user and password to register: set webhook")
    action, _, kind = asked.topic.partition(".")
    body = {
        "subscription_url": delivery_url,
        "event_action": action,
        "event_object": kind,
        "name": f"Crossdock {name} {asked.topic}",
        "version": _VERSION,
        "http_auth_user": settings.user,
        "http_auth_password": settings.password.get_secret_value(),
    }
    reply = await connection.client.post(_PATH, json=body)
    try:
        return _subscription(connection, reply.require("data"))
    except MISSHAPEN as error:
        raise reply.unusable(f"the webhook is not as documented: {error}") from None


async def remove(connection: PipedriveConnection, subscription: Subscription) -> None:
    if subscription.id is None:
        return
    try:
        await connection.client.delete(f"{_PATH}/{number(subscription.id)}")
    except NotFoundError:
        return


def _subscription(connection: PipedriveConnection, row: dict[str, Any]) -> Subscription:
    version = str(row.get("version") or "1.0")
    # One of another version tells in another form, and so of something else.
    other = "" if version == _VERSION else f" (version {version})"
    topic = f"{row['event_action']}.{row['event_object']}{other}"
    return Subscription(topic, row["subscription_url"], str(row["id"]), _trouble(connection, row))


def _trouble(connection: PipedriveConnection, row: dict[str, Any]) -> str | None:
    """Pipedrive bans a webhook for 30 minutes after ten failed first tries, and deletes one after three days without a
    success (docs, 'Guide for webhooks v2'); it tells neither of them, but the last status."""
    ours, status = connection.config.webhook, row.get("last_http_status")
    said = []
    if not row["is_active"]:
        reason = row.get("remove_reason")
        said.append("switched off by Pipedrive" + (f": {reason}" if reason else ""))
    if isinstance(status, int) and not 200 <= status < 300:
        said.append(
            f"the last delivery got HTTP {status}; after ten failures Pipedrive sends nothing for 30 minutes, "
            "and what happens then it never tells"
        )
    if ours is not None and row.get("http_auth_user") not in (None, ours.user):
        said.append("it was registered with another user than webhook.user, so its deliveries are refused")
    return "; ".join(said) or None
