"""Building the OpenTelemetry SDK's provider. Only a process that exports pays for importing this."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from crossdock.redaction import Scrubber
from crossdock.telemetry.export import RedactingExporter

_SCHEDULE_DELAY_MS = 500
"""Shorter than the specification's 5 s: what a killed process had not exported yet must be told again."""

_logger = logging.getLogger(__name__)
_preset: ContextVar[tuple[int, int] | None] = ContextVar("crossdock_preset_ids", default=None)


class PresetIds(IdGenerator):
    """Random ids, except inside `preset`."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        ids = _preset.get()
        return ids[0] if ids else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        ids = _preset.get()
        return ids[1] if ids else self._random.generate_span_id()

    def is_trace_id_random(self) -> bool:
        return True


@contextmanager
def preset(trace_id: int, span_id: int) -> Iterator[None]:
    """The span started inside has these ids. Start exactly one, and leave before it does its work."""
    token = _preset.set((trace_id, span_id))
    try:
        yield
    finally:
        _preset.reset(token)


def make_provider(
    service_name: str, version: str, scrubber: Scrubber, exporter: SpanExporter | None, env: Mapping[str, str]
) -> TracerProvider:
    """A provider that belongs to one application and exports in the background, redacted.

    `exporter` replaces OTLP over HTTP. Sampler, batch sizes and limits are the standard `OTEL_*` variables of
    the process.
    """
    limits = SpanLimits()
    redacting = RedactingExporter(exporter or _otlp(env), scrubber, limits.max_attribute_length)
    # A value cut before it is redacted could keep the head of a secret: the exporter cuts, afterwards.
    limits.max_attribute_length = limits.max_span_attribute_length = None
    provider = TracerProvider(
        resource=_resource(service_name, version, env),
        shutdown_on_exit=False,
        id_generator=PresetIds(),
        span_limits=limits,
        meter_provider=NoOpMeterProvider(),
    )
    delay = None if env.get("OTEL_BSP_SCHEDULE_DELAY") else _SCHEDULE_DELAY_MS
    provider.add_span_processor(
        BatchSpanProcessor(redacting, schedule_delay_millis=delay, meter_provider=NoOpMeterProvider())
    )
    return provider


def _resource(service_name: str, version: str, env: Mapping[str, str]) -> Resource:
    detected = Resource.create({})
    named = env.get("OTEL_SERVICE_NAME")
    if named is None and not str(detected.attributes.get("service.name", "")).startswith("unknown_service"):
        return Resource({"service.version": version}).merge(detected)
    return detected.merge(Resource({"service.name": named or service_name, "service.version": version}))


def _otlp(env: Mapping[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        _logger.warning("OTEL_EXPORTER_OTLP_PROTOCOL is %s, but spans go out as http/protobuf only", protocol)
    endpoint = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if not endpoint:
        endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").removesuffix("/") + "/v1/traces"
    return OTLPSpanExporter(endpoint)
