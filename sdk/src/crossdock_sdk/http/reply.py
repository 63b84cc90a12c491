"""A vendor's reply, read to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from crossdock_sdk import jsonio
from crossdock_sdk.errors import AmbiguousError, ConnectorError, TransientError

_REQUEST_IDS = ("x-request-id", "request-id", "x-correlation-id")


@dataclass(frozen=True)
class Reply:
    """`headers` has lower-case names, `url` is redacted; `write`: the request may have changed something."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    method: str
    url: str
    write: bool

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not becomes U+FFFD."""
        return self.content.decode("utf-8", "replace")

    @property
    def endpoint(self) -> str:
        """Method and URL without the query, as the first words of a message."""
        return f"{self.method} {endpoint(self.url)}"

    @property
    def request_id(self) -> str | None:
        """The id under which the vendor's support finds the request, if a usual header carries one."""
        return next((self.headers[name] for name in _REQUEST_IDS if name in self.headers), None)

    @property
    def date(self) -> datetime | None:
        """The vendor's clock when it answered (RFC 9110, 6.6.1 `Date`), in whole seconds."""
        return http_date(self.headers.get("date"))

    def json(self) -> Any:
        """The body as JSON, numbers exact, the same object in every call.

        If it is not JSON, raises what `unusable` gives.
        """
        return self._decoded

    @cached_property
    def _decoded(self) -> Any:
        try:
            return jsonio.loads(self.content)
        except (ValueError, RecursionError):
            kind = self.headers.get("content-type", "no content type")
        raise self.unusable(f"the reply is not JSON ({kind}, {len(self.content)} bytes)")

    def require(self, *path: str | int) -> Any:
        """`json()[path[0]][path[1]]…`. If it is absent or null there, raises what `unusable` gives."""
        value = self.json()
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                value = None
            if value is None:
                raise self.unusable(f"the reply lacks {'.'.join(map(str, path))}")
        return value

    def unusable(self, why: str) -> ConnectorError:
        """The error for a reply that is not as documented: ambiguous for a write, else transient."""
        message = f"{self.endpoint}: HTTP {self.status}, {why}"
        kind = AmbiguousError if self.write else TransientError
        return kind(message, status=self.status, request_id=self.request_id)


def http_date(header: str | None) -> datetime | None:
    """An HTTP date as an instant; None for what is none."""
    try:
        told = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def endpoint(url: str) -> str:
    """A shown URL without its query, for messages of one line."""
    return url.partition("?")[0]
