"""The network, and the one place that knows whether a request was sent.

Proven *not sent* is only what aiohttp calls a connector error or a connection time-out; all else may have reached
the vendor, a pooled connection that the server closed while it was idle included. (So that this stays rare, idle
connections are dropped before servers usually do.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import httpx

from crossdock_sdk.crashpoints import reach
from crossdock_sdk.errors import AmbiguousError, ConnectorError, TransientError
from crossdock_sdk.http.layer import DROPPED, endpoint, is_write, shown
from crossdock_sdk.http.wire import ConnectionLostError
from crossdock_sdk.redaction import Redactor

DRIP = 2
"""How many times its timeout a request may take in all."""
_CONNECT_SECONDS = 10.0
_TOLD = 200

_AIOHTTP_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_HTTPX_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

Factory = Callable[[], httpx.AsyncBaseTransport]


class Network(httpx.AsyncBaseTransport):
    """Sends each request at most once and reads the reply to its end. Raises only `ConnectorError`s.

    `timeout` is how long, in seconds, a silent vendor is waited for; a reply that only drips is given up
    after twice that. The transport is made by `factory` at the first request, inside the running event loop.
    """

    def __init__(self, factory: Factory, redactor: Redactor, timeout: float) -> None:
        self._factory = factory
        self._redactor = redactor
        self._timeout = timeout
        connect = min(_CONNECT_SECONDS, timeout)
        self._times = httpx.Timeout(timeout, connect=connect, pool=connect).as_dict()
        self._transport: httpx.AsyncBaseTransport | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise TransientError(f"{self._name(request)}: not sent, the client is closed")
        if self._transport is None:
            self._transport = self._factory()
        request.extensions["timeout"] = self._times
        try:
            async with asyncio.timeout(DRIP * self._timeout):
                reach("http.sending", request.method)
                reply = await _exchange(self._transport, request)
                reach("http.replied", request.method)
                return reply
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
            return TransientError(f"{name}: not sent, no connection ({told})", unanswered=True)
        request.extensions[DROPPED] = isinstance(error, ConnectionLostError)
        if is_write(request):
            return AmbiguousError(f"{name}: no usable reply, it may have taken effect ({told})", unanswered=True)
        return TransientError(f"{name}: no usable reply ({told})", unanswered=True)

    def _name(self, request: httpx.Request) -> str:
        return f"{request.method} {endpoint(shown(request, self._redactor))}"


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
