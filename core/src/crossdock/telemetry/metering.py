"""The same metrics as the page of `/metrics`, sent out over OTLP where the environment asks for that.

`OTEL_METRICS_EXPORTER=otlp` asks for it, with the endpoint of `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` or
`OTEL_EXPORTER_OTLP_ENDPOINT`; `OTEL_METRIC_EXPORT_INTERVAL` is the pause between two, in milliseconds (OpenTelemetry
specification, "Environment variables"). Names are those of the page, without `_total`, for OTLP says by itself what is
a sum.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from crossdock.metrics import Counter, Gauge, Histogram, Metric, Readings, Registry

_logger = logging.getLogger(__name__)
_INTERVAL_MS = 60_000


def wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment asks for metrics over OTLP."""
    return env.get("OTEL_METRICS_EXPORTER", "") == "otlp" and env.get("OTEL_SDK_DISABLED", "").lower() != "true"


class Metering:
    """Sends a registry's metrics out until it is shut down. `reader` replaces OTLP over HTTP."""

    def __init__(self, registry: Registry, version: str, env: Mapping[str, str], reader: Any = None) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

        from crossdock.telemetry.provider import resource_of

        self._registry = registry
        self._interval = int(env.get("OTEL_METRIC_EXPORT_INTERVAL", "") or _INTERVAL_MS) / 1000
        self._readings: dict[str, Readings] = {}
        histograms = [one for one in registry.metrics() if isinstance(one, Histogram)]
        views = [
            View(instrument_name=_name(one), aggregation=ExplicitBucketHistogramAggregation(one.bounds))
            for one in histograms
        ]
        made = reader or _otlp(env, self._interval)
        self._provider = MeterProvider(
            [made], resource_of("crossdock", version, env), shutdown_on_exit=False, views=views
        )
        meter = self._provider.get_meter("crossdock", version)
        for metric in registry.metrics():
            self._mirror(meter, metric)

    async def work(self) -> None:
        """Read the gauges before each export, until cancelled: an export cannot wait for a journal."""
        while True:
            await self.read()
            await asyncio.sleep(self._interval / 2)

    async def read(self) -> None:
        """Read all gauges now."""
        for metric in self._registry.metrics():
            if isinstance(metric, Gauge):
                try:
                    self._readings[metric.name] = await metric.readings()
                except Exception as error:  # one broken reading must not hide the rest
                    _logger.warning("metric %s cannot be read: %s", metric.name, error)
                    self._readings.pop(metric.name, None)

    def shutdown(self) -> None:
        """Send what is there, and end."""
        self._provider.shutdown()

    def _mirror(self, meter: Any, metric: Metric) -> None:
        name = _name(metric)
        if isinstance(metric, Counter):
            counter = meter.create_counter(name, description=metric.help)
            metric.mirror(lambda amount, values: counter.add(amount, _attributes(metric, values)))
        elif isinstance(metric, Histogram):
            histogram = meter.create_histogram(name, unit="s", description=metric.help)
            metric.mirror(lambda value, values: histogram.record(value, _attributes(metric, values)))
        elif isinstance(metric, Gauge):
            meter.create_observable_gauge(name, [lambda _: self._observed(metric)], description=metric.help)

    def _observed(self, metric: Metric) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        readings = self._readings.get(metric.name, {})
        return [Observation(value, _attributes(metric, values)) for values, value in readings.items()]


def _name(metric: Metric) -> str:
    return metric.name.removesuffix("_total")


def _attributes(metric: Metric, values: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(metric.labels, values, strict=True))


def _otlp(env: Mapping[str, str], interval: float) -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    endpoint = env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    if not endpoint:
        endpoint = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318").removesuffix("/") + "/v1/metrics"
    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint), export_interval_millis=interval * 1000)
