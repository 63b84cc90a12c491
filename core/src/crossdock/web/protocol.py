"""HTTP/1.1 over httptools with limits on request heads, which httptools alone reads without end."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crossdock.web.problems import problem

LINGER_SECONDS = 2.0
"""How long a refused client may go on sending: to close over unread bytes would destroy the reply on its way."""


class LimitedProtocol(HttpToolsProtocol):
    """Answers 431 to a head over `head_limit` bytes; closes if a head takes longer than `head_seconds`.

    Requests before it on the same connection are answered first. The time runs from the head's first byte, and for
    a new connection from its opening as well. Trailers and the framing of chunks count like a head, a body's own
    bytes do not. Of a head that begins in the piece that ends the request before it, up to `head_limit` bytes
    pass uncounted.
    """

    head_limit = 64 * 1024
    head_seconds = 10.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_body = False
        self._begun = False
        self._moved = False
        self._refused = False
        self._taken = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._allow(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        while data and not (self._refused or self.transport.is_closing()):
            room = self.head_limit - self._taken
            self._take(data[:room])
            data = data[room:]

    def _take(self, piece: bytes) -> None:
        if not self._in_body:
            self._begin()
        self._moved = False
        super().data_received(piece)
        self._taken = 0 if self._moved else self._taken + len(piece)
        if self._taken >= self.head_limit and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_body, self._begun, self._moved = True, False, True
        self._cancel()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._moved = False, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._refused and not self._replying() and not self.transport.is_closing():
            self._answer_431()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._allow(self.head_seconds)

    def _allow(self, seconds: float) -> None:
        self._cancel()
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expired(self) -> None:
        if self._replying():
            # An earlier request is in hand: its reply goes first, and meanwhile we may not be reading.
            self._allow(self.head_seconds)
        else:
            self.transport.close()

    def _refuse(self) -> None:
        self.logger.warning("a request head over %d bytes is refused", self.head_limit)
        if self._in_body:
            # It is a trailer that is over the limit, and its request may be answered already.
            self.transport.close()
            return
        self._refused = True
        if not self._replying():
            self._answer_431()

    def _replying(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _answer_431(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        reply = problem(status, f"a request's head may have {self.head_limit} bytes")
        head = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
        headers = [*self.server_state.default_headers, *reply.raw_headers, (b"connection", b"close")]
        head += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*head, b"", bytes(reply.body)]))
        self.transport.write_eof()
        self._allow(LINGER_SECONDS)
