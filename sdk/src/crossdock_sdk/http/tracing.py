"""One OpenTelemetry client span per request sent, by the HTTP semantic conventions; whoever listens is told, too."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from crossdock_sdk.errors import ConnectorError
from crossdock_sdk.http.exchanges import tell
from crossdock_sdk.http.layer import Layer, Request, Sender
from crossdock_sdk.http.reply import Reply

_PORTS = {"http": 80, "https": 443}


class Traced(Layer):
    """Spans carry the redacted URL, never headers or bodies. `provider` None: the global tracer provider."""

    def __init__(self, inner: Sender, provider: Any) -> None:
        super().__init__(inner)
        self._tracer = trace.get_tracer("crossdock.sdk", tracer_provider=provider)

    async def send(self, request: Request) -> Reply:
        # Nothing inside looks for a current span, and to make it that would cost more than the rest.
        span = self._tracer.start_span(request.method, kind=SpanKind.CLIENT, attributes=_attributes(request))
        began = time.perf_counter()
        try:
            reply = await self._inner.send(request)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            told = error.message if isinstance(error, ConnectorError) else type(error).__name__
            span.set_status(Status(StatusCode.ERROR, told))
            tell(request, time.perf_counter() - began, None, told)
            raise
        else:
            span.set_attribute("http.response.status_code", reply.status)
            if reply.status >= 400:
                span.set_attribute("error.type", str(reply.status))
                span.set_status(Status(StatusCode.ERROR))
            tell(request, time.perf_counter() - began, reply, None)
            return reply
        finally:
            span.end()


def _attributes(request: Request) -> dict[str, AttributeValue]:
    address, port = _server(request.url)
    known: dict[str, AttributeValue] = {
        "http.request.method": request.method,
        "server.address": address,
        "server.port": port,
        "url.full": request.shown,
    }
    if request.resends:
        known["http.request.resend_count"] = request.resends
    return known


@lru_cache(1024)
def _server(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
