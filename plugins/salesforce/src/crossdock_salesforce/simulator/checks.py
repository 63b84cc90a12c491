"""What Salesforce refuses in the body of a write, and how it keeps what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from crossdock_salesforce.simulator.faults import RefusedError, no_column
from crossdock_salesforce.simulator.pricing import plain
from crossdock_salesforce.simulator.schema import SimField, SimObject

_NUMBERS = frozenset({"double", "currency", "percent", "int"})


def checked(found: SimObject, values: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
    """The values as they are kept. Raises `RefusedError` for what the object does not take."""
    if not found.writable:
        raise RefusedError(400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be written: {found.name}")
    kept: dict[str, Any] = {}
    folded = {name.casefold(): one for name, one in found.fields.items()}
    for name, value in values.items():
        one = folded.get(name.casefold())
        if one is None:
            raise no_column(name, found.name)
        if one.set_by_system or (one.only_created and not creating):
            said = f"Unable to create/update fields: {one.name}. Please check the security settings of this field and "
            raise RefusedError(
                400, "INVALID_FIELD_FOR_INSERT_UPDATE", said + "verify that it is read/write for your profile.", (name,)
            )
        kept[one.name] = _kept(one, value)
    return kept


def require(found: SimObject, row: Mapping[str, Any]) -> None:
    """Raises `RefusedError` for a new record that lacks a required field."""
    missing = [one.name for one in found.fields.values() if one.required and row.get(one.name) is None]
    if missing:
        said = f"Required fields are missing: [{', '.join(missing)}]"
        raise RefusedError(400, "REQUIRED_FIELD_MISSING", said, tuple(missing))


def _kept(one: SimField, value: Any) -> Any:
    if value is None or value == "":
        if one.required:
            said = f"Required fields are missing: [{one.name}]"
            raise RefusedError(400, "REQUIRED_FIELD_MISSING", said, (one.name,))
        return False if one.type == "boolean" else None
    try:
        return _typed(one, value)
    except (TypeError, ValueError, ArithmeticError):
        kind = "VALUE_STRING" if isinstance(value, str) else "VALUE_NUMBER"
        said = f"Cannot deserialize instance of {one.type} from {kind} value {value} or request may be missing a field"
        raise RefusedError(400, "JSON_PARSER_ERROR", said) from None


def _typed(one: SimField, value: Any) -> Any:
    if one.type in _NUMBERS:
        if isinstance(value, (str, bool)):
            raise ValueError(value)
        return plain(Decimal(value).quantize(Decimal(1).scaleb(-one.scale), ROUND_HALF_UP))
    if one.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError(value)
        return value
    if not isinstance(value, str):
        raise TypeError(value)
    if one.type == "date":
        return date.fromisoformat(value).isoformat()
    if one.type == "datetime":
        at = datetime.fromisoformat(value).astimezone(UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    if one.type in ("picklist", "multipicklist") and (one.restricted or one.name == "StageName"):
        unknown = [part for part in value.split(";") if part not in one.options]
        if unknown:
            said = f"bad value for restricted picklist field: {unknown[0]}"
            raise RefusedError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", said, (one.name,))
    text = value.strip()
    if len(text) > one.length:
        said = f"{one.label}: data value too large: {text} (max length={one.length})"
        raise RefusedError(400, "STRING_TOO_LONG", said, (one.name,))
    return text
