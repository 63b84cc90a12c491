"""Filters over text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from crossdock.mapping.errors import Fault
from crossdock.mapping.filters.countries import CALLING_CODES, KEEPS_ZERO, NAMES
from crossdock.mapping.filters.spec import Filter, whole
from crossdock.mapping.values import MAX_TEXT, kind, text
from crossdock.words import did_you_mean

_WORD = re.compile(r"(?:(?<![^\W_])[^\W_]['’])?[^\W_]+(?:['’][^\W_]+)*")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Fault(f"a text is needed, not {kind(value)}")
    return value


def _simple(change: Callable[[str], str]) -> Callable[[Any], str]:
    def apply(value: Any) -> str:
        return change(_text(value))

    return apply


def _title(value: str) -> str:
    """Capitals as names have them: O'Neil, D'Arcy, but Don't."""

    def capital(match: re.Match[str]) -> str:
        word = match[0]
        head = 3 if word[1:2] in ("'", "’") else 1
        return word[:head].upper() + word[head:].lower()

    return _WORD.sub(capital, value)


def truncate(value: Any, length: Any, end: Any = "…") -> str:
    limit = whole(length, "the length")
    given, tail = _text(value), _text(end)
    if limit < len(tail):
        raise Fault("the length is shorter than what marks the end")
    return given if len(given) <= limit else given[: limit - len(tail)].rstrip() + tail


def split(value: Any, separator: Any = ",") -> list[str]:
    if not _text(separator):
        raise Fault("the separator is empty")
    return [part.strip() for part in _text(value).split(separator)]


def join(value: Any, separator: Any = ", ") -> str:
    if not isinstance(value, (list, tuple)):
        raise Fault(f"a list is needed, not {kind(value)}")
    if len(_text(separator)) * len(value) > MAX_TEXT:
        raise Fault(f"the text is longer than {MAX_TEXT} characters")
    return str(separator).join(text(item) for item in value if item is not None)


_MISSING = object()


def _table(name: Any, tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if name in tables:
        return tables[name]
    hint = did_you_mean(str(name), tables)
    raise Fault(f"unknown table {name}{hint or f'; add it to the flow: `tables: {{{name}: {{…}}}}`'}")


def lookup(value: Any, table: Any, fallback: Any = _MISSING, *, tables: Mapping[str, Mapping[str, Any]]) -> Any:
    rows, key = _table(table, tables), text(value)
    if key in rows:
        return rows[key]
    if fallback is _MISSING:
        raise Fault(f"table {table} has no row {key}{did_you_mean(key, rows)}")
    return fallback


def country(value: Any) -> str:
    given = " ".join(_text(value).replace(".", "").split()).casefold()
    if given not in NAMES:
        raise Fault(f"unknown country{did_you_mean(given, NAMES)}")
    return NAMES[given]


def phone(value: Any, home: Any = None) -> str:
    given = _text(value)
    if re.search(r"[^\d\s+()./\-–]", given):
        raise Fault("a phone number may hold digits, spaces, + ( ) . / and - only")
    digits = re.sub(r"\D", "", given.replace("(0)", ""))
    if not given.strip().startswith("+"):
        digits = digits[2:] if digits.startswith("00") else _national(digits, home)
    if not 7 <= len(digits) <= 15:
        raise Fault("the number does not have the 7 to 15 digits of an international one")
    return f"+{digits}"


def _national(digits: str, home: Any) -> str:
    if home is None:
        raise Fault('the number has no country code; name the country: `| phone("DE")`')
    code = country(home)
    calling = CALLING_CODES.get(code)
    if calling is None:
        raise Fault(f"the calling code of {code} is not known here; write the number with +")
    if calling == "1":
        return digits if len(digits) == 11 and digits.startswith("1") else f"1{digits}"
    return calling + (digits if code in KEEPS_ZERO else digits.removeprefix("0"))


def text_filters(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Filter, ...]:
    return (
        Filter("upper", _simple(str.upper), "In capitals.", '{{ "sku-1" | upper }}', '"SKU-1"'),
        Filter("lower", _simple(str.lower), "In small letters.", '{{ "Ann@X.IO" | lower }}', '"ann@x.io"'),
        Filter("title", _simple(_title), "Each word with a capital.", '{{ "o\'neil ltd" | title }}', '"O\'Neil Ltd"'),
        Filter("trim", _simple(str.strip), "Without blanks at both ends.", '{{ "  a " | trim }}', '"a"'),
        Filter(
            "truncate",
            truncate,
            "At most `length` characters; what is cut off is marked by `end`.",
            '{{ "a long title" | truncate(7) }}',
            '"a long…"',
        ),
        Filter("split", split, "A list of the parts, trimmed.", '{{ "a, b" | split }}', '["a","b"]'),
        Filter("join", join, "The items as one text; nulls are left out.", '{{ [1, "b"] | join("-") }}', '"1-b"'),
        Filter(
            "lookup",
            partial(lookup, tables=tables),
            "The row of a table of the flow; without a fallback, a missing row is an error.",
            '{{ "net 30" | lookup("terms") }}',
            '"3"',
            argument=partial(_table, tables=tables),
        ),
        Filter("country", country, "ISO 3166 alpha-2 code of a country.", '{{ "Germany" | country }}', '"DE"'),
        Filter(
            "phone",
            phone,
            "International form; a national number loses its leading 0 and gets the country's calling code.",
            '{{ "(030) 901820" | phone("DE") }}',
            '"+4930901820"',
            argument=country,
        ),
    )
