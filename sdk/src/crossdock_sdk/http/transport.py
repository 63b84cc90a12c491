"""The network, and the one place that knows whether a request was sent.

Proven *not sent* is only what aiohttp calls a connector error or a connection time-out; all else may have reached
the vendor, a pooled connection that the server closed while it was idle included. (So that this stays rare, idle
connections are dropped before servers usually do.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from crossdock_sdk.crashpoints import reach
from crossdock_sdk.errors import AmbiguousError, ConnectorError, TransientError
from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.reply import Reply, endpoint
from crossdock_sdk.http.wire import ConnectionLostError, NotSentError, Wire
from crossdock_sdk.redaction import Redactor

DRIP = 2
"""How many times its timeout a request may take in all."""
_CONNECT_SECONDS = 10.0
_TOLD = 200

_AIOHTTP_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class Network:
    """Sends each request at most once and reads the reply to its end. Raises only `ConnectorError`s.

    `timeout` is how long, in seconds, a silent vendor is waited for; a reply that only drips is given up
    after twice that. The wire is made by `factory` at the first request, inside the running event loop.
    """

    def __init__(self, factory: Callable[[], Wire], redactor: Redactor, timeout: float) -> None:
        self._factory = factory
        self._redactor = redactor
        self._timeout = timeout
        self._connect = min(_CONNECT_SECONDS, timeout)
        self._wire: Wire | None = None
        self._closed = False

    async def send(self, request: Request) -> Reply:
        if self._closed:
            raise TransientError(f"{_name(request)}: not sent, the client is closed")
        if self._wire is None:
            self._wire = self._factory()
        try:
            async with asyncio.timeout(DRIP * self._timeout):
                reach("http.sending", request.method)
                status, headers, content = await self._wire.exchange(request, self._connect, self._timeout)
                reach("http.replied", request.method)
                return Reply(status, headers, content, request.method, request.shown, request.write)
        except ConnectorError:
            raise
        except Exception as error:
            failure = self._translated(error, request)
        # Raised out here, so that the foreign exception, which can carry request headers, is not chained.
        raise failure

    async def close(self) -> None:
        self._closed = True
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.close()

    def _translated(self, error: Exception, request: Request) -> ConnectorError:
        words = self._redactor.text(" ".join(str(error).split()))
        told = f"{type(_telling(error)).__name__} {words}"[:_TOLD].strip()
        name = _name(request)
        if never_sent(error):
            return TransientError(f"{name}: not sent, no connection ({told})", unanswered=True)
        request.dropped = isinstance(error, ConnectionLostError)
        if request.write:
            return AmbiguousError(f"{name}: no usable reply, it may have taken effect ({told})", unanswered=True)
        return TransientError(f"{name}: no usable reply ({told})", unanswered=True)


def _name(request: Request) -> str:
    return f"{request.method} {endpoint(request.shown)}"


def _chain(error: BaseException) -> list[BaseException]:
    links = [error]
    while (cause := links[-1].__cause__) is not None:
        links.append(cause)
    return links


def _telling(error: BaseException) -> BaseException:
    """The link that says most to a person: aiohttp's innermost, else what the wire met."""
    met = error.__cause__ if isinstance(error, NotSentError) and error.__cause__ else error
    return next((link for link in reversed(_chain(error)) if isinstance(link, aiohttp.ClientError)), met)


def never_sent(error: BaseException) -> bool:
    """Whether the failure proves that no byte of the request left."""
    for link in _chain(error):
        if isinstance(link, aiohttp.ClientError):
            return isinstance(link, _AIOHTTP_NEVER_SENT)
    return isinstance(error, NotSentError)
