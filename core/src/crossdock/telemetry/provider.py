"""What an application that exports spans needs of the OpenTelemetry SDK. Only such a process pays for importing it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanKind

from crossdock.redaction import Scrubber
from crossdock.telemetry.export import RedactingExporter
from crossdock.telemetry.resource import resource_of
from crossdock.telemetry.spans import RuntimeTracerProvider

_SCHEDULE_DELAY_MS = 500
"""Shorter than the specification's 5 s: what a killed process had not exported yet must be told again."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provider:
    """Tracers, and the processor in which all their spans end."""

    tracers: RuntimeTracerProvider
    processor: BatchSpanProcessor
    sampler: Sampler

    def samples(self, trace_id: int) -> bool:
        """Whether the spans of a new trace are to be recorded."""
        verdict = self.sampler.should_sample(None, trace_id, "webhook", SpanKind.SERVER)
        return bool(verdict.decision.is_sampled())  # type: ignore[no-untyped-call]  # the SDK's own gap

    def flush(self, timeout_ms: int) -> bool:
        return self.processor.force_flush(timeout_ms)

    def shutdown(self) -> None:
        self.processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK's own gap


def make_provider(
    service_name: str, version: str, scrubber: Scrubber, exporter: SpanExporter | None, env: Mapping[str, str]
) -> Provider:
    """A provider that belongs to one application and exports in the background, redacted.

    `exporter` replaces OTLP over HTTP. Sampler, batch sizes and the length of values are the standard `OTEL_*`
    variables of the process.
    """
    # A value cut before it is redacted could keep the head of a secret: the exporter cuts, afterwards.
    redacting = RedactingExporter(exporter or _otlp(env), scrubber, SpanLimits().max_attribute_length)
    delay = None if env.get("OTEL_BSP_SCHEDULE_DELAY") else _SCHEDULE_DELAY_MS
    processor = BatchSpanProcessor(redacting, schedule_delay_millis=delay, meter_provider=NoOpMeterProvider())
    resource = resource_of(service_name, version, env)
    # The SDK's provider is asked for the sampler that the environment names, and makes no spans.
    sampler = TracerProvider(resource=resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider()).sampler
    return Provider(RuntimeTracerProvider(resource, processor, sampler), processor, sampler)


def _otlp(env: Mapping[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        _logger.warning("OTEL_EXPORTER_OTLP_PROTOCOL is %s, but spans go out as http/protobuf only", protocol)
    endpoint = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not endpoint:
        endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").removesuffix("/") + "/v1/traces"
    return OTLPSpanExporter(endpoint)
