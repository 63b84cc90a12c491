"""What a write to a record changes, and what puts it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from crossdock_sdk import NotFoundError, RejectedError

from crossdock_salesforce.connection import SalesforceConnection, object_name, record_id
from crossdock_salesforce.values import same

_NEVER = {
    "Amount": "Salesforce derives it from the products, and ignores it without a word where there are any",
    "Id": "it cannot change",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field to write: `name` as the flow has it, `key` in the API, `type` to compare values by."""

    name: str
    key: str
    type: str
    value: Any

    def holds(self, row: Mapping[str, Any]) -> bool:
        return same(self.type, row.get(self.key), self.value)


def body(changes: Iterable[Change]) -> dict[str, Any]:
    return {change.key: change.value for change in changes}


def keys(changes: Iterable[Change]) -> list[str]:
    return [change.key for change in changes]


def written(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The changes as a receipt keeps them."""
    return [asdict(change) for change in changes]


async def changes_of(
    connection: SalesforceConnection,
    target: str,
    *,
    fields: Mapping[str, Any],
    custom: Mapping[str, Any],
    creating: bool = False,
    at: str = "fields",
) -> list[Change]:
    """All that is named, in the vendor's form: `fields` are any, `custom` only custom ones.

    Names are API names, labels or readable names. Raises `RejectedError` that names the field and its nearest.
    """
    changes = [await _change(connection, target, name, value, at, creating) for name, value in fields.items()]
    for name, value in custom.items():
        changes.append(await _change(connection, target, name, value, "custom", creating, custom=True))
    seen: dict[str, str] = {}
    for change in changes:
        if change.key in seen:
            raise RejectedError(f"{seen[change.key]} and {change.name} are one field", field=change.name)
        seen[change.key] = change.name
    return changes


async def _change(
    connection: SalesforceConnection,
    target: str,
    name: str,
    value: Any,
    at: str,
    creating: bool,
    *,
    custom: bool = False,
) -> Change:
    field = await connection.fields.named(object_name(target), name, custom=custom, at=at)
    shown = f"{at}.{name}"
    if field.name == "Id" or (target == "Opportunity" and field.name in _NEVER and not creating):
        raise RejectedError(f"{field.name} is not written: {_NEVER[field.name]}", field=shown)
    if not (field.createable if creating else field.updateable):
        raise RejectedError(
            f"{field.name} cannot be written: it is computed, or the integration user may only read it", field=shown
        )
    return Change(shown, field.name, field.type, field.write(value))


def reversal(
    ours: Iterable[Change], before: Mapping[str, Any], row: Mapping[str, Any]
) -> tuple[list[Change], dict[str, str]]:
    """The changes that put `before` back where our value stands, and for every other field why it must stay."""
    back: list[Change] = []
    left: dict[str, str] = {}
    for change in ours:
        now = row.get(change.key)
        if change.key not in before:
            left[change.name] = f"{change.name} holds {now!r}, and what it held before our write is not known"
            continue
        earlier = replace(change, value=before[change.key])
        if earlier.holds(row) or same(change.type, earlier.value, change.value):
            continue
        if change.holds(row):
            back.append(earlier)
        else:
            left[change.name] = f"{change.name} now holds {now!r}, not our {change.value!r}: it was changed since"
    return back, left


async def patch(connection: SalesforceConnection, target: str, record: str, changes: Iterable[Change]) -> None:
    """Write fields of one record. Salesforce answers 204 without a body; anything else is not taken for success."""
    path = connection.path("sobjects", object_name(target), record_id(record))
    reply = await connection.client.patch(path, json=body(changes))
    if reply.status != 204:
        raise reply.unusable("an update is answered with 204")


async def put_back(
    connection: SalesforceConnection, target: str, record: str, ours: list[Change], before: Mapping[str, Any]
) -> None:
    """Restore what still holds our value; a record that is gone needs none.

    Raises `RejectedError` for what a person changed since.
    """
    try:
        row = await connection.record(target, record, keys(ours))
        back, left = reversal(ours, before, row)
        if back:
            await patch(connection, target, record, back)
    except NotFoundError:
        return
    if left:
        reasons = "; ".join(left.values())
        raise RejectedError(f"{target} {record} is not all put back: {reasons}", field=", ".join(left))
