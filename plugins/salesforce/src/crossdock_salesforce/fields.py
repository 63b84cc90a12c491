"""The fields of the org's objects: API names on the wire, readable names in mappings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from crossdock_sdk import RejectedError
from crossdock_sdk.models import slugs

from crossdock_salesforce.values import COMPOUND, SalesField

_KEEP = timedelta(minutes=5)


class ObjectFields:
    """The fields of one object that the connection's user may see."""

    def __init__(self, name: str, fields: Iterable[SalesField]) -> None:
        self.object = name
        self.by_name = {field.name: field for field in fields}
        self._folded = {field.name.casefold(): field for field in self.by_name.values()}
        self.custom = {field.readable: field for field in self.by_name.values() if field.custom}
        self.relationships = {field.relationship for field in self.by_name.values() if field.relationship}

    @classmethod
    def described(cls, name: str, rows: Iterable[Mapping[str, Any]]) -> ObjectFields:
        """From the `fields` of a describe result. Custom fields are named first, so that their names stay short.

        Raises `LookupError`, `TypeError` or `AttributeError` for a row that is not as documented.
        """
        found = [_field(row) for row in rows]
        own = slugs((field.name, field.label) for field in found if field.custom)
        other = slugs((field.name, field.label) for field in found if not field.custom)
        return cls(name, [replace(field, readable=(own if field.custom else other)[field.name]) for field in found])

    def find(self, name: str, *, custom: bool = False) -> SalesField | None:
        """By API name (any case), readable name or label; custom fields win. `custom`: none but those."""
        field = self._folded.get(name.casefold()) or self.custom.get(name)
        if field is None:
            several = [one for one in self.by_name.values() if name in (one.label, one.readable)]
            several = [one for one in several if one.custom] or several
            field = several[0] if len(several) == 1 else None
        return None if field is None or (custom and not field.custom) else field

    def nearest(self, name: str, *, custom: bool = False) -> str | None:
        """The name that looks most like `name`."""
        known = {one.readable: one.readable for one in self.by_name.values() if one.custom or not custom}
        known |= {one.name.casefold(): one.name for one in self.by_name.values() if one.custom or not custom}
        near = get_close_matches(name.casefold(), known, n=1, cutoff=0.4)
        return known[near[0]] if near else None

    def readable_columns(self) -> list[str]:
        """The API names of all custom fields that a query can select as one value."""
        return [field.name for field in self.custom.values() if field.type not in (*COMPOUND, "base64")]

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """All custom fields by readable name, None where unset. Raises `ValueError` for an undocumented shape."""
        columns = set(self.readable_columns())
        return {name: field.read(row.get(field.name)) for name, field in self.custom.items() if field.name in columns}


Load = Callable[[str], Awaitable[ObjectFields]]


@dataclass(frozen=True, slots=True)
class _Cached:
    fields: ObjectFields
    until: datetime


class Descriptions:
    """The described objects of one org, each read when first needed and kept for five minutes."""

    def __init__(self, load: Load, now: Callable[[], datetime]) -> None:
        self._load = load
        self._now = now
        self._cache: dict[str, _Cached] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, name: str, *, instead_of: ObjectFields | None = None) -> ObjectFields:
        """The fields of an object; `instead_of` is what proved stale and is not given again."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            cached = self._cache.get(name)
            if cached is None or cached.fields is instead_of or cached.until <= self._now():
                fields = await self._load(name)
                cached = self._cache[name] = _Cached(fields, self._now() + _KEEP)
            return cached.fields

    def forget(self) -> None:
        """Read all anew when next needed: something that was described proved gone."""
        self._cache.clear()

    async def named(self, name: str, field: str, *, custom: bool = False, at: str = "fields") -> SalesField:
        """The field of an object; `RejectedError` for an unknown one tells the nearest right name."""
        fields = await self.get(name)
        found = fields.find(field, custom=custom)
        if found is None:
            fields = await self.get(name, instead_of=fields)
            found = fields.find(field, custom=custom)
        if found is not None:
            return found
        near = fields.nearest(field, custom=custom)
        hint = f"did you mean {near}?" if near else "make it, or let the integration user see it"
        kind = "custom field" if custom else "field"
        raise RejectedError(f"there is no {kind} {field!r} on {name}; {hint}", field=f"{at}.{field}")


def _field(row: Mapping[str, Any]) -> SalesField:
    values = row.get("picklistValues") or ()
    return SalesField(
        name=str(row["name"]),
        label=str(row["label"]),
        type=str(row["type"]),
        custom=bool(row["custom"]),
        createable=bool(row.get("createable")),
        updateable=bool(row.get("updateable")),
        external_id=bool(row.get("externalId")),
        scale=int(row.get("scale") or 0),
        relationship=row.get("relationshipName") or None,
        options={str(one["value"]): str(one.get("label") or one["value"]) for one in values},
    )
