"""From the registry's values to OTLP. Only a process that sends metrics pays for importing the OpenTelemetry SDK."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from crossdock.exposition import Family, Spread
from crossdock.redaction import Scrubber
from crossdock.telemetry.resource import resource_of

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """One OTLP receiver. `begun` is when the counters were 0."""

    exporter: MetricExporter
    resource: Resource
    scope: InstrumentationScope
    begun: datetime

    def send(self, families: Sequence[Family], at: datetime) -> bool:
        """Send the values as they stood at an instant; False if they did not arrive. Blocks."""
        metrics = [_metric(f, _ns(self.begun), _ns(at)) for f in families if f.otel and (f.points or f.spreads)]
        scoped = ScopeMetrics(scope=self.scope, metrics=metrics, schema_url="")
        whole = ResourceMetrics(resource=self.resource, scope_metrics=[scoped], schema_url="")
        result = self.exporter.export(MetricsData(resource_metrics=[whole]))
        return result is MetricExportResult.SUCCESS

    def close(self) -> None:
        self.exporter.shutdown()


def make_sender(service_name: str, version: str, scrubber: Scrubber, begun: datetime, env: Mapping[str, str]) -> Sender:
    """A sender by OTLP over HTTP, to where `env` says; headers, time-out and certificates are the process's `OTEL_*`.

    The resource is redacted. The SDK gives each process a `service.instance.id` of its own, which tells two apart.
    """
    told = resource_of(service_name, version, env)
    clean: dict[str, Any] = {scrubber.text(k): scrubber.value(v, k) for k, v in told.attributes.items()}
    scope = InstrumentationScope("crossdock", version)
    return Sender(_otlp(env), Resource(clean, told.schema_url), scope, begun)


def _otlp(env: Mapping[str, str]) -> MetricExporter:
    protocol = env.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        _logger.warning("OTEL_EXPORTER_OTLP_PROTOCOL is %s, but metrics go out as http/protobuf only", protocol)
    temporality = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    if temporality not in ("", "cumulative"):
        _logger.warning("the temporality %s is asked for, but metrics go out as cumulative only", temporality)
    endpoint = env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    if not endpoint:
        base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
        endpoint = base.removesuffix("/") + "/v1/metrics"
    return OTLPMetricExporter(endpoint)


def _metric(family: Family, begun: int, at: int) -> Metric:
    assert family.otel is not None
    data: Sum | Gauge | Histogram
    if family.kind == "histogram":
        points = [_distribution(family, spread, begun, at) for spread in family.spreads]
        data = Histogram(data_points=points, aggregation_temporality=_CUMULATIVE)
    else:
        counts = family.kind == "counter"
        start = begun if counts else 0
        numbers = [
            NumberDataPoint(
                attributes=_attributes(family, point.values), start_time_unix_nano=start, time_unix_nano=at,
                value=point.value,
            )
            for point in family.points
        ]  # fmt: skip
        data = Sum(numbers, _CUMULATIVE, is_monotonic=True) if counts else Gauge(numbers)
    return Metric(name=family.otel, description=family.help, unit=family.unit, data=data)


def _distribution(family: Family, spread: Spread, begun: int, at: int) -> HistogramDataPoint:
    unknown: Any = None  # The smallest and largest value are optional in OTLP, and not kept.
    return HistogramDataPoint(
        attributes=_attributes(family, spread.values),
        start_time_unix_nano=begun,
        time_unix_nano=at,
        count=sum(spread.counts),
        sum=spread.sum,
        bucket_counts=spread.counts,
        explicit_bounds=family.bounds,
        min=unknown,
        max=unknown,
    )


def _attributes(family: Family, values: tuple[str, ...]) -> dict[str, str]:
    return {f"crossdock.{label}": value for label, value in zip(family.labels, values, strict=True)}


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
