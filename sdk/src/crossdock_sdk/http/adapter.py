"""httpx transports under the client, such as those of tests: `Context.transport` gives one in place of the network."""

from __future__ import annotations

import httpx

from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.wire import NotSentError

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)

WRITE = "crossdock.write"
"""Request extension: True if the request may change something at the vendor."""


def is_write(request: httpx.Request) -> bool:
    """Whether the request may change something; True unless the client said otherwise."""
    return bool(request.extensions.get(WRITE, True))


class OverHttpx:
    """A wire that goes through an httpx transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def exchange(self, request: Request, connect: float, silence: float) -> tuple[int, dict[str, str], bytes]:
        """As `Wire.exchange`. Raises `NotSentError`, or what the transport raises."""
        try:
            response = await self._response(request, connect, silence)
        except _NEVER_SENT as error:
            raise NotSentError(str(error)) from error
        return response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content

    async def _response(self, request: Request, connect: float, silence: float) -> httpx.Response:
        times = httpx.Timeout(silence, connect=connect, pool=connect).as_dict()
        extensions = {WRITE: request.write, "timeout": times}
        asked = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.body, extensions=extensions
        )
        response = await self._transport.handle_async_request(asked)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response

    async def close(self) -> None:
        await self._transport.aclose()
