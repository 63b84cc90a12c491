"""The network: httpx over aiohttp, and the one place that knows whether a request was sent.

httpx-aiohttp reports a connection that the server read from and then closed under the same exception class
as a refused one, so the class proves nothing. Proven *not sent* is only what aiohttp calls a connector error
or a connection time-out; all else may have reached the vendor, a pooled connection that the server closed
while it was idle included. (So that this stays rare, we drop idle connections before servers usually do.)
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import cache

import aiohttp
import httpx
from aiohttp.client_middlewares import ClientHandlerType
from httpx_aiohttp import AiohttpTransport

from crossdock_sdk.errors import AmbiguousError, ConnectorError, TransientError
from crossdock_sdk.http.layer import DROPPED, endpoint, is_write, shown
from crossdock_sdk.redaction import Redactor

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 4.0
"""Below the 5 s after which Node.js and uvicorn close an idle connection by default."""
_TOLD = 200

_AIOHTTP_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_HTTPX_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

Factory = Callable[[], httpx.AsyncBaseTransport]


class _ConnectionLostError(aiohttp.ClientError):
    """Says that a standing connection was lost, in a class that aiohttp does not resend for."""


class Network(httpx.AsyncBaseTransport):
    """Sends each request at most once and reads the reply to its end. Raises only `ConnectorError`s.

    `timeout` is how long, in seconds, a silent vendor is waited for; a reply that only drips is given up
    after twice that. The transport is made by `factory` at the first request, inside the running event loop.
    """

    def __init__(self, factory: Factory, redactor: Redactor, timeout: float) -> None:
        self._factory = factory
        self._redactor = redactor
        self._timeout = timeout
        self._transport: httpx.AsyncBaseTransport | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise TransientError(f"{self._name(request)}: not sent, the client is closed")
        if self._transport is None:
            self._transport = self._factory()
        connect = min(_CONNECT_SECONDS, self._timeout)
        request.extensions["timeout"] = httpx.Timeout(self._timeout, connect=connect, pool=connect).as_dict()
        try:
            async with asyncio.timeout(2 * self._timeout):
                return await _exchange(self._transport, request)
        except ConnectorError:
            raise
        except Exception as error:
            failure = self._translated(error, request)
        # Raised out here, so that the foreign exception, which can carry request headers, is not chained.
        raise failure

    async def aclose(self) -> None:
        self._closed = True
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    def _translated(self, error: Exception, request: httpx.Request) -> ConnectorError:
        words = self._redactor.text(" ".join(str(error).split()))
        told = f"{type(_telling(error)).__name__} {words}"[:_TOLD].strip()
        name = self._name(request)
        if never_sent(error):
            return TransientError(f"{name}: not sent, no connection ({told})")
        request.extensions[DROPPED] = isinstance(error, _ConnectionLostError)
        if is_write(request):
            return AmbiguousError(f"{name}: no usable reply, it may have taken effect ({told})")
        return TransientError(f"{name}: no usable reply ({told})")

    def _name(self, request: httpx.Request) -> str:
        return f"{request.method} {endpoint(shown(request.url, self._redactor))}"


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    response = await transport.handle_async_request(request)
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response


def _chain(error: BaseException) -> list[BaseException]:
    links = [error]
    while (cause := links[-1].__cause__) is not None:
        links.append(cause)
    return links


def _telling(error: BaseException) -> BaseException:
    """The link that says most to a person: aiohttp's innermost, else the one that was caught."""
    return next((link for link in reversed(_chain(error)) if isinstance(link, aiohttp.ClientError)), error)


def never_sent(error: BaseException) -> bool:
    """Whether the failure proves that no byte of the request left."""
    for link in _chain(error):
        if isinstance(link, aiohttp.ClientError):
            return isinstance(link, _AIOHTTP_NEVER_SENT)
    return isinstance(error, _HTTPX_NEVER_SENT)


async def _no_silent_resend(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp resends PUT, DELETE and reads on a lost connection; here nothing is resent unseen."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionLostError(str(error)) from error


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients, for it takes long to load. Honours `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    return httpx.create_ssl_context(trust_env=True)


def aiohttp_transport(connections: int) -> httpx.AsyncBaseTransport:
    """httpx over aiohttp, at most `connections` at once; no cookies, no proxies from the environment."""

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_IDLE_SECONDS, ssl=_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_no_silent_resend,),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )

    return AiohttpTransport(verify=_ssl_context(), trust_env=False, client=session)
