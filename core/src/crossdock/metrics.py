"""Metrics in Prometheus's text exposition format, version 0.0.4 (Prometheus docs, "Exposition formats")."""

from __future__ import annotations

import logging
import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
M = TypeVar("M", bound="Metric")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_logger = logging.getLogger(__name__)

Readings = Mapping[tuple[str, ...], float]
"""Values by label values, in the order of the gauge's labels; `()` where it has none."""


class Metric(ABC):
    """One named metric with its labels. Label values must come from the configuration, never from outside."""

    kind: str

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:  # noqa: A002 Prometheus's word
        if not _NAME.fullmatch(name) or not all(map(_LABEL.fullmatch, labels)) or "le" in labels:
            raise ValueError(f"bad metric or label name: {name} {list(labels)}")
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        self._heard: Callable[[float, tuple[str, ...]], None] | None = None

    def mirror(self, heard: Callable[[float, tuple[str, ...]], None]) -> None:
        """Tell `heard` of every value from now on, with its label values."""
        self._heard = heard

    def header(self) -> str:
        text = self.help.replace("\\", "\\\\").replace("\n", "\\n")
        return f"# HELP {self.name} {text}\n# TYPE {self.name} {self.kind}\n"

    @abstractmethod
    async def samples(self) -> list[str]:
        """The lines below the header."""

    def _checked(self, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(values)} of them")
        return values

    def _line(self, values: tuple[str, ...], value: float, suffix: str = "", le: str | None = None) -> str:
        pairs = [*zip(self.labels, values, strict=True), *([("le", le)] if le is not None else [])]
        labels = ",".join(f'{k}="{_escaped(v)}"' for k, v in pairs)
        return f"{self.name}{suffix}{f'{{{labels}}}' if pairs else ''} {_number(value)}"


class Counter(Metric):
    """A sum that only rises. Its name ends in `_total`."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:  # noqa: A002 Prometheus's word
        super().__init__(name, help, labels)
        if not name.endswith("_total"):
            raise ValueError(f"a counter's name ends in _total: {name}")
        self._values: dict[tuple[str, ...], float] = {} if self.labels else {(): 0.0}

    def add(self, *values: str, amount: float = 1) -> None:
        """Add `amount` (0 or more) under these label values."""
        if not amount >= 0:
            raise ValueError(f"{self.name} cannot fall: {amount}")
        key = self._checked(values)
        self._values[key] = self._values.get(key, 0.0) + amount
        if self._heard is not None:
            self._heard(amount, key)

    async def samples(self) -> list[str]:
        return [self._line(key, value) for key, value in sorted(self._values.items())]


class Gauge(Metric):
    """A value that is asked for when the page is fetched."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002 Prometheus's word
        labels: Sequence[str] = (),
        *,
        read: Callable[[], Awaitable[Readings]],
    ) -> None:
        super().__init__(name, help, labels)
        self._read = read

    async def readings(self) -> Readings:
        """What it is now."""
        return {self._checked(key): value for key, value in (await self._read()).items()}

    async def samples(self) -> list[str]:
        return [self._line(key, value) for key, value in sorted((await self.readings()).items())]


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
    ) -> None:
        super().__init__(name, help, labels)
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
        if self._heard is not None:
            self._heard(value, key)

    @property
    def bounds(self) -> tuple[float, ...]:
        """The upper bounds of the buckets, without infinity."""
        return self._bounds

    async def samples(self) -> list[str]:
        return [line for key in sorted(self._counts) for line in self._series(key)]

    def _series(self, key: tuple[str, ...]) -> Iterator[str]:
        total = 0
        for bound, count in zip((*self._bounds, math.inf), self._counts[key], strict=True):
            total += count
            yield self._line(key, total, "_bucket", le=_number(bound))
        yield self._line(key, self._sums[key], "_sum")
        yield self._line(key, total, "_count")


class Registry:
    """One application's metrics."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        name = "crossdock_scrape_failures_total"
        self._failures = self.add(Counter(name, "Gauges that could not be read", ["metric"]))

    def add(self, metric: M) -> M:
        """Show `metric` on the page. Raises `ValueError` if its name is taken."""
        if metric.name in self._metrics:
            raise ValueError(f"there is already a metric {metric.name}")
        self._metrics[metric.name] = metric
        return metric

    def metrics(self) -> tuple[Metric, ...]:
        """All of them, in the order in which they were added."""
        return tuple(self._metrics.values())

    async def render(self) -> str:
        """The page. A gauge that cannot be read is left out, logged and counted; the others are shown."""
        page = [await self._shown(m) for m in self._metrics.values() if m is not self._failures]
        return "".join([*page, await self._shown(self._failures)])

    async def _shown(self, metric: Metric) -> str:
        try:
            lines = await metric.samples()
        except Exception as error:  # one broken reading must not hide the rest
            _logger.warning("metric %s cannot be read: %s", metric.name, error)
            self._failures.add(metric.name)
            return ""
        return metric.header() + "".join(f"{line}\n" for line in lines)


class RuntimeMetrics:
    """What the runtime counts about itself. Gauges are added by whoever can read them."""

    def __init__(self, version: str) -> None:
        self.registry = Registry()
        add = self.registry.add
        self.runs = add(Counter("crossdock_runs_total", "Runs that ended", ["flow", "ending"]))
        self.steps = add(
            Histogram("crossdock_step_duration_seconds", "Time of one step", ["kind", "connection", "outcome"])
        )
        self.retries = add(Counter("crossdock_step_retries_total", "Steps put off to a later try", ["flow", "leg"]))
        self.webhooks = add(
            Counter("crossdock_webhooks_total", "Events by webhook; refused deliveries", ["connection", "outcome"])
        )
        self.polls = add(Counter("crossdock_polls_total", "Pages of polls", ["connection", "outcome"]))
        self.polled = add(Counter("crossdock_polled_events_total", "Events by polls", ["connection", "outcome"]))
        self.alerts = add(Counter("crossdock_alerts_total", "Tries to deliver an alert", ["notifier", "outcome"]))

        async def info() -> Readings:
            return {(version,): 1}

        add(Gauge("crossdock_build_info", "The version that runs", ["version"], read=info))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
