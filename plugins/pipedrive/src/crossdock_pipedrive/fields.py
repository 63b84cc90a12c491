"""The account's custom fields: 40-hex codes on the wire, readable names in mappings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal

from crossdock_sdk import RejectedError
from crossdock_sdk.models import slugs, valued

from crossdock_pipedrive.values import CustomField, StaleFieldsError

_KEEP = timedelta(minutes=5)

Kind = Literal["deal", "organization", "person"]


class FieldMap:
    """The custom fields of one kind of object."""

    def __init__(self, fields: Iterable[CustomField]) -> None:
        self.by_code = {field.code: field for field in fields}
        self.by_name = {field.name: field for field in self.by_code.values()}

    @classmethod
    def named_by_label(cls, fields: Iterable[CustomField]) -> FieldMap:
        """The map of `fields`, each given its readable name."""
        nameless = list(fields)
        names = slugs((field.code, field.label) for field in nameless)
        return cls(replace(field, name=names[field.code]) for field in nameless)

    def find(self, name: str) -> CustomField | None:
        """By readable name, exact label or code."""
        if name in self.by_name or name in self.by_code:
            return self.by_name.get(name) or self.by_code[name]
        labelled = [field for field in self.by_code.values() if field.label == name]
        return labelled[0] if len(labelled) == 1 else None

    def nearest(self, name: str) -> str | None:
        """The readable name that looks most like `name`."""
        near = get_close_matches(name.casefold(), self.by_name, n=1, cutoff=0.4)
        return near[0] if near else None

    def read(self, values: Mapping[str, Any] | None) -> dict[str, Any]:
        """All defined fields by readable name, None where unset.

        Raises `StaleFieldsError` if a value belongs to no known field or option, `ValueError` for a shape
        that is not documented.
        """
        found: dict[str, Any] = dict.fromkeys(self.by_name)
        for code, raw in (values or {}).items():
            field = self.by_code.get(code)
            if field is not None:
                found[field.name] = field.read(raw)
            elif valued(raw):
                raise StaleFieldsError(f"field {code}")
        return found


Load = Callable[[Kind], Awaitable[FieldMap]]


@dataclass(frozen=True, slots=True)
class _Cached:
    fields: FieldMap
    until: datetime


class FieldMaps:
    """The field maps of one account, each loaded when first needed and kept for five minutes."""

    def __init__(self, load: Load, now: Callable[[], datetime]) -> None:
        self._load = load
        self._now = now
        self._cache: dict[Kind, _Cached] = {}
        self._locks: dict[Kind, asyncio.Lock] = {}

    async def get(self, kind: Kind, *, instead_of: FieldMap | None = None) -> FieldMap:
        """The map of `kind`; `instead_of` is one that proved stale and is not given again."""
        async with self._locks.setdefault(kind, asyncio.Lock()):
            cached = self._cache.get(kind)
            if cached is None or cached.fields is instead_of or cached.until <= self._now():
                fields = await self._load(kind)
                cached = self._cache[kind] = _Cached(fields, self._now() + _KEEP)
            return cached.fields

    async def read(self, kind: Kind, values: Mapping[str, Any] | None) -> dict[str, Any]:
        """A record's custom fields by readable name.

        Raises `RejectedError` for a value that no definition names, not even a newly read one.
        """
        fields = await self.get(kind)
        try:
            return fields.read(values)
        except StaleFieldsError:
            fields = await self.get(kind, instead_of=fields)
        try:
            return fields.read(values)
        except StaleFieldsError as unknown:
            raise RejectedError(
                f"the {kind} carries a value in {unknown}, which its field definitions do not name; "
                "check that the token's user may see that field",
                field=str(unknown).removeprefix("field "),
            ) from None

    async def named(self, kind: Kind, name: str) -> CustomField:
        """The field of that readable name, label or code; `RejectedError` tells the nearest right name."""
        fields = await self.get(kind)
        field = fields.find(name)
        if field is None:
            fields = await self.get(kind, instead_of=fields)
            field = fields.find(name)
        if field is not None:
            return field
        near = fields.nearest(name)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(fields.by_name)) or 'none'}"
        raise RejectedError(f"there is no custom {kind} field {name!r}; {hint}", field=f"custom.{name}")


def custom_field(row: Mapping[str, Any]) -> CustomField | None:
    """One row of `GET /api/v2/dealFields` or a sibling, still without its readable name; None if not custom.

    Raises `LookupError`, `TypeError` or `AttributeError` for a row that is not as documented.
    """
    if not row["is_custom_field"]:
        return None
    options = {str(option["id"]): str(option["label"]) for option in row.get("options") or ()}
    return CustomField(str(row["field_code"]), str(row["field_name"]), "", str(row["field_type"]), options)
