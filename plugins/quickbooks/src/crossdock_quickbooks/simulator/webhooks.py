"""The app's webhooks: one endpoint for all its companies, in the format of 2026 and that of old."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from crossdock_sdk import jsonio

Format = Literal["cloudevents", "notifications", "alternating"]
RETRIES = (10, 20, 30, 300, 1200, 7200, 14400, 21600)
"""Seconds before each redelivery (Intuit developer blog, 2025-10-14)."""

_OLD_VERBS = {"created": "Create", "updated": "Update", "deleted": "Delete", "voided": "Void", "emailed": "Emailed"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record; `at` is `MetaData.LastUpdatedTime`."""

    realm: str
    entity: str
    verb: str
    id: str
    at: datetime


class Webhooks:
    """What is told is sent with the next `flush`, in one delivery; while `held`, with the one after.

    Companies that share an app share this object. `shuffled` mixes the elements of a delivery, `duplicated` has each
    twice and the delivery too, `silent` sends nothing.
    """

    def __init__(self, send: Callable[[str, bytes, str], None]) -> None:
        self._send = send
        self._random = random.Random(11)
        self._sent = 0
        self.endpoint: tuple[str, str] | None = None
        """Its URL and the verifier token; an app has one."""
        self.format: Format = "cloudevents"
        self.shuffled = False
        self.duplicated = False
        self.silent = False
        self.held = False
        self.pending: list[Change] = []

    def note(self, change: Change) -> None:
        self.pending.append(change)

    def flush(self) -> None:
        if self.held:
            return
        changes, self.pending = self.pending, []
        if not changes or self.endpoint is None or self.silent:
            return
        changes = changes * 2 if self.duplicated else changes
        if self.shuffled:
            self._random.shuffle(changes)
        url, token = self.endpoint
        raw = jsonio.dumps(self._body(changes))
        for _ in range(2 if self.duplicated else 1):
            self._send(url, raw, signature(raw, token))

    def _body(self, changes: Sequence[Change]) -> Any:
        self._sent += 1
        old = self.format == "notifications" or (self.format == "alternating" and self._sent % 2 == 0)
        if not old:
            return [self._cloud_event(change) for change in changes]
        companies: dict[str, list[dict[str, str]]] = {}
        for change in changes:
            companies.setdefault(change.realm, []).append(_entity(change))
        told = [{"realmId": realm, "dataChangeEvent": {"entities": each}} for realm, each in companies.items()]
        return {"eventNotifications": told}

    def _cloud_event(self, change: Change) -> dict[str, Any]:
        fraction = self._random.randrange(10**9)
        return {
            "specversion": "1.0",
            "id": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            "source": "intuit.c2ltdWxhdGVk",
            "type": f"qbo.{change.entity.lower()}.{change.verb}.v1",
            "datacontenttype": "application/json",
            "time": f"{change.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z",
            "intuitentityid": change.id,
            "intuitaccountid": change.realm,
            "data": {},
        }


def signature(raw: bytes, token: str) -> str:
    """What `intuit-signature` says of a body."""
    return base64.b64encode(hmac.new(token.encode(), raw, hashlib.sha256).digest()).decode()


def _entity(change: Change) -> dict[str, str]:
    at = f"{change.at:%Y-%m-%dT%H:%M:%S%z}"
    return {"name": change.entity, "id": change.id, "operation": _OLD_VERBS[change.verb], "lastUpdated": at}
