"""What the layers of the client share: each is an httpx transport around the next one."""

from __future__ import annotations

import httpx

from crossdock_sdk.redaction import Redactor

WRITE = "crossdock.write"
"""Request extension: True if the request may change something at the vendor."""
RESENDS = "crossdock.resends"
"""Request extension: how often this request was sent before."""
DROPPED = "crossdock.dropped"
"""Request extension: set by the network if the connection stood and was then lost."""


class Layer(httpx.AsyncBaseTransport):
    """A transport that adds one concern to `inner`. Errors are `ConnectorError`s at every layer."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def aclose(self) -> None:
        await self._inner.aclose()


def is_write(request: httpx.Request) -> bool:
    """Whether the request may change something; True unless the client said otherwise."""
    return bool(request.extensions.get(WRITE, True))


def count_resend(request: httpx.Request) -> None:
    """Note that the request is about to be sent once more."""
    request.extensions[RESENDS] = request.extensions.get(RESENDS, 0) + 1


def shown(request: httpx.Request, redactor: Redactor) -> str:
    """The request's URL as logs, spans and errors may show it."""
    return redactor.text(str(request.url))


def endpoint(url: str) -> str:
    """A shown URL without its query, for messages of one line."""
    return url.partition("?")[0]
