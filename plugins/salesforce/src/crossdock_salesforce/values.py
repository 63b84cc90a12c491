"""One field of an object: its definition, and what a value of it looks like on either side of the API.

Shapes (SOAP API Developer Guide, 'Field Types'; REST writes the same values as JSON): numbers, `percent` and
`currency` are JSON numbers, a multi-select picklist is one text joined by `;`, a `date` is YYYY-MM-DD, a `datetime`
carries its offset, a reference is an id of 15 or 18 characters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from crossdock_sdk import RejectedError

from crossdock_salesforce import soql

_NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})
_TEXTS = frozenset({"string", "textarea", "phone", "url", "email", "encryptedstring", "combobox", "anyType"})
COMPOUND = frozenset({"address", "location"})
"""Types whose parts are fields of their own; they cannot be written."""


@dataclass(frozen=True, slots=True)
class SalesField:
    """A field as the describe call tells it; `readable` is what mappings call it, `options` value → label."""

    name: str
    label: str
    type: str
    readable: str = ""
    custom: bool = False
    createable: bool = False
    updateable: bool = False
    external_id: bool = False
    scale: int = 0
    relationship: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def read(self, raw: Any) -> Any:
        """The vendor's value as mappings see it: labels for picklists, `Decimal` for numbers, None for unset.

        An unchecked box is None, for Salesforce has no box that is not set. Raises `ValueError` for a shape that
        is not documented.
        """
        if raw is None or raw == "" or raw is False:
            return None
        if self.type in _NUMBERS:
            return exact(raw)
        if self.type == "multipicklist":
            return [self.options.get(one, one) for one in str(raw).split(";")]
        if self.type == "picklist":
            return self.options.get(str(raw), raw)
        if self.type == "datetime":
            at = soql.instant(raw)
            return at.isoformat() if at else None
        return raw

    def write(self, value: Any) -> Any:
        """What a write takes for `value`; None clears the field. Raises `RejectedError` that names the field."""
        if self.type in COMPOUND:
            raise RejectedError(f"field {self.name} is a compound of others; write its parts", field=self.name)
        if value is None:
            return False if self.type == "boolean" else None
        try:
            return _WRITERS.get(self.type, _unchanged)(self, value)
        except ValueError as error:
            raise RejectedError(f"field {self.name} ({self.type}): {error}", field=self.name) from None

    def option(self, value: Any) -> str:
        """The picklist value that is called `value`, by label (any case) or by itself. Raises `ValueError`."""
        wanted = str(value).strip()
        if wanted in self.options:
            return wanted
        folded = {label.casefold(): one for one, label in self.options.items()}
        if wanted.casefold() in folded:
            return folded[wanted.casefold()]
        near = get_close_matches(wanted.casefold(), folded, n=1, cutoff=0)
        hint = f"; did you mean {self.options[folded[near[0]]]!r}?" if near else "; it has no active values"
        raise ValueError(f"no value {wanted!r}{hint}")


def same(kind: str, one: Any, other: Any) -> bool:
    """Whether two of the vendor's values of a type mean the same."""
    if _unset(one) or _unset(other):
        return _unset(one) and _unset(other)
    if kind in _NUMBERS:
        try:
            return exact(one) == exact(other)
        except ValueError:
            return False
    if kind == "multipicklist":
        return sorted(str(one).split(";")) == sorted(str(other).split(";"))
    if kind == "datetime":
        try:
            return soql.instant(one) == soql.instant(other)
        except (TypeError, ValueError):
            return False
    if kind in ("reference", "id"):
        return str(one)[:15] == str(other)[:15]
    # Salesforce cuts spaces off the ends of texts.
    return str(one).strip() == str(other).strip() if isinstance(one, str) else bool(one == other)


def exact(raw: Any) -> Decimal:
    """A number of the vendor's as `Decimal`. Raises `ValueError` for anything that is none."""
    if isinstance(raw, (bool, float)) or not isinstance(raw, (int, str, Decimal)):
        raise ValueError(f"{type(raw).__name__} is not an exact number")  # noqa: TRY004 (a value, not a misuse)
    try:
        number = Decimal(raw)
    except InvalidOperation:
        raise ValueError(f"{raw!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{raw!r} is not a finite number")
    return number


def is_id(text: str) -> bool:
    """Whether a text has the form of a record id: 15 characters, or 18 with their check sum."""
    return len(text) in (15, 18) and text.isascii() and text.isalnum()


def _unset(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str) and not value.strip())


def _text(_: SalesField, value: Any) -> str | None:
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise ValueError(f"needs text, not {type(value).__name__}")


def _number(of: SalesField, value: Any) -> int | Decimal:
    number = exact(value)
    places = 0 if of.type in ("int", "long") else of.scale
    # Salesforce would round it without a word, and what stands would not be what was asked for.
    if number != round(number, places):
        raise ValueError(f"keeps {places} decimal places, and {number} has more; round it in the mapping")
    return int(number) if number == number.to_integral_value() else number


def _checkbox(_: SalesField, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("needs true or false")


def _day(_: SalesField, value: Any) -> str:
    if isinstance(value, datetime):
        raise ValueError("needs a calendar date; name the time zone with `| in_zone(…) | date`")  # noqa: TRY004
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return date.fromisoformat(value).isoformat()
    raise ValueError("needs a calendar date such as 2026-11-20")


def _moment(_: SalesField, value: Any) -> str:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("needs an instant with its zone such as 2026-11-20T10:00:00Z")
    return soql.literal(at)


def _link(_: SalesField, value: Any) -> str:
    if isinstance(value, str) and is_id(value):
        return value
    raise ValueError(f"needs a record id of 15 or 18 characters, not {value!r}")


def _options(of: SalesField, value: Any) -> str:
    chosen = list(value) if isinstance(value, (list, tuple, set, frozenset)) else str(value).split(";")
    return ";".join(of.option(one) for one in chosen)


def _unchanged(_: SalesField, value: Any) -> Any:
    return value


_Writer = Callable[[SalesField, Any], Any]
_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _number),
    "boolean": _checkbox,
    "date": _day,
    "datetime": _moment,
    "reference": _link,
    "picklist": lambda of, value: of.option(value),
    "multipicklist": _options,
}
