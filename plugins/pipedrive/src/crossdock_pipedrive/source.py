"""Pipedrive as a source: a deal is won."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from crossdock_sdk import (
    ConnectorError,
    Deal,
    DealProduct,
    Event,
    EventSpec,
    EventVoid,
    NotFoundError,
    Organization,
    PayloadError,
    Person,
    Polling,
    PollPage,
    PollRequest,
    Record,
    RejectedError,
    Subscribable,
    Subscription,
    TransientError,
    VerificationError,
    WebhookRequest,
)
from crossdock_sdk.webhooks import json_body, verify_basic

from crossdock_pipedrive import records, subscriptions
from crossdock_pipedrive.connection import PipedriveConnection, number
from crossdock_pipedrive.fields import Kind
from crossdock_pipedrive.replies import MISSHAPEN
from crossdock_pipedrive.values import linked_id
from crossdock_pipedrive.wins import TOLD, WON, deal_won, read_wins

Result = TypeVar("Result")
Json = dict[str, Any]


class PipedriveSource(Subscribable):
    """Webhooks v2 and the list of deals tell that a deal was won; the deal itself is read over REST.

    A delivery is only a signal: its custom fields come in another shape than REST's, and it may be late.
    """

    connection_class = PipedriveConnection
    connection: PipedriveConnection
    events = (EventSpec(WON, {"deal": Deal}, known=("deal.id",), summary="a deal is marked as won"),)
    polling = Polling(every=timedelta(minutes=5))

    def verify(self, request: WebhookRequest) -> None:
        """Pipedrive signs nothing; HTTP Basic is all it offers (docs, 'Guide for webhooks v2')."""
        expected = self.connection.config.webhook
        if expected is None:
            name = self.connection.context.name
            raise VerificationError(f"connection {name} takes no deliveries: it has no webhook user and password")
        verify_basic(request, expected)

    def parse(self, request: WebhookRequest) -> list[Event]:
        """`deal.won` if the status became won in this change or the deal was created as won; else nothing.

        A change whose `previous` lacks `status` is no win, also of a won deal: so our own writes come back.
        """
        body = json_body(request)
        meta = _member(body, "meta", "the body")
        if not isinstance(meta.get("entity"), str) or not isinstance(meta.get("action"), str):
            raise PayloadError("meta lacks entity or action; register the webhook with version 2.0")
        if meta["entity"] != "deal" or meta["action"] not in ("change", "create"):
            return []
        data = _member(body, "data", "the body")
        if not _won(meta["action"], data, body.get("previous")):
            return []
        return [_deal_won(meta, data)]

    async def hydrate(self, event: Event) -> dict[str, Record]:
        """The deal with its lines, their products, its discounts, person and organization.

        Raises `EventVoid` if a delivery told of a win and the deal is no longer won. An event that none told (what
        `crossdock plan` makes up to show what a deal would write) claims nothing that could no longer hold.
        """
        path = f"/api/v2/deals/{number(event.subject)}"
        deal = await self.connection.deal(event.subject)
        if event.id.startswith(TOLD):
            _require_won(deal, event.subject)
        org_id, person_id = _link(deal, "org_id"), _link(deal, "person_id")
        custom, of, contact, lines, discounts = await _all(
            self._custom("deal", deal),
            self._organization(org_id),
            self._person(person_id),
            self._lines(path),
            _there("the deal's discounts", partial(self.connection.listed, f"{path}/discounts", records.discount)),
        )
        url = self.connection.url("deal", event.subject)
        parts: Json = {"of": of, "contact": contact, "lines": lines, "discounts": discounts, "url": url}
        return {"deal": _built(lambda: records.deal(deal, custom, **parts), f"deal {event.subject}")}

    async def poll(self, request: PollRequest) -> PollPage:
        """Deals won since, with the ids that webhooks give them."""
        return await read_wins(self.connection, request)

    async def wanted(self, url: str, events: Sequence[str]) -> list[Subscription]:
        """A webhook for changes of deals, and one for deals that are created as won."""
        return subscriptions.wanted(url, events)

    async def subscriptions(self) -> list[Subscription]:
        return await subscriptions.standing(self.connection)

    async def subscribe(self, wanted: Subscription, delivery_url: str) -> Subscription:
        """With the user and password of `webhook`. Pipedrive probes `delivery_url` first."""
        return await subscriptions.register(self.connection, wanted, delivery_url)

    async def unsubscribe(self, subscription: Subscription) -> None:
        await subscriptions.remove(self.connection, subscription)

    async def _custom(self, kind: Kind, row: Json) -> Json:
        values = row.get("custom_fields")
        # An account whose organizations (persons) have no custom fields is not asked for their definitions.
        if kind != "deal" and not values:
            return {}
        try:
            return await self.connection.fields.read(kind, values)
        except ValueError as error:
            raise TransientError(f"a custom field of the {kind} is not as documented: {error}") from None

    async def _organization(self, record_id: str | None) -> Organization | None:
        if record_id is None:
            return None
        row = await self._linked("organization", record_id)
        custom, url = await self._custom("organization", row), self.connection.url("organization", record_id)
        return _built(lambda: records.organization(row, custom, url), f"organization {record_id}")

    async def _person(self, record_id: str | None) -> Person | None:
        if record_id is None:
            return None
        row = await self._linked("person", record_id)
        custom, url = await self._custom("person", row), self.connection.url("person", record_id)
        return _built(lambda: records.person(row, custom, url), f"person {record_id}")

    async def _lines(self, deal_path: str) -> list[DealProduct]:
        """The enabled lines in the order of the deal; each distinct product is read once, for its code."""
        listing = partial(self.connection.listed, f"{deal_path}/products", _line_row)
        rows = await _there("the deal's products", listing)
        enabled = [(product_id, row) for product_id, row in rows if row.get("is_enabled", True)]
        wanted = dict.fromkeys(product_id for product_id, _ in enabled)
        read = await _all(*(self._linked("product", one) for one in wanted))
        products = dict(zip(wanted, read, strict=True))
        ordered = sorted(enabled, key=lambda pair: pair[1].get("order_nr") or 0)
        return [_built(partial(records.line, row, products[one]), "a deal's line") for one, row in ordered]

    async def _linked(self, kind: str, record_id: str) -> Json:
        path = f"/api/v2/{kind}s/{number(record_id)}"
        return await _there(f"the deal's {kind} {record_id}", partial(self.connection.record, path, dict), field=kind)


async def _there(what: str, read: Callable[[], Awaitable[Result]], *, field: str | None = None) -> Result:
    """What is read. That a part is gone is no `NotFoundError`: the deal itself is there."""
    try:
        return await read()
    except NotFoundError as error:
        raise RejectedError(
            f"{what} cannot be read: {error.message}; restore it or take it off the deal",
            field=field,
            status=error.status,
            request_id=error.request_id,
        ) from None


def _won(action: str, data: Json, previous: Any) -> bool:
    status = data.get("status")
    if not isinstance(status, str):
        raise PayloadError("data.status is missing or no text")
    if not isinstance(previous, (dict, type(None))):
        raise PayloadError("previous is no object")
    return status == "won" and (action == "create" or "status" in (previous or {}))


def _require_won(deal: Json, deal_id: str) -> None:
    status = deal.get("status")
    if isinstance(status, str) and status != "won":
        now = "open again" if status == "open" else f"{status} by now"
        raise EventVoid(f"the event no longer holds: deal {deal_id} is {now}")


def _deal_won(meta: Json, data: Json) -> Event:
    try:
        subject = linked_id(data.get("id")) or linked_id(meta.get("entity_id"))
        delivery = linked_id(meta.get("id"))
        won_at = records.instant(data.get("won_time"))
        occurred = won_at or _told_at(meta.get("timestamp"))
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise PayloadError(f"an id or instant is not as documented: {error}") from None
    if subject is None or not subject.isdigit():
        raise PayloadError("data.id is missing or no number")
    if won_at is None and delivery is None:
        raise PayloadError("neither data.won_time nor meta.id tells this win from another")
    return deal_won(data, subject, won_at, delivery or "", occurred)


def _told_at(timestamp: Any) -> datetime | None:
    """`meta.timestamp`: RFC 3339 in the docs' example, a '10 character timestamp' in their table."""
    if isinstance(timestamp, int) and not isinstance(timestamp, bool):
        return datetime.fromtimestamp(timestamp, UTC)
    return records.instant(timestamp)


def _member(value: Any, name: str, where: str) -> Json:
    member = value.get(name) if isinstance(value, dict) else None
    if not isinstance(member, dict):
        raise PayloadError(f"{where} has no object {name!r}")
    return member


def _link(row: Json, key: str) -> str | None:
    return _built(lambda: linked_id(row.get(key)), key)


def _line_row(row: Json) -> tuple[str, Json]:
    product_id = linked_id(row["product_id"])
    if product_id is None:
        raise ValueError(f"line {row['id']} names no product")
    return product_id, row


def _built(build: Callable[[], Result], what: str) -> Result:
    try:
        return build()
    except MISSHAPEN as error:
        raise TransientError(f"Pipedrive's JSON of {what} is not as documented: {error}") from None


async def _all(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results in order; the first failure cancels the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise _first(failed.exceptions) from None
    return [task.result() for task in tasks]


def _first(errors: Iterable[BaseException]) -> BaseException:
    listed = list(errors)
    return next((error for error in listed if isinstance(error, ConnectorError)), listed[0])
