"""Page cursors that cannot be made up, or carried over to another list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.errors import InvalidCursor

_NUMBER = 8
_TAG = 12


class Cursors:
    """Signs the place of a page's last row together with the list's filters."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, no: int, filters: Mapping[str, Any]) -> str:
        """The cursor of the page after row `no`."""
        return self._signed(no.to_bytes(_NUMBER, "big"), filters)

    def read(self, cursor: str, filters: Mapping[str, Any]) -> int:
        """The row that the cursor names. Raises `InvalidCursor`."""
        return int.from_bytes(self._place(cursor, _NUMBER, filters), "big")

    def write_at(self, at: int, no: int, filters: Mapping[str, Any]) -> str:
        """The cursor of the page after row `no`, where rows are in the order of an instant."""
        return self._signed(at.to_bytes(_NUMBER, "big", signed=True) + no.to_bytes(_NUMBER, "big"), filters)

    def read_at(self, cursor: str, filters: Mapping[str, Any]) -> tuple[int, int]:
        """The instant and the row that the cursor names. Raises `InvalidCursor`."""
        place = self._place(cursor, 2 * _NUMBER, filters)
        return int.from_bytes(place[:_NUMBER], "big", signed=True), int.from_bytes(place[_NUMBER:], "big")

    def _signed(self, place: bytes, filters: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(place + self._tag(place, filters)).decode().rstrip("=")

    def _place(self, cursor: str, size: int, filters: Mapping[str, Any]) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (ValueError, binascii.Error):
            raise InvalidCursor from None
        place, tag = raw[:size], raw[size:]
        if not hmac.compare_digest(tag, self._tag(place, filters)):
            raise InvalidCursor
        return place

    def _tag(self, place: bytes, filters: Mapping[str, Any]) -> bytes:
        text = place + jsonio.canonical(dict(filters))
        return hashlib.blake2b(text, key=self._key, digest_size=_TAG).digest()
