"""Page cursors that cannot be made up, or carried over to another list."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from crossdock_sdk import jsonio

from crossdock.journal.errors import InvalidCursor

_NUMBER = 8
_TAG = 12


class Cursors:
    """Signs the place of a page's last row together with the list's filters."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, no: int, filters: Mapping[str, str | None]) -> str:
        """The cursor of the page after row `no`."""
        place = no.to_bytes(_NUMBER, "big")
        return base64.urlsafe_b64encode(place + self._tag(place, filters)).decode().rstrip("=")

    def read(self, cursor: str, filters: Mapping[str, str | None]) -> int:
        """The row that the cursor names. Raises `InvalidCursor`."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (ValueError, binascii.Error):
            raise InvalidCursor from None
        place, tag = raw[:_NUMBER], raw[_NUMBER:]
        if not hmac.compare_digest(tag, self._tag(place, filters)):
            raise InvalidCursor
        return int.from_bytes(place, "big")

    def _tag(self, place: bytes, filters: Mapping[str, str | None]) -> bytes:
        text = place + jsonio.canonical(dict(filters))
        return hashlib.blake2b(text, key=self._key, digest_size=_TAG).digest()
