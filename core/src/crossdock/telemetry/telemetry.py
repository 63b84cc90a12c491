"""What the rest of the runtime says about its work, as spans."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crossdock_sdk.redaction import Redactor
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, StatusCode

from crossdock import __version__
from crossdock.redaction import Scrubber
from crossdock.telemetry.ids import PastSpan, RunTrace, step_span_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

REEMITTED = "crossdock.reemitted"
_REMEMBERED = 20_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCALARS = (str, bool, int, float, bytes)


class Telemetry:
    """One application's tracing. Nothing global is set; two applications in one process do not mix.

    Spans are exported where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says, or to
    `exporter`. With neither, or with `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`, no span is
    recorded, and the ids that logs and alerts show are there all the same. `env` decides whether and where to
    export and defaults to the process's environment.
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
        self._provider: TracerProvider | None = None
        if _wanted(exporter, env):
            from crossdock.telemetry.provider import make_provider

            self._provider = make_provider(service_name, __version__, Scrubber(redactor), exporter, env)
        self.tracer_provider: trace.TracerProvider = self._provider or trace.NoOpTracerProvider()
        """For the `Context` of connections: their HTTP spans become children of the current step."""
        self._tracer = self.tracer_provider.get_tracer("crossdock", __version__)
        self._told: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._hurrying = threading.Lock()

    @property
    def recording(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    def new_trace(self) -> RunTrace:
        """The identity of a new delivery's trace; the sampler (`OTEL_TRACES_SAMPLER`) decides here, once."""
        fresh = RunTrace.new()
        if self._provider is None:
            return fresh
        verdict = self._provider.sampler.should_sample(None, fresh.trace_id, "webhook", SpanKind.SERVER)
        sampled = verdict.decision.is_sampled()  # type: ignore[no-untyped-call]  # the SDK's own gap
        return replace(fresh, sampled=sampled)

    @contextmanager
    def webhook_span(
        self,
        run_trace: RunTrace,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        kind: SpanKind = SpanKind.SERVER,
    ) -> Iterator[Span]:
        """The root span of a delivery (of a poll: `kind=SpanKind.INTERNAL`), current inside."""
        with self._current(run_trace, run_trace.root_span_id, None, name, attributes, kind) as span:
            yield span

    @contextmanager
    def step_span(
        self,
        run_trace: RunTrace,
        run_id: str,
        seq: int,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Iterator[Span]:
        """The span of one step, child of the run's span and current inside.

        An exception that leaves the block is recorded on it and goes on.
        """
        span_id = step_span_id(run_id, seq)
        with self._current(run_trace, span_id, run_trace.run_span_id, name, attributes, kind) as span:
            yield span

    def emit_run_span(
        self,
        run_trace: RunTrace,
        name: str,
        start: datetime,
        end: datetime,
        attributes: Mapping[str, Any] | None = None,
        *,
        ok: bool,
        error: str | None = None,
        links: Iterable[RunTrace] = (),
    ) -> None:
        """The run's own span, told when it has ended. `links`: runs that it replays or follows."""
        told = None if ok else error or "failed"
        past = PastSpan(name, start, end, attributes=attributes or {}, error=told)
        linked = [trace.Link(other.span_context(other.run_span_id)) for other in links]
        self._emit(run_trace, run_trace.run_span_id, run_trace.root_span_id, past, links=linked)

    def reemit(
        self,
        run_trace: RunTrace,
        run_id: str,
        *,
        root: PastSpan | None = None,
        steps: Sequence[PastSpan] = (),
        kind: SpanKind = SpanKind.SERVER,
        links: Iterable[RunTrace] = (),
    ) -> None:
        """Tell, with the same ids and the journal's times, what another process did and may not have exported.

        What this process has told itself is left out. A backend that has a span already gets it twice under
        one id; `crossdock.reemitted` marks what was told from the journal. `kind` and `links` are the root's.
        """
        if root is not None and not self._knows(run_trace, run_trace.root_span_id):
            linked = [trace.Link(other.span_context(other.run_span_id)) for other in links]
            self._emit(run_trace, run_trace.root_span_id, None, _again(root), kind=kind, links=linked)
        for step in steps:
            span_id = step_span_id(run_id, step.seq)
            if not self._knows(run_trace, span_id):
                self._emit(run_trace, span_id, run_trace.run_span_id, _again(step))

    def hurry(self) -> None:
        """Export what is waiting now, in the background: a kill right after a run's end loses its last spans."""
        provider = self._provider
        if provider is None or not self._hurrying.acquire(blocking=False):
            return

        def work() -> None:
            try:
                provider.force_flush()
            finally:
                self._hurrying.release()

        threading.Thread(target=work, name="crossdock-telemetry", daemon=True).start()

    def flush(self, timeout: float = 5.0) -> bool:
        """Export what is waiting; False if that takes longer than `timeout` seconds. Blocks."""
        provider = self._provider
        return provider is None or _within(timeout, lambda: provider.force_flush(int(timeout * 1000)))

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Export what is waiting and stop, as `flush`. An event loop calls it by `asyncio.to_thread`."""
        provider = self._provider
        return provider is None or _within(timeout, provider.shutdown)

    @contextmanager
    def _current(
        self,
        run_trace: RunTrace,
        span_id: int,
        parent: int | None,
        name: str,
        attributes: Mapping[str, Any] | None,
        kind: SpanKind,
    ) -> Iterator[Span]:
        if self._provider is None or not run_trace.sampled:
            with trace.use_span(NonRecordingSpan(run_trace.span_context(span_id, remote=False))) as idle:
                yield idle
            return
        span = self._start(run_trace, span_id, parent, name, attributes, kind)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                _fail(span, error)
                raise
            finally:
                span.end()

    def _start(
        self,
        run_trace: RunTrace,
        span_id: int,
        parent: int | None,
        name: str,
        attributes: Mapping[str, Any] | None,
        kind: SpanKind,
        start: datetime | None = None,
        links: Sequence[trace.Link] = (),
    ) -> Span:
        from crossdock.telemetry.provider import preset

        self._remember(run_trace, span_id)
        # A root must not inherit whatever span happens to be current around it.
        root = trace.set_span_in_context(trace.INVALID_SPAN)
        context = root if parent is None else run_trace.parent(parent)
        with preset(run_trace.trace_id, span_id):
            return self._tracer.start_span(
                name,
                context,
                kind,
                _attributes(attributes),
                links,
                start_time=_nanoseconds(start) if start else None,
                record_exception=False,
                set_status_on_exception=False,
            )

    def _remember(self, run_trace: RunTrace, span_id: int) -> None:
        self._told[run_trace.trace_id, span_id] = None
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _knows(self, run_trace: RunTrace, span_id: int) -> bool:
        return (run_trace.trace_id, span_id) in self._told

    def _emit(
        self,
        run_trace: RunTrace,
        span_id: int,
        parent: int | None,
        past: PastSpan,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[trace.Link] = (),
    ) -> None:
        if self._provider is None or not run_trace.sampled:
            return
        span = self._start(run_trace, span_id, parent, past.name, past.attributes, kind, past.start, links)
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


def _again(past: PastSpan) -> PastSpan:
    return replace(past, attributes={**past.attributes, REEMITTED: True})


def _fail(span: Span, error: BaseException) -> None:
    if isinstance(error, asyncio.CancelledError):
        span.set_status(StatusCode.ERROR, "cancelled")
    else:
        span.record_exception(error)
        span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")


def _attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes as OpenTelemetry takes them: no None, and text for what it has no type for, as `Decimal`."""
    return {k: _plain(v) for k, v in (attributes or {}).items() if v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return str(value)


def _nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def _within(timeout: float, work: Callable[[], Any]) -> bool:
    """Run `work` in a daemon thread: an unreachable collector must not keep a process from stopping."""
    worker = threading.Thread(target=work, name="crossdock-telemetry", daemon=True)
    worker.start()
    worker.join(timeout)
    return not worker.is_alive()
