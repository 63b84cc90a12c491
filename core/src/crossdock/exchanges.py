"""What went over the wire in one step, as its checkpoint keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crossdock_sdk.http.exchanges import Exchange

KEPT = 20
"""Exchanges of one step at most: a source that reads page after page must not fill the journal."""
SENT = 16_000
ANSWERED = 8_000
"""Characters of a body at most."""
_TOLD = 500


def shown(heard: Sequence[Exchange], redact: Callable[[str], str], *, bodies: bool) -> list[dict[str, Any]]:
    """The exchanges as plain data, oldest first: `method`, `url`, `status` or `failure`, `ms`.

    `bodies`: with what was sent and answered, for a step that failed. Of very many the last are kept, and
    `left_out` of the first one says how many were before it.
    """
    kept = [_one(exchange, redact, bodies=bodies) for exchange in heard[-KEPT:]]
    if len(heard) > KEPT:
        kept[0]["left_out"] = len(heard) - KEPT
    return kept


def _one(exchange: Exchange, redact: Callable[[str], str], *, bodies: bool) -> dict[str, Any]:
    known: dict[str, Any] = {"method": exchange.method, "url": exchange.url, "status": exchange.status}
    known |= {"ms": round(exchange.seconds * 1000), "request_id": exchange.request_id}
    known["failure"] = exchange.failure and redact(exchange.failure)[:_TOLD]
    if bodies:
        known |= {"sent": _text(exchange.sent, redact, SENT), "answered": _text(exchange.answered, redact, ANSWERED)}
    return {name: value for name, value in known.items() if value is not None}


def _text(body: bytes | None, redact: Callable[[str], str], limit: int) -> str | None:
    if not body:
        return None
    # Masked before it is cut: the first half of a secret is one, too.
    text = redact(body.decode("utf-8", "replace"))
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
