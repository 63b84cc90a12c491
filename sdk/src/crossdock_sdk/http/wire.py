"""An httpx transport over aiohttp's connections.

httpx's own pool slows down with every request in flight. `httpx-aiohttp` does not, but costs twice what aiohttp
takes for the exchange itself, and tells of a connection that dropped after the request was sent as `ConnectTimeout`.
Here aiohttp's own exceptions come through as they are, for `crossdock_sdk.http.transport` to judge.
"""

from __future__ import annotations

import ssl
from functools import cache

import aiohttp
import httpx
from aiohttp.client_middlewares import ClientHandlerType
from multidict import CIMultiDict
from yarl import URL

_IDLE_SECONDS = 4.0
"""Below the 5 s after which Node.js and uvicorn close an idle connection by default."""


class ConnectionLostError(aiohttp.ClientError):
    """Says that a standing connection was lost, in a class that aiohttp does not resend for."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """At most `connections` at once. Reads each reply to its end; keeps no cookies and asks no environment."""

    def __init__(self, connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_IDLE_SECONDS, ssl=_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_no_silent_resend,),
            auto_decompress=False,
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        times = request.extensions["timeout"]
        async with self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=CIMultiDict(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw
            ),
            data=request.content or None,
            allow_redirects=False,
            timeout=_timeout(times["connect"], times["read"]),
        ) as reply:
            content = await reply.read()
        return httpx.Response(reply.status, headers=reply.raw_headers, content=content)

    async def aclose(self) -> None:
        await self._session.close()


def _text(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    return pair[0].decode("latin-1"), pair[1].decode("latin-1")


@cache
def _timeout(connect: float, silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=silence)


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients, for it takes long to load. Honours `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    return httpx.create_ssl_context(trust_env=True)


async def _no_silent_resend(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp resends PUT, DELETE and reads on a lost connection; here nothing is resent unseen."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLostError(str(error)) from error
