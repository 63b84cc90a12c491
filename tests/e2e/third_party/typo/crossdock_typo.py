"""A distribution whose one hook is misspelt."""

from __future__ import annotations

from crossdock_sdk import Sink, hookimpl


@hookimpl
def crossdock_sinkz() -> list[type[Sink]]:
    return []
