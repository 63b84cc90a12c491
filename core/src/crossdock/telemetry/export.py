"""The exporter through which every span leaves: it redacts first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from crossdock.redaction import Scrubber


class RedactingExporter(SpanExporter):
    """Redacts names, attributes, events, links, status text and resource, then hands on to `inner`.

    It runs just before export, so a secret that was registered after a span ended is masked too.
    `max_length` is the longest text value, in characters, counted after redaction; None is no limit.
    """

    def __init__(self, inner: SpanExporter, scrubber: Scrubber, max_length: int | None = None) -> None:
        self._inner = inner
        self._scrubber = scrubber
        self._max_length = max_length
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._closed:
            return SpanExportResult.FAILURE
        resources: dict[int, Resource] = {}
        for span in spans:
            if id(span.resource) not in resources:
                resources[id(span.resource)] = self._resource(span.resource)
        return self._inner.export([self._span(span, resources[id(span.resource)]) for span in spans])

    def shutdown(self) -> None:
        self._closed = True
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def _resource(self, resource: Resource) -> Resource:
        return Resource(self._attributes(resource.attributes), resource.schema_url)

    def _span(self, span: ReadableSpan, resource: Resource) -> ReadableSpan:
        status = span.status
        if status.description:
            status = Status(status.status_code, self._scrubber.text(status.description))
        return ReadableSpan(
            name=self._scrubber.text(span.name),
            context=span.context,
            parent=span.parent,
            resource=resource,
            attributes=self._attributes(span.attributes),
            events=[
                Event(self._scrubber.text(e.name), self._attributes(e.attributes), e.timestamp) for e in span.events
            ],
            links=[Link(link.context, self._attributes(link.attributes)) for link in span.links],
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        clean = {self._scrubber.text(k): self._scrubber.value(v, k) for k, v in (attributes or {}).items()}
        return {k: self._cut(v) for k, v in clean.items()} if self._max_length is not None else clean

    def _cut(self, value: Any) -> Any:
        if isinstance(value, str):
            return value[: self._max_length]
        if isinstance(value, (list, tuple)):
            return [self._cut(v) for v in value]
        return value
