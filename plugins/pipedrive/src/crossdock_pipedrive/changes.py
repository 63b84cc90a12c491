"""What a write to a deal changes, and what puts it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossdock_sdk import DealUpdate, RejectedError

from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.values import same

_STATUSES = ("open", "won", "lost")
_NEVER = {
    "value": "Pipedrive derives it from the products",
    "custom_fields": "give them by name under custom",
    "id": "it cannot change",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field to write: `key` in the API, `value` in the vendor's form, `type` to compare values by."""

    name: str
    key: str
    type: str
    value: Any
    custom: bool = False

    def value_in(self, deal: Mapping[str, Any]) -> Any:
        """The field's value in a deal's JSON."""
        return (deal.get("custom_fields") or {}).get(self.key) if self.custom else deal.get(self.key)

    def holds(self, deal: Mapping[str, Any]) -> bool:
        return same(self.type, self.value_in(deal), self.value)


def patch_body(changes: Iterable[Change]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for change in changes:
        target = body.setdefault("custom_fields", {}) if change.custom else body
        target[change.key] = change.value
    return body


def reversal(
    written: Iterable[Change], before: Mapping[str, Any], deal: Mapping[str, Any]
) -> tuple[list[Change], dict[str, str]]:
    """The changes that put `before` back where our value stands, and for every other field why it must stay."""
    back: list[Change] = []
    left: dict[str, str] = {}
    for ours in written:
        now = ours.value_in(deal)
        if ours.key not in before:
            left[ours.name] = f"{ours.name} holds {now!r}, and what it held before our write is not known"
            continue
        earlier = replace(ours, value=before[ours.key])
        if earlier.holds(deal) or same(ours.type, earlier.value, ours.value):
            continue
        if ours.holds(deal):
            back.append(earlier)
        else:
            left[ours.name] = f"{ours.name} now holds {now!r}, not our {ours.value!r}: it was changed since"
    return back, left


async def changes_of(
    data: DealUpdate, connection: PipedriveConnection, deal: Mapping[str, Any] | None = None
) -> list[Change]:
    """All that `data` names, in the vendor's form. Raises `RejectedError` that names the field.

    `deal` is read only where it is not given and a bare amount of money needs its currency.
    """
    if data.status is not None and data.status not in _STATUSES:
        raise RejectedError(f"no deal status {data.status!r}; there are {', '.join(_STATUSES)}", field="status")
    plain = (("title", data.title), ("status", data.status))
    changes = [Change(name, name, "varchar", value) for name, value in plain if value is not None]
    changes += [_native(key, value) for key, value in data.native.items()]
    for name, value in data.custom.items():
        field = await connection.fields.named("deal", name)
        if deal is None and field.needs_currency(value):
            deal = await connection.deal(data.id)
        raw = field.write(value, deal.get("currency") if deal else None)
        changes.append(Change(f"custom.{field.name}", field.code, field.type, raw, custom=True))
    if not changes:
        raise RejectedError("deal.update names nothing to write; give title, status or custom", field="custom")
    _once(changes)
    return changes


def _native(key: str, value: Any) -> Change:
    if key in _NEVER:
        raise RejectedError(f"deal.update does not write {key}: {_NEVER[key]}", field=f"native.{key}")
    return Change(f"native.{key}", key, "native", value)


def _once(changes: Iterable[Change]) -> None:
    seen: dict[str, str] = {}
    for change in changes:
        if change.key in seen:
            raise RejectedError(f"{seen[change.key]} and {change.name} are one field", field=change.name)
        seen[change.key] = change.name
