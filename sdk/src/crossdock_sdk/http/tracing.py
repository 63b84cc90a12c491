"""One OpenTelemetry client span per request sent, by the HTTP semantic conventions."""

from __future__ import annotations

from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from crossdock_sdk.errors import ConnectorError
from crossdock_sdk.http.layer import RESENDS, Layer, shown
from crossdock_sdk.redaction import Redactor

_PORTS = {"http": 80, "https": 443}


class Traced(Layer):
    """Spans carry the redacted URL, never headers or bodies. `provider` None: the global tracer provider."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: Any, redactor: Redactor) -> None:
        super().__init__(inner)
        self._tracer = trace.get_tracer("crossdock.sdk", tracer_provider=provider)
        self._redactor = redactor

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with self._tracer.start_as_current_span(
            request.method,
            kind=SpanKind.CLIENT,
            attributes=self._attributes(request),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                response = await self._inner.handle_async_request(request)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                told = error.message if isinstance(error, ConnectorError) else type(error).__name__
                span.set_status(Status(StatusCode.ERROR, told))
                raise
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 400:
                span.set_attribute("error.type", str(response.status_code))
                span.set_status(Status(StatusCode.ERROR))
            return response

    def _attributes(self, request: httpx.Request) -> dict[str, AttributeValue]:
        url = request.url
        known: dict[str, AttributeValue] = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": url.port or _PORTS.get(url.scheme, 0),
            "url.full": shown(request, self._redactor),
        }
        if resends := request.extensions.get(RESENDS):
            known["http.request.resend_count"] = resends
        return known
