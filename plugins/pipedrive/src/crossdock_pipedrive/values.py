"""One custom field: its definition, and what a value of it looks like on either side of the API.

Shapes in REST v2 (Pipedrive docs, 'Pipedrive API v2 migration guide', 'Custom fields'): text types a string,
numbers a number, `enum` an option id, `set` a list of option ids, `monetary` {value, currency}, `date`
YYYY-MM-DD, `daterange` and `timerange` {value, until}, `address` {value, …}, `user`, `org` and `people` an
id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from crossdock_sdk import RejectedError

_TEXTS = frozenset({"varchar", "text", "varchar_auto", "varchar_options", "phone", "time"})
_NUMBERS = frozenset({"double", "int"})
_LINKS = frozenset({"user", "org", "people", "deal", "lead", "project", "stage", "activity"})
_PARTS: dict[str, tuple[str, ...]] = {"monetary": ("value", "currency"), "address": ("value",)}
_PARTS |= dict.fromkeys(("daterange", "timerange"), ("value", "until"))


class StaleFieldsError(Exception):
    """A value names a field or an option that the known definitions do not have."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field. `code` is the 40-hex key, `name` what mappings call it, `options` id → label."""

    code: str
    label: str
    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)

    def read(self, raw: Any) -> Any:
        """The vendor's value as mappings see it: labels for options, `Decimal` for numbers, None for unset.

        Raises `StaleFieldsError` for an unknown option, `ValueError` for a shape that is not documented.
        """
        if raw is None:
            return None
        if self.type == "enum":
            return self._label(raw)
        if self.type == "set":
            return [self._label(option) for option in _listed(raw)] or None
        if self.type in _NUMBERS:
            return exact(raw)
        if self.type in _LINKS:
            return linked_id(raw)
        if self.type in _PARTS:
            return self._parts(raw)
        return raw

    def write(self, value: Any, currency: str | None = None) -> Any:
        """What PATCH takes for `value`; `currency` is for money given as a bare number. None clears the
        field.

        Raises `RejectedError` that names the field.
        """
        if value is None:
            return None
        try:
            return _WRITERS.get(self.type, _unchanged)(self, value, currency)
        except ValueError as error:
            raise RejectedError(f"custom field {self.name} ({self.type}): {error}", field=self.name) from None

    def needs_currency(self, value: Any) -> bool:
        """Whether `write` needs a currency beside this value."""
        return self.type == "monetary" and value is not None and not isinstance(value, dict)

    def _label(self, option: Any) -> str:
        label = self.options.get(str(option))
        if label is None:
            raise StaleFieldsError(f"option {option} of {self.name}")
        return label

    def _parts(self, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        if all(raw.get(part) is None for part in ("value", "until")):
            return None
        return raw | {"value": exact(raw.get("value"))} if self.type == "monetary" else raw

    def option_id(self, value: Any) -> int:
        """The id of an option named by its label (any case) or by its id. Raises `ValueError`."""
        text = str(value).strip()
        if text in self.options:
            return int(text)
        folded = {label.casefold(): option for option, label in self.options.items()}
        if text.casefold() in folded:
            return int(folded[text.casefold()])
        near = get_close_matches(text.casefold(), folded, n=1, cutoff=0)
        hint = f"; did you mean {self.options[folded[near[0]]]!r}?" if near else "; it has no options"
        raise ValueError(f"no option {text!r}{hint}")


def same(kind: str, one: Any, other: Any) -> bool:
    """Whether two of the vendor's values of a type mean the same; parts that only one side has do not count."""
    if one in (None, "", []) or other in (None, "", []):
        return one in (None, "", []) and other in (None, "", [])
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_equal(one.get(part), other.get(part)) for part in _PARTS.get(kind, one.keys() | other))
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return _equal(one, other)


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


def linked_id(raw: Any) -> str | None:
    """The id in a link to another record: v2 gives the bare id, v1 an object with `value`."""
    if isinstance(raw, dict):
        raw = raw.get("value")
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, (int, str)):
        raise ValueError(f"{type(raw).__name__} is not an id")  # noqa: TRY004 (a value, not a misuse)
    return str(raw)


def _listed(raw: Any) -> list[Any]:
    if isinstance(raw, list):
        return raw
    raise ValueError("a set of options is not a list")


def _equal(one: Any, other: Any) -> bool:
    if one == other:
        return True
    try:
        return exact(one) == exact(other)
    except ValueError:
        return False


def _text(_: CustomField, value: Any, __: str | None) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"needs text, not {type(value).__name__}")


def _number(custom: CustomField, value: Any, _: str | None) -> int | Decimal:
    number = exact(value)
    if custom.type == "int":
        if number != number.to_integral_value():
            raise ValueError(f"needs a whole number, not {number}")
        return int(number)
    return number


def _day(_: CustomField, value: Any, __: str | None) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return date.fromisoformat(value).isoformat()
    raise ValueError("needs a calendar date such as 2026-11-20")


def _money(_: CustomField, value: Any, currency: str | None) -> dict[str, Any]:
    if isinstance(value, dict):
        if set(value) != {"value", "currency"}:
            raise ValueError("needs {value, currency}")
        return {"value": exact(value["value"]), "currency": value["currency"]}
    if currency is None:
        raise ValueError("needs {value, currency}; the deal has no currency of its own")
    return {"value": exact(value), "currency": currency}


def _range(_: CustomField, value: Any, __: str | None) -> dict[str, Any]:
    if isinstance(value, dict) and set(value) == {"value", "until"}:
        return value
    raise ValueError("needs {value, until}")


def _place(_: CustomField, value: Any, __: str | None) -> dict[str, Any]:
    if isinstance(value, str):
        return {"value": value}
    if isinstance(value, dict) and "value" in value:
        return value
    raise ValueError("needs the address as text, or {value, …}")


def _link(_: CustomField, value: Any, __: str | None) -> int:
    number = exact(value)
    if number != number.to_integral_value() or number < 1:
        raise ValueError(f"needs an id, not {value!r}")
    return int(number)


def _options(custom: CustomField, value: Any, _: str | None) -> list[int]:
    chosen = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return [custom.option_id(one) for one in chosen]


def _unchanged(_: CustomField, value: Any, __: str | None) -> Any:
    return value


_Writer = Callable[[CustomField, Any, str | None], Any]
_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_LINKS, _link),
    "enum": lambda custom, value, _: custom.option_id(value),
    "set": _options,
    "date": _day,
    "monetary": _money,
    "daterange": _range,
    "timerange": _range,
    "address": _place,
}
