"""JSON in and out that keeps money exact: every number with a point is a `Decimal`, in both directions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr


def _foreign(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="python")
    if isinstance(value, SecretStr):
        return "**********"
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_foreign)
_sorted = msgspec.json.Encoder(decimal_format="number", enc_hook=_foreign, order="sorted")


def loads(data: bytes | str) -> Any:
    """Decode JSON; numbers with a point or exponent come back as `Decimal`.

    Raises `ValueError`, or `RecursionError` for nesting beyond the recursion limit.
    """
    try:
        return _decoder.decode(data)
    except ArithmeticError:
        raise ValueError("a number's exponent is beyond what Decimal holds") from None


def dumps(value: Any) -> bytes:
    """Encode to UTF-8 JSON; `Decimal` as a number literal, dates and instants as ISO 8601.

    Raises `TypeError` for what has no JSON form, `ValueError` for a `Decimal` that is not finite.
    """
    return _proper(_encoder.encode(value))


def canonical(value: Any) -> bytes:
    """Encode with sorted keys, so that equal values have equal bytes (hashes, comparisons)."""
    return _proper(_sorted.encode(value))


def plain(value: Any) -> Any:
    """The value as its reader will get it: instants as text, models as objects, numbers exact. Raises as `dumps`."""
    return loads(dumps(value))


def pretty(value: Any) -> str:
    """Encode like `dumps`, indented for people; every number keeps its digits."""
    return msgspec.json.format(dumps(value), indent=2).decode()


def _proper(encoded: bytes) -> bytes:
    """msgspec writes a NaN or infinite Decimal as a bare word, which is not JSON."""
    if b"NaN" in encoded or b"Infinity" in encoded:
        try:
            _decoder.decode(encoded)
        except msgspec.DecodeError:
            raise ValueError("NaN and infinity have no JSON form") from None
    return encoded
