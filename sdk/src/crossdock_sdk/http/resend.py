"""A read whose connection was lost is sent once more: servers close pooled connections all the time."""

from __future__ import annotations

import httpx

from crossdock_sdk.errors import TransientError
from crossdock_sdk.http.layer import DROPPED, Layer, count_resend, is_write


class ReadResend(Layer):
    """Resends reads only, once, and only after a lost connection. A write is never resent here."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except TransientError:
            if is_write(request) or not request.extensions.pop(DROPPED, False):
                raise
        count_resend(request)
        return await self._inner.handle_async_request(request)
