"""What a write to a deal changes, and how it is put back.

A redo of an update must not take our own value for the one before it. So every PATCH carries the leg's key
in its user agent, which the deal's changelog keeps beside the old value (API reference, 'List updates about
deal field values': `change_source_user_agent`). A field that already holds the wanted value was written by us
if a row with our key says so, and by another if the newest row has brought it there and names another. Where
the changelog tells neither, the receipt says that the value before is not known, and undo asks a person
instead of guessing. Not verified against a live account: that API calls get their user agent logged, and how
soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from crossdock_sdk import DealUpdate, RejectedError

from crossdock_pipedrive.fields import FieldMaps
from crossdock_pipedrive.values import CustomField

_STATUSES = ("open", "won", "lost")
_NEVER = {
    "value": "Pipedrive derives it from the products",
    "custom_fields": "give them by name under custom",
    "id": "it cannot change",
}
_PLAIN = CustomField("", "", "", "varchar")
_NATIVE = CustomField("", "", "", "native")


class Fate(Enum):
    """What undo does with a field: put back what is ours, leave what is done, tell of what it must leave."""

    OURS = auto()
    DONE = auto()
    LEFT = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """One field to write: `key` in the API, `value` in the vendor's form, `field` to compare values by."""

    name: str
    key: str
    value: Any
    field: CustomField
    custom: bool

    def value_in(self, deal: Mapping[str, Any]) -> Any:
        """The field's value in a deal's JSON."""
        return (deal.get("custom_fields") or {}).get(self.key) if self.custom else deal.get(self.key)

    def holds(self, deal: Mapping[str, Any]) -> bool:
        return self.field.same(self.value_in(deal), self.value)

    def put_into(self, body: dict[str, Any]) -> None:
        """Add the change to a PATCH body."""
        target = body.setdefault("custom_fields", {}) if self.custom else body
        target[self.key] = self.value

    def written(self, deal: Mapping[str, Any]) -> Written:
        """The record for the receipt; `deal` is as it was before."""
        return Written(self, before=self.value_in(deal), known=True)

    def written_earlier(self, log: Sequence[Mapping[str, Any]] | None, key: str) -> Written | None:
        """What an earlier try with this key wrote, by the changelog; None if the value is not from us."""
        # The log is newest first and its times are whole seconds: reversed, ties keep their order.
        mine = [row for row in reversed(log or ()) if row.get("field_key") == self.key]
        rows = sorted(mine, key=lambda row: str(row.get("time")))
        ours = [row for row in rows if key in _agent(row)]
        try:
            if ours:
                return Written(self, before=self.field.from_changelog(ours[-1].get("old_value")), known=True)
            if rows and _another(rows[-1]) and self._brought_by(rows[-1]):
                return None
        except ValueError:
            pass
        return Written(self, before=None, known=False)

    def _brought_by(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's new value is the one wanted; if not, the changelog lags behind the deal."""
        return self.field.same(self.field.from_changelog(row.get("new_value")), self.value)


@dataclass(frozen=True, slots=True)
class Written:
    """A change as it was made. `before` means something only if `known`."""

    change: Change
    before: Any
    known: bool

    @property
    def name(self) -> str:
        return self.change.name

    def fate(self, deal: Mapping[str, Any]) -> Fate:
        current = self.change.value_in(deal)
        if self.known and self.change.field.same(current, self.before):
            return Fate.DONE
        return Fate.OURS if self.known and self.change.field.same(current, self.change.value) else Fate.LEFT

    def reversal(self) -> Change:
        return replace(self.change, value=self.before)

    def left_because(self, deal: Mapping[str, Any]) -> str:
        current = self.change.value_in(deal)
        if self.known:
            return f"{self.name} now holds {current!r}, not our {self.change.value!r}: it was changed since"
        return f"{self.name} holds {current!r}, and what it held before our write is not known"

    def now_holding(self, stands: Mapping[str, Any]) -> Written:
        """With the value that the vendor made of ours."""
        key = self.change.key
        return replace(self, change=replace(self.change, value=stands[key])) if key in stands else self

    def for_undo(self) -> dict[str, Any]:
        entry = {"name": self.name, "key": self.change.key, "custom": self.change.custom, "known": self.known}
        return entry | {"type": self.change.field.type, "before": self.before, "after": self.change.value}

    @classmethod
    def from_undo(cls, entry: Mapping[str, Any], fields: Mapping[str, CustomField]) -> Written:
        """From a receipt. A custom field that was deleted since is compared by the type it had."""
        known_type = CustomField(entry["key"], entry["name"], entry["name"], entry["type"])
        field = fields.get(entry["key"], known_type)
        change = Change(entry["name"], entry["key"], entry["after"], field, entry["custom"])
        return cls(change, before=entry["before"], known=entry["known"])


async def changes_of(data: DealUpdate, currency: str | None, fields: FieldMaps) -> list[Change]:
    """All that `data` names, in the vendor's form. Raises `RejectedError` that names the field."""
    if data.status is not None and data.status not in _STATUSES:
        raise RejectedError(f"no deal status {data.status!r}; there are {', '.join(_STATUSES)}", field="status")
    plain = (("title", data.title), ("status", data.status))
    changes = [Change(name, name, value, _PLAIN, custom=False) for name, value in plain if value is not None]
    changes += [_native(key, value) for key, value in data.native.items()]
    for name, value in data.custom.items():
        field = await fields.named("deal", name)
        raw = field.write(value, currency)
        changes.append(Change(f"custom.{field.name}", field.code, raw, field, custom=True))
    if not changes:
        raise RejectedError("deal.update names nothing to write; give title, status or custom", field="custom")
    _once(changes)
    return changes


def _native(key: str, value: Any) -> Change:
    if key in _NEVER:
        raise RejectedError(f"deal.update does not write {key}: {_NEVER[key]}", field=f"native.{key}")
    return Change(f"native.{key}", key, value, _NATIVE, custom=False)


def _once(changes: Iterable[Change]) -> None:
    seen: dict[str, str] = {}
    for change in changes:
        if change.key in seen:
            raise RejectedError(f"{seen[change.key]} and {change.name} are one field", field=change.name)
        seen[change.key] = change.name


def _agent(row: Mapping[str, Any]) -> str:
    return str(row.get("change_source_user_agent") or "")


def _another(row: Mapping[str, Any]) -> bool:
    """Whether the row names who made the change: by a user agent, or a source that is not the API."""
    return bool(_agent(row)) or row.get("change_source") not in (None, "", "api")
