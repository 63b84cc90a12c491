"""Asana as a source: tasks of watched projects are completed, changed or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from crossdock_sdk import (
    BoardTask,
    Event,
    EventSpec,
    EventVoid,
    Handshake,
    NotFoundError,
    ObjectRef,
    PayloadError,
    Polling,
    PollPage,
    PollRequest,
    Record,
    Subscribable,
    Subscription,
    VerificationError,
    WebhookReply,
    WebhookRequest,
)
from crossdock_sdk.webhooks import json_body, verify_hmac
from pydantic import SecretStr

from crossdock_asana import hooks
from crossdock_asana.board_tasks import TASK_FIELDS, board_task
from crossdock_asana.connection import AsanaConnection, segment
from crossdock_asana.events import CHANGED, COMPLETED, DELETED, MISSHAPEN, events_in, stamp
from crossdock_asana.feed import read_feed

_SECRET = "x-hook-secret"  # noqa: S105  a header's name
_SIGNATURE = "x-hook-signature"
_LONGEST_SECRET = 512
_STAMPED_APART = timedelta(seconds=5)
"""How far an event's `created_at` and its task's `completed_at` may lie apart."""


class AsanaSource(Subscribable):
    """Webhooks and `/events` tell that something was done to a task; the task itself is read when the run starts."""

    connection_class = AsanaConnection
    connection: AsanaConnection
    events = (
        EventSpec(
            COMPLETED,
            {"task": BoardTask},
            known=("task.id", "task.completed_at"),
            object="task",
            summary="a task is marked complete",
        ),
        EventSpec(
            CHANGED,
            {"task": BoardTask},
            known=("task.id", "task.updated_at"),
            object="task",
            summary="one field of a task is changed",
        ),
        EventSpec(
            DELETED, {"task": ObjectRef}, known=("task.id",), object="task", summary="a task is moved to the trash"
        ),
    )
    polling = Polling(every=timedelta(minutes=2))
    agrees_secrets = True

    def handshake(self, request: WebhookRequest) -> Handshake | None:
        """Asana sends its secret while it registers a webhook, and wants it back (OpenAPI, `createWebhook`)."""
        secret = request.headers.get(_SECRET, "")
        if not secret or _SIGNATURE in request.headers or not _echoes(secret):
            return None
        return Handshake(WebhookReply(200, {"X-Hook-Secret": secret}), secret)

    def verify(self, request: WebhookRequest) -> None:
        """`X-Hook-Signature` is the hex HMAC-SHA256 of the body, heartbeats included (docs, 'Webhooks guide')."""
        if not request.secrets:
            name = self.connection.context.name
            raise VerificationError(
                f"connection {name} has agreed no secret with Asana: register its webhooks with `crossdock hooks sync`"
            )
        # All are tried, so that the time taken does not tell which one is right.
        matches = [_signed(request, secret) for secret in request.secrets]
        if not any(matches):
            raise VerificationError(f"the signature in {_SIGNATURE} is missing or wrong")

    def parse(self, request: WebhookRequest) -> list[Event]:
        """What was done to tasks. Stories and sections start nothing, nor does a heartbeat (`{"events": []}`)."""
        body = json_body(request)
        try:
            return events_in(body["events"])
        except MISSHAPEN as error:
            raise PayloadError(f"the events are not as documented: {error}") from None

    async def hydrate(self, event: Event) -> dict[str, Record]:
        """The task as it is now. Of a deleted one only its id is left; it is not read.

        Raises `EventVoid` if a delivery told of a completion and the task is open again, or was completed once more,
        of which another event tells; and if it told of a change and the task is gone.
        """
        if event.type == DELETED:
            return {"task": ObjectRef(id=event.subject)}
        told = event.id.startswith(f"{event.type}:")
        try:
            task = await self._task(event)
        except NotFoundError:
            if told and event.type == CHANGED:
                raise EventVoid(f"the event no longer holds: task {event.subject} was changed and is gone") from None
            raise
        if told and event.type == COMPLETED:
            _require_completed(task, event)
        return {"task": task}

    async def poll(self, request: PollRequest) -> PollPage:
        """`/events` of each watched project; where Asana has forgotten, the tasks themselves, and `missed` says so."""
        return await read_feed(self.connection, request)

    async def wanted(self, url: str, events: Sequence[str]) -> list[Subscription]:
        """One webhook for each watched project."""
        return hooks.wanted(self.connection, url, events)

    async def subscriptions(self) -> list[Subscription]:
        """The webhooks that this user or app has, over all workspaces that it sees."""
        return await hooks.standing(self.connection)

    async def subscribe(self, wanted: Subscription, delivery_url: str) -> Subscription:
        """Asana calls `delivery_url` for the handshake before it answers."""
        return await hooks.register(self.connection, wanted, delivery_url)

    async def unsubscribe(self, subscription: Subscription) -> None:
        await hooks.remove(self.connection, subscription)

    async def _task(self, event: Event) -> BoardTask:
        path, shown = f"/tasks/{segment(event.subject)}", {"opt_fields": TASK_FIELDS}
        reply = await self.connection.api.get(path, params=shown)
        try:
            return board_task(reply.require("data"), _change(event))
        except MISSHAPEN as error:
            raise reply.unusable(f"the task is not as documented: {error}") from None


def _echoes(secret: str) -> bool:
    """Whether the secret can be sent back in a header as it came."""
    return len(secret) <= _LONGEST_SECRET and secret.isascii() and secret.isprintable()


def _signed(request: WebhookRequest, secret: str) -> bool:
    try:
        verify_hmac(request, SecretStr(secret), header=_SIGNATURE)
    except VerificationError:
        return False
    return True


def _change(event: Event) -> str | None:
    task: Any = event.data.get("task")
    native = task.get("native") if isinstance(task, dict) else None
    change = native.get("change") if isinstance(native, dict) else None
    return change if isinstance(change, str) else None


def _require_completed(task: BoardTask, event: Event) -> None:
    if not task.completed:
        raise EventVoid(f"the event no longer holds: task {task.id} is open again")
    told, now = event.occurred_at, task.completed_at
    if told is not None and now is not None and now - told > _STAMPED_APART:
        raise EventVoid(
            f"the event no longer holds: task {task.id} was opened again, and completed once more at {stamp(now)}, "
            "of which another event tells"
        )
