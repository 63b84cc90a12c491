"""The simulated account's webhooks: the handshake while they are made, signed deliveries, and what becomes of both.

A delivery is tried again after each of `delays` seconds. When all have failed the webhook is inactive, and a day
after the first failure it is deleted (docs, 'Webhooks guide').
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from crossdock_sdk import jsonio
from crossdock_sdk.testing import Simulator, shuffled_deliveries

from crossdock_asana.events import stamp
from crossdock_asana.simulated_account import Account, Json, RefusedError
from crossdock_asana.simulated_feed import Happening

_ACTIONS = frozenset({"changed", "added", "removed", "deleted", "undeleted"})
_GIVEN_UP = timedelta(hours=24)
_SECRET = "x-hook-secret"  # noqa: S105  a header's name


class Webhooks:
    """All webhooks of the account. `held` collects what would be delivered, until `release`."""

    def __init__(self, simulator: Simulator, account: Account, delays: Sequence[float]) -> None:
        self._simulator = simulator
        self._account = account
        self._secrets: dict[str, str] = {}
        self._rows: dict[str, Json] = {}
        self.delays = delays
        self.held: list[tuple[str, Json]] | None = None

    def rows(self) -> list[Json]:
        """Those that stand by now."""
        now = self._simulator.clock()
        for gid, row in list(self._rows.items()):
            ends = row["failure_deletion_timestamp"]
            if ends is not None and datetime.fromisoformat(ends) <= now:
                del self._rows[gid]
        return list(self._rows.values())

    def find(self, gid: str) -> Json:
        for row in self.rows():
            if row["gid"] == gid:
                return row
        raise RefusedError(404, f"webhook: Unknown object: {gid}")

    def delete(self, gid: str) -> None:
        del self._rows[self.find(gid)["gid"]]

    async def create(self, data: Json) -> tuple[Json, str]:
        """The new webhook and its secret, once the target has echoed it."""
        resource, target, filters = self._checked(data)
        if any(row["target"] == target and row["resource"]["gid"] == resource["gid"] for row in self.rows()):
            raise RefusedError(403, "Duplicated webhook: a webhook with the same resource and target exists.")
        secret = secrets.token_hex(32)
        await _shake_hands(target, secret)
        gid = self._account.new_gid()
        row: Json = {"gid": gid, "resource_type": "webhook", "active": True, "resource": resource, "target": target}
        row |= {"created_at": stamp(self._simulator.clock()), "filters": filters, "delivery_retry_count": 0}
        row |= dict.fromkeys(("last_success_at", "last_failure_at", "next_attempt_after"))
        row |= {"last_failure_content": "", "failure_deletion_timestamp": None}
        self._rows[gid], self._secrets[gid] = row, secret
        self._send(row, [])
        return row, secret

    def tell(self, happened: Iterable[Happening]) -> None:
        """Deliver to each webhook, in one body, what its filters let through."""
        happened = list(happened)
        for row in self.rows():
            events = [one.compact() for one in happened if _passes(row, one)]
            if not row["active"] or not events:
                continue
            if self.held is None:
                self._send(row, events)
            else:
                self.held += [(row["gid"], event) for event in events]

    def heartbeat(self) -> None:
        """An empty delivery to every webhook, as Asana sends it every eight hours."""
        for row in self.rows():
            if row["active"]:
                self._send(row, [])

    def release(self, seed: int, duplicates: float = 0.3) -> None:
        """Deliver what was held, shuffled and some of it twice, each event by itself."""
        held, self.held = self.held or [], None
        for gid, event in shuffled_deliveries(held, seed, duplicates=duplicates):
            self._send(self.find(gid), [event])

    def _send(self, row: Json, events: list[Json]) -> None:
        body = jsonio.dumps({"events": events})
        signature = hmac.new(self._secrets[row["gid"]].encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hook-signature": signature}
        self._simulator.deliver(row["target"], body, headers=headers, delays=self.delays, noted=self._noting(row))

    def _noting(self, row: Json) -> Callable[[int, int | None, str], None]:
        def noted(attempt: int, status: int | None, text: str) -> None:
            now = self._simulator.clock()
            if status in {200, 204}:
                row.update(last_success_at=stamp(now), delivery_retry_count=0, next_attempt_after=None)
                row.update(failure_deletion_timestamp=None, active=True)
                return
            row.update(last_failure_at=stamp(now), last_failure_content=f"{status or ''} {text}".strip())
            row["delivery_retry_count"] += 1
            row["failure_deletion_timestamp"] = row["failure_deletion_timestamp"] or stamp(now + _GIVEN_UP)
            if attempt > len(self.delays):
                row["active"] = False

        return noted

    def _checked(self, data: Json) -> tuple[Json, str, list[Json]]:
        for name in sorted(set(data) - {"resource", "target", "filters"}):
            raise RefusedError(400, f"{name}: Unrecognized field")
        for name in ("resource", "target"):
            if not isinstance(data.get(name), str):
                raise RefusedError(400, f"{name}: Missing input")
        project = self._account.find_project(data["resource"])
        if urlsplit(data["target"]).scheme not in {"http", "https"}:
            raise RefusedError(400, f"target: Not a valid URL: {data['target']}")
        filters = data.get("filters", [])
        if not isinstance(filters, list):
            raise RefusedError(400, "filters: Not an array")
        for index, one in enumerate(filters):
            _check_filter(f"filters: [{index}]", one)
        resource = {"gid": project["gid"], "resource_type": "project", "name": project["name"]}
        return resource, data["target"], filters


async def _shake_hands(target: str, secret: str) -> None:
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            reply = await client.post(target, content=b"{}", headers={_SECRET: secret})
    except (httpx.HTTPError, httpx.InvalidURL):
        raise RefusedError(400, "The remote server did not answer the handshake.") from None
    if reply.status_code not in {200, 204} or reply.headers.get(_SECRET) != secret:
        raise RefusedError(400, "The remote server did not respond with the handshake secret.")


def _check_filter(where: str, one: Any) -> None:
    if not isinstance(one, dict) or set(one) - {"resource_type", "resource_subtype", "action", "fields"}:
        raise RefusedError(400, f"{where}: Not a webhook filter")
    if not isinstance(one.get("resource_type"), str):
        raise RefusedError(400, f"{where}: resource_type: Missing input")
    if one.get("action") not in {None, *_ACTIONS}:
        raise RefusedError(400, f"{where}: action: Not one of {', '.join(sorted(_ACTIONS))}")
    if "fields" in one and one.get("action") != "changed":
        raise RefusedError(400, f"{where}: fields: Only valid for the action changed")


def _passes(row: Json, happening: Happening) -> bool:
    if row["resource"]["gid"] not in happening.resources:
        return False
    event = happening.event
    return not row["filters"] or any(_lets_through(one, event) for one in row["filters"])


def _lets_through(one: Json, event: Json) -> bool:
    resource = event["resource"]
    if one["resource_type"] != resource["resource_type"] or one.get("action") not in {None, event["action"]}:
        return False
    if one.get("resource_subtype") not in {None, resource.get("resource_subtype")}:
        return False
    return "fields" not in one or event.get("change", {}).get("field") in one["fields"]
