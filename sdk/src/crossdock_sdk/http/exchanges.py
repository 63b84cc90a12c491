"""What went over the wire while somebody listened: for a page that shows what a vendor was asked and what it said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.reply import Reply


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it was sent, and what came of it. `url` is redacted; the bodies are as they were, headers never.

    `status` None: there was no usable reply, and `failure` says why. `seconds` is how long it took. `sent` and
    `answered` are None where a body would show tokens.
    """

    method: str
    url: str
    seconds: float
    status: int | None = None
    request_id: str | None = None
    failure: str | None = None
    sent: bytes | None = field(default=None, repr=False)
    answered: bytes | None = field(default=None, repr=False)


_LISTENING: ContextVar[list[Exchange] | None] = ContextVar("crossdock_exchanges", default=None)


@contextmanager
def listening() -> Iterator[list[Exchange]]:
    """Gather the exchanges of every `ApiClient` used inside, in tasks begun there as well, in the order they ended."""
    heard: list[Exchange] = []
    token = _LISTENING.set(heard)
    try:
        yield heard
    finally:
        _LISTENING.reset(token)


def tell(request: Request, seconds: float, reply: Reply | None, failure: str | None) -> None:
    """Tell whoever listens of one exchange."""
    heard = _LISTENING.get()
    if heard is None:
        return
    status, request_id = (reply.status, reply.request_id) if reply else (None, None)
    bodies = (None, None) if request.private else (request.body, reply.content if reply else None)
    heard.append(Exchange(request.method, request.shown, seconds, status, request_id, failure, *bodies))
