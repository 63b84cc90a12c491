"""The instruments of one application: one registry, from which both `/metrics` and OTLP are fed."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypedDict, TypeVar, Unpack

from crossdock.exposition import Family, Point, Spread, page

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
M = TypeVar("M", bound="Metric")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_UNITS = {"_seconds": "s", "_bytes": "By"}
_logger = logging.getLogger(__name__)

Readings = Mapping[tuple[str, ...], float]
"""Values by label values, in the order of the gauge's labels; `()` where it has none."""


class Told(TypedDict, total=False):
    """What an instrument says of itself beside its name; see `Metric`."""

    unit: str
    otel: str | None


class Metric(ABC):
    """One named metric with its labels. Label values must come from the configuration, never from outside.

    `otel` is its name for OpenTelemetry: by default Prometheus's without the unit and `_total`, and with a dot after
    the first word; `""` keeps it off OTLP. `unit` is in UCUM; `_seconds` and `_bytes` in the name say it, too.
    """

    kind: Literal["counter", "gauge", "histogram"]

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 Prometheus's word
        labels: Sequence[str] = (),
        *,
        unit: str = "1",
        otel: str | None = None,
    ) -> None:
        if not _NAME.fullmatch(name) or not all(map(_LABEL.fullmatch, labels)) or "le" in labels:
            raise ValueError(f"bad metric or label name: {name} {list(labels)}")
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        bare = name.removesuffix("_total")
        suffix = next((suffix for suffix in _UNITS if bare.endswith(suffix)), "")
        self.unit = _UNITS.get(suffix, unit)
        self.otel = bare.removesuffix(suffix).replace("_", ".", 1) if otel is None else otel or None

    @abstractmethod
    async def collect(self) -> Family:
        """What it shows now."""

    def _family(
        self, points: Sequence[Point] = (), spreads: Sequence[Spread] = (), bounds: tuple[float, ...] = ()
    ) -> Family:
        named = (self.name, self.help, self.kind, self.labels, self.unit, self.otel)
        return Family(*named, tuple(points), tuple(spreads), bounds)

    def _checked(self, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(values)} of them")
        return values


class Counter(Metric):
    """A sum that only rises. Its name ends in `_total`."""

    kind = "counter"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 Prometheus's word
        labels: Sequence[str] = (),
        **told: Unpack[Told],
    ) -> None:
        super().__init__(name, help, labels, **told)
        if not name.endswith("_total"):
            raise ValueError(f"a counter's name ends in _total: {name}")
        self._values: dict[tuple[str, ...], float] = {} if self.labels else {(): 0.0}

    def expect(self, *values: str) -> None:
        """Show these label values as 0 before the first `add`: a rate needs two values to see the first one."""
        self._values.setdefault(self._checked(values), 0.0)

    def add(self, *values: str, amount: float = 1) -> None:
        """Add `amount` (0 or more) under these label values."""
        if not amount >= 0:
            raise ValueError(f"{self.name} cannot fall: {amount}")
        key = self._checked(values)
        self._values[key] = self._values.get(key, 0.0) + amount

    async def collect(self) -> Family:
        return self._family([Point(key, value) for key, value in sorted(self._values.items())])


class Gauge(Metric):
    """A value that is asked for when the metrics are."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 Prometheus's word
        labels: Sequence[str] = (),
        *,
        read: Callable[[], Awaitable[Readings]],
        **told: Unpack[Told],
    ) -> None:
        super().__init__(name, help, labels, **told)
        self._read = read

    async def collect(self) -> Family:
        readings = await self._read()
        return self._family([Point(self._checked(key), value) for key, value in sorted(readings.items())])


class Histogram(Metric):
    """A distribution. `buckets` are upper bounds, rising; one for infinity is added."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 Prometheus's word
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = SECONDS,
        **told: Unpack[Told],
    ) -> None:
        super().__init__(name, help, labels, **told)
        self._bounds = tuple(map(float, buckets))
        if not self._bounds or any(a >= b for a, b in zip(self._bounds, self._bounds[1:], strict=False)):
            raise ValueError(f"{name}: buckets must rise: {self._bounds}")
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Count `value` under these label values."""
        key = self._checked(values)
        counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    async def collect(self) -> Family:
        spreads = [Spread(key, tuple(counts), self._sums[key]) for key, counts in sorted(self._counts.items())]
        return self._family(spreads=spreads, bounds=self._bounds)


class Registry:
    """One application's metrics."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        name = "crossdock_scrape_failures_total"
        self._failures = self.add(Counter(name, "Gauges that could not be read", ["metric"], unit="{failure}"))

    def add(self, metric: M) -> M:
        """Show `metric`. Raises `ValueError` if its name is taken."""
        if metric.name in self._metrics:
            raise ValueError(f"there is already a metric {metric.name}")
        self._metrics[metric.name] = metric
        return metric

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All of them, in the order in which they came."""
        return tuple(self._metrics.values())

    async def collect(self) -> list[Family]:
        """All values. A gauge that cannot be read is left out, logged and counted; the others are shown."""
        found = [await self._read(m) for m in self._metrics.values() if m is not self._failures]
        return [*filter(None, found), await self._failures.collect()]

    async def render(self) -> str:
        """The same as Prometheus reads it."""
        return page(await self.collect())

    async def _read(self, metric: Metric) -> Family | None:
        try:
            return await metric.collect()
        except Exception as error:  # one broken reading must not hide the rest
            _logger.warning("metric %s cannot be read: %s", metric.name, error)
            self._failures.add(metric.name)
            return None


class RuntimeMetrics:
    """What the runtime counts about itself. `crossdock.gauges` adds what is read when it is asked for."""

    def __init__(self, version: str) -> None:
        self.registry = Registry()
        add = self.registry.add
        self.runs = add(Counter("crossdock_runs_total", "Runs that ended", ["flow", "ending"], unit="{run}"))
        self.steps = add(
            Histogram(
                "crossdock_step_duration_seconds",
                "Time of one step",
                ["kind", "connection", "outcome"],
                otel="crossdock.step.duration",
            )
        )
        self.retries = add(
            Counter("crossdock_step_retries_total", "Steps put off to a later try", ["flow", "leg"], unit="{retry}")
        )
        self.webhooks = add(
            Counter("crossdock_webhooks_total", "Deliveries by outcome", ["connection", "outcome"], unit="{delivery}")
        )
        self.events = add(
            Counter(
                "crossdock_events_total",
                "Events by the way they came and what became of them",
                ["connection", "via", "outcome"],
                unit="{event}",
            )
        )
        self.polls = add(Counter("crossdock_polls_total", "Pages of polls", ["connection", "outcome"], unit="{page}"))
        self.alerts = add(
            Counter("crossdock_alerts_total", "Tries to deliver an alert", ["notifier", "outcome"], unit="{try}")
        )

        async def info() -> Readings:
            return {(version,): 1}

        # Over OTLP the version is the resource's `service.version`.
        add(Gauge("crossdock_build_info", "The version that runs", ["version"], read=info, otel=""))
