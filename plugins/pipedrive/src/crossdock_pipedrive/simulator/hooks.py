"""The simulated account's webhooks: registrations and payloads (docs, 'Guide for webhooks v2')."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock_pipedrive.fields import FieldMap
from crossdock_pipedrive.simulator.world import USER, Happening

Row = dict[str, Any]
LIMIT = 40
_FAILURES = 10
_BAN = timedelta(minutes=30)
_HOPELESS = timedelta(days=3)
ACTIONS = ("create", "change", "delete", "*")
OBJECTS = (
    "activity",
    "deal",
    "lead",
    "note",
    "organization",
    "person",
    "pipeline",
    "product",
    "stage",
    "user",
    "*",
)


def registration(hook_id: int, at: datetime, body: Mapping[str, Any]) -> Row:
    """The row of a webhook as `GET /api/v1/webhooks` lists it."""
    row: Row = {"id": hook_id, "company_id": 77, "owner_id": USER, "user_id": body.get("user_id") or USER}
    row |= {key: body[key] for key in ("event_action", "event_object", "subscription_url", "name")}
    row |= {"version": body.get("version") or "2.0", "is_active": 1, "add_time": _milliseconds(at)}
    row |= {"remove_time": None, "type": "general", "remove_reason": None, "admin_id": USER}
    row |= {key: body.get(key) for key in ("http_auth_user", "http_auth_password")}
    return row | {"last_delivery_time": None, "last_http_status": None}


class Health:
    """Which webhooks are sent to, by how their deliveries go (docs, 'Guide for webhooks v2').

    Ten first tries that fail ban a webhook for 30 minutes, and what happens then is told to nobody. After three days
    without a success it is removed.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures: dict[int, int] = {}
        self._banned_until: dict[int, datetime] = {}
        self._failing_since: dict[int, datetime] = {}

    def admits(self, hook: Row) -> bool:
        """Whether the webhook is sent to now."""
        now = self._clock()
        if now - self._failing_since.get(hook["id"], now) >= _HOPELESS:
            hook |= {"is_active": 0, "remove_time": _milliseconds(now), "remove_reason": "no successful delivery"}
        return bool(hook["is_active"]) and self._banned_until.get(hook["id"], now) <= now

    def noting(self, hook: Row) -> Callable[[int, int | None, str], None]:
        """What hears of each try to deliver to the webhook."""

        def noted(attempt: int, status: int | None, _: str) -> None:
            now, name = self._clock(), hook["id"]
            hook.update(last_delivery_time=_milliseconds(now), last_http_status=status)
            if status is not None and 200 <= status < 300:
                self._failures[name] = 0
                self._failing_since.pop(name, None)
                return
            self._failing_since.setdefault(name, now)
            self._failures[name] = self._failures.get(name, 0) + (attempt == 1)
            if self._failures[name] >= _FAILURES:
                self._failures[name], self._banned_until[name] = 0, now + _BAN

        return noted


def wants(hook: Row, happening: Happening) -> bool:
    """Whether the hook is for deals and this action."""
    return hook["event_object"] in ("deal", "*") and hook["event_action"] in (happening.action, "*")


def payload(hook: Row, happening: Happening, at: datetime, fields: FieldMap, host: str) -> Row:
    """The body of the first delivery. Ids are strings in `meta` and numbers in `data`."""
    subject = happening.data or happening.previous or {}
    meta: Row = {
        "action": happening.action,
        "entity": "deal",
        "entity_id": str(subject["id"]),
        "id": str(uuid.uuid4()),
    }
    meta |= {"correlation_id": str(uuid.uuid4()), "company_id": "77", "user_id": str(USER), "host": host}
    meta |= {"webhook_id": str(hook["id"]), "webhook_owner_id": str(hook["owner_id"]), "version": "2.0"}
    meta |= {"type": "general", "timestamp": _milliseconds(at), "change_source": happening.source}
    meta |= {"is_bulk_edit": False, "attempt": 1, "permitted_user_ids": [str(USER)]}
    return {
        "meta": meta,
        "data": _wrapped(happening.data, fields),
        "previous": _wrapped(happening.previous, fields),
    }


def retried(first: Row, attempt: int) -> Row:
    """The body of a later attempt: all the same but for `meta.attempt`."""
    return first | {"meta": first["meta"] | {"attempt": attempt}}


def _wrapped(record: Row | None, fields: FieldMap) -> Row | None:
    """A record with its custom fields as webhooks give them: `{type, value}`, not REST's bare values."""
    if record is None or not record.get("custom_fields"):
        return record
    codes = fields.by_code
    wrapped = {code: _typed(codes[code].type, value) for code, value in record["custom_fields"].items()}
    return record | {"custom_fields": wrapped}


def _typed(field_type: str, value: Any) -> Row | None:
    if value is None:
        return None
    if field_type == "enum":
        return {"type": "enum", "id": value}
    if field_type == "set":
        return {"type": "set", "values": [{"id": option} for option in value]}
    return {"type": field_type} | (value if isinstance(value, dict) else {"value": value})


def _milliseconds(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
