"""What the rest of the runtime says about its work, as spans."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crossdock_sdk.redaction import Redactor
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

from crossdock import __version__
from crossdock.redaction import Scrubber
from crossdock.telemetry.ids import PastSpan, RunTrace, step_span_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from crossdock.telemetry.provider import Provider

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Telemetry:
    """One application's tracing. Nothing global is set; two applications in one process do not mix.

    Spans are exported where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says, or to
    `exporter`. With neither, or with `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`, no span is
    recorded, and the ids that logs and alerts show are there all the same. `env` decides whether and where to
    export and defaults to the process's environment.

    A run's own spans are told when the run comes to a rest, for then it is known who tells them; the calls that a
    step makes are told as they end, under the id that the step's span will have.
    """

    def __init__(
        self,
        service_name: str,
        redactor: Redactor,
        *,
        exporter: SpanExporter | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        env = os.environ if env is None else env
        self._provider: Provider | None = None
        self.tracer_provider: trace.TracerProvider = trace.NoOpTracerProvider()
        """For the `Context` of connections: their HTTP spans become children of the current step."""
        if _wanted(exporter, env):
            from crossdock.telemetry.provider import make_provider

            self._provider = make_provider(service_name, __version__, Scrubber(redactor), exporter, env)
            self.tracer_provider = self._provider.tracers
            self._tracer = self._provider.tracers.get_tracer("crossdock", __version__)

    @property
    def recording(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    def new_trace(self) -> RunTrace:
        """The identity of a new delivery's trace; the sampler (`OTEL_TRACES_SAMPLER`) decides here, once."""
        fresh = RunTrace.new()
        if self._provider is None:
            return fresh
        return replace(fresh, sampled=self._provider.samples(fresh.trace_id))

    @contextmanager
    def inside(self, run_trace: RunTrace, span_id: int) -> Iterator[None]:
        """The span with this id is current inside; whoever knows how it went tells it later."""
        token = context.attach(run_trace.parent(span_id))
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def inside_step(self, run_trace: RunTrace, run_id: str, seq: int) -> Iterator[None]:
        """Inside step `seq` of a run."""
        with self.inside(run_trace, step_span_id(run_id, seq)):
            yield

    def tell_root(
        self,
        run_trace: RunTrace,
        past: PastSpan,
        *,
        kind: SpanKind = SpanKind.SERVER,
        links: Iterable[RunTrace] = (),
    ) -> None:
        """What a trace hangs from: a delivery, or the wish to replay an earlier run, to which it `links`."""
        self._tell(run_trace, run_trace.root_span_id, None, past, kind, links)

    def tell_run(self, run_trace: RunTrace, past: PastSpan) -> None:
        """The run's own span, told when it has ended."""
        self._tell(run_trace, run_trace.run_span_id, run_trace.root_span_id, past)

    def tell_steps(self, run_trace: RunTrace, run_id: str, steps: Sequence[PastSpan]) -> None:
        """The spans of steps, children of the run's."""
        for step in steps:
            self._tell(run_trace, step_span_id(run_id, step.seq), run_trace.run_span_id, step)

    def flush(self, timeout: float = 5.0) -> bool:
        """Export what is waiting; False if that takes longer than `timeout` seconds. Blocks."""
        provider = self._provider
        return provider is None or _within(timeout, lambda: provider.flush(int(timeout * 1000)))

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Export what is waiting and stop, as `flush`. An event loop calls it by `asyncio.to_thread`."""
        provider = self._provider
        return provider is None or _within(timeout, provider.shutdown)

    def _tell(
        self,
        run_trace: RunTrace,
        span_id: int,
        parent: int | None,
        past: PastSpan,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Iterable[RunTrace] = (),
    ) -> None:
        if self._provider is None or not run_trace.sampled:
            return
        above = None if parent is None else run_trace.span_context(parent)
        linked = [trace.Link(other.span_context(other.run_span_id)) for other in links]
        ids = run_trace.trace_id, span_id
        span = self._tracer.span(past.name, ids, above, kind, past.attributes, linked, _nanoseconds(past.start))
        if past.error is not None:
            span.set_status(StatusCode.ERROR, past.error)
        span.end(_nanoseconds(max(past.start, past.end)))


def _wanted(exporter: SpanExporter | None, env: Mapping[str, str]) -> bool:
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter is not None:
        return True
    if env.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return bool(env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def _nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def _within(timeout: float, work: Callable[[], Any]) -> bool:
    """Run `work` in a daemon thread: an unreachable collector must not keep a process from stopping."""
    worker = threading.Thread(target=work, name="crossdock-telemetry", daemon=True)
    worker.start()
    worker.join(timeout)
    return not worker.is_alive()
