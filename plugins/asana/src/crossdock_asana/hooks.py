"""Webhooks at Asana: which are wanted, which stand, and what is wrong with them (OpenAPI, `WebhookResponse`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from crossdock_sdk import ConfigError, NotFoundError, RejectedError, Subscription, TransientError

from crossdock_asana.connection import AsanaConnection, segment
from crossdock_asana.events import MISSHAPEN, instant, stamp
from crossdock_asana.topics import filters_for, resource_and_filters, topic

Json = dict[str, Any]

_SHOWN = ",".join(
    (
        *("active", "target", "resource.name", "last_success_at", "last_failure_at", "last_failure_content"),
        *("failure_deletion_timestamp", "filters.resource_type", "filters.action", "filters.fields"),
    )
)
_TOLD = 120


def wanted(connection: AsanaConnection, url: str, events: Iterable[str]) -> list[Subscription]:
    """One for each watched project. Raises `ConfigError` if none is named."""
    filters = filters_for(events)
    return [Subscription(topic(project, filters), url) for project in connection.watched()] if filters else []


async def standing(connection: AsanaConnection) -> list[Subscription]:
    """All that stand, in every workspace: also those of projects that are no longer watched."""
    found: list[Subscription] = []
    async for workspace in _listed(connection, "/workspaces", {}):
        params = {"workspace": workspace.get("gid"), "opt_fields": _SHOWN}
        async for row in _listed(connection, "/webhooks", params):
            try:
                found.append(_subscription(row))
            except MISSHAPEN as error:
                raise TransientError(f"a webhook in Asana's list is not as documented: {error}") from None
    return found


async def register(connection: AsanaConnection, asked: Subscription, delivery_url: str) -> Subscription:
    try:
        resource, filters = resource_and_filters(asked.topic)
    except ValueError as error:
        raise RejectedError(f"Asana cannot be asked for this: {error}") from None
    data = {"resource": resource, "target": delivery_url, "filters": filters}
    try:
        reply = await connection.api.post("/webhooks", json={"data": data}, params={"opt_fields": _SHOWN})
    except ConfigError as error:
        if error.status != 403:
            raise
        why = f"Asana does not send to {asked.url}, or not a second time for project {resource}: {error.message}"
        raise ConfigError(why, status=403) from None
    try:
        made = _subscription(reply.require("data"))
        # Asana's own example shows a webhook that is new as inactive.
        return replace(made, trouble=None)
    except MISSHAPEN as error:
        raise reply.unusable(f"the webhook is not as documented: {error}") from None


async def remove(connection: AsanaConnection, subscription: Subscription) -> None:
    if subscription.id is None:
        return
    try:
        await connection.api.delete(f"/webhooks/{segment(subscription.id)}")
    except NotFoundError:
        return


async def _listed(connection: AsanaConnection, path: str, params: Json) -> AsyncIterator[Json]:
    async for page in connection.pages(path, params):
        for row in page:
            yield row


def _subscription(row: Json) -> Subscription:
    named = topic(str(row["resource"]["gid"]), row.get("filters") or ())
    return Subscription(named, row["target"], row["gid"], _trouble(row))


def _trouble(row: Json) -> str | None:
    """Why it does not deliver; None while the last delivery arrived."""
    failed, arrived = row.get("last_failure_at"), row.get("last_success_at")
    failing = failed is not None and (arrived is None or instant(failed) > instant(arrived))
    if row.get("active") and not failing:
        return None
    said = [] if row.get("active") else ["switched off by Asana"]
    if failed is not None:
        answer = " ".join(str(row.get("last_failure_content") or "no answer").split())[:_TOLD]
        said.append(f"the delivery of {stamp(instant(failed))} failed: {answer}")
    if row.get("failure_deletion_timestamp"):
        said.append(f"Asana deletes the webhook at {stamp(instant(row['failure_deletion_timestamp']))}")
    return "; ".join(said)
