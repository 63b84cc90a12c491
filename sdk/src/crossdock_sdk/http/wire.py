"""The network itself, over aiohttp's connections.

httpx's own pool slows down with every request in flight. `httpx-aiohttp` does not, but costs twice what aiohttp
takes for the exchange itself, and tells of a connection that dropped after the request was sent as `ConnectTimeout`.
Here aiohttp's own exceptions come through as they are, for `crossdock_sdk.http.transport` to judge.
"""

from __future__ import annotations

import os
import ssl
import zlib
from functools import cache
from typing import Protocol

import aiohttp
import certifi
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL

from crossdock_sdk.http.layer import Request

LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes that a reply may have, both as sent and inflated: a few hundred kB of gzip can hold all our memory."""
_IDLE_SECONDS = 4.0
"""Below the 5 s after which Node.js and uvicorn close an idle connection by default."""


class ConnectionLostError(aiohttp.ClientError):
    """Says that a standing connection was lost, in a class that aiohttp does not resend for."""


class UnreadableReplyError(Exception):
    """Says that a reply is not in the coding that it names."""


class NotSentError(Exception):
    """Says that no byte of a request left; its cause is what the wire met."""


class ReplyTooLargeError(Exception):
    """Says that a reply has more than `LARGEST_REPLY` bytes."""

    def __init__(self) -> None:
        super().__init__(f"a reply may have {LARGEST_REPLY} bytes; ask for fewer records at once")


class Wire(Protocol):
    """What carries a request to the vendor and the reply back."""

    async def exchange(self, request: Request, connect: float, silence: float) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names; of a repeated one the last value) and body. Times are in seconds."""
        ...

    async def close(self) -> None:
        """Close all sockets."""


class AiohttpWire:
    """At most `connections` at once. Reads each reply to its end; keeps no cookies and asks no environment.

    A reply over `LARGEST_REPLY` is given up like one that breaks off. Raises aiohttp's errors as they are.
    """

    def __init__(self, connections: int) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_IDLE_SECONDS, ssl=_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_no_silent_resend,),
            auto_decompress=False,
            trust_env=False,
        )

    async def exchange(self, request: Request, connect: float, silence: float) -> tuple[int, dict[str, str], bytes]:
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            timeout=_timeout(connect, silence),
        ) as reply:
            content = await _body(reply)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reply.raw_headers}
        coding = headers.get("content-encoding")
        return reply.status, headers, content if coding is None else _inflated(content, coding.strip().lower())

    async def close(self) -> None:
        await self._session.close()


async def _body(reply: aiohttp.ClientResponse) -> bytes:
    if reply.content_length is not None and reply.content_length <= LARGEST_REPLY:
        return await reply.read()
    blocks, size = [], 0
    async for block in reply.content.iter_any():
        size += len(block)
        if size > LARGEST_REPLY:
            raise ReplyTooLargeError
        blocks.append(block)
    return b"".join(blocks)


def _inflated(content: bytes, coding: str) -> bytes:
    """The content without the codings that we ask for; in any other it is left as it is."""
    if coding not in ("gzip", "x-gzip", "deflate") or not content:
        return content
    try:
        try:
            return _limited(content, zlib.MAX_WBITS | 32)
        except zlib.error:
            if coding != "deflate":
                raise
            # Some servers leave out the frame that RFC 9110, 8.4.1.2 wants.
            return _limited(content, -zlib.MAX_WBITS)
    except zlib.error as error:
        raise UnreadableReplyError(str(error)) from None


def _limited(content: bytes, window: int) -> bytes:
    inflating = zlib.decompressobj(window)
    plain = inflating.decompress(content, LARGEST_REPLY + 1)
    if len(plain) > LARGEST_REPLY:
        raise ReplyTooLargeError
    if not inflating.eof:
        raise zlib.error("the compressed reply ends early")
    return plain


@cache
def _timeout(connect: float, silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=silence)


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients, for it takes long to load. Honours `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    return ssl.create_default_context(cafile=certifi.where())


async def _no_silent_resend(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp resends PUT, DELETE and reads on a lost connection; here nothing is resent unseen."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLostError(str(error)) from error
