"""A read whose connection was lost is sent once more: servers close pooled connections all the time."""

from __future__ import annotations

from crossdock_sdk.errors import TransientError
from crossdock_sdk.http.layer import Layer, Request
from crossdock_sdk.http.reply import Reply


class ReadResend(Layer):
    """Resends reads only, once, and only after a lost connection. A write is never resent here."""

    async def send(self, request: Request) -> Reply:
        try:
            return await self._inner.send(request)
        except TransientError:
            if request.write or not request.dropped:
                raise
        request.dropped = False
        request.resends += 1
        return await self._inner.send(request)
