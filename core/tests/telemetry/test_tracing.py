from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from crossdock.telemetry import PastSpan, RunTrace, Telemetry, step_span_id
from crossdock_sdk.redaction import MASK, Redactor
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CANARY = 'kanarie"9f8e7d\\x'


def to(collector: Any) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


async def stop(telemetry: Telemetry) -> None:
    assert await asyncio.to_thread(telemetry.shutdown)


def tree(spans: list[Any]) -> dict[str, str | None]:
    """name → parent's name (None: root). Fails where a parent is missing."""
    names = {s.span_id: s.name for s in spans}
    return {s.name: names[s.parent_span_id] if s.parent_span_id else None for s in spans}


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@contextlib.contextmanager
def step(
    telemetry: Telemetry, run: RunTrace, seq: int, name: str, attributes: Any = None, error: str | None = None
) -> Any:
    """A step of run `r1` that is under way inside, and told after it."""
    with telemetry.inside_step(run, "r1", seq):
        yield
    telemetry.tell_steps(run, "r1", [PastSpan(name, T0, T0, seq, attributes or {}, error)])


async def test_a_run_is_one_tree_at_the_collector(collector: Any) -> None:
    telemetry = Telemetry("crossdock", Redactor(), env=to(collector))
    run = telemetry.new_trace()
    with telemetry.inside(run, run.root_span_id):
        assert trace.get_current_span().get_span_context().span_id == run.root_span_id
    telemetry.tell_root(run, PastSpan("webhook crm", T0, T0, attributes={"crossdock.connection": "crm"}))
    with step(telemetry, run, 2, "apply invoice", {"amount": Decimal("10.10"), "none": None}):
        http = telemetry.tracer_provider.get_tracer("crossdock.sdk")
        with http.start_as_current_span("POST", kind=trace.SpanKind.CLIENT):
            pass
    telemetry.tell_run(run, PastSpan("run deal-to-invoice", T0, T0 + timedelta(seconds=3)))
    await stop(telemetry)

    assert tree(collector.spans) == {
        "webhook crm": None,
        "run deal-to-invoice": "webhook crm",
        "apply invoice": "run deal-to-invoice",
        "POST": "apply invoice",
    }
    assert {s.trace_id.hex() for s in collector.spans} == {run.hex}
    (told,) = collector.named("run deal-to-invoice")
    assert told.start_time_unix_nano == int(T0.timestamp()) * 10**9
    assert told.end_time_unix_nano - told.start_time_unix_nano == 3 * 10**9
    assert attributes(collector.named("apply invoice")[0]) == {"amount": "10.10"}
    assert collector.named("webhook crm")[0].kind == 2  # SERVER in the OTLP protocol
    assert collector.resource["service.name"] == "crossdock"


async def test_a_call_hangs_from_a_step_that_another_process_tells(collector: Any) -> None:
    child = """
import os
from crossdock.telemetry import Telemetry
from crossdock_sdk.redaction import Redactor
t = Telemetry("crossdock", Redactor())
run = t.new_trace()
print(run.encode(), flush=True)
with t.inside_step(run, "r1", 2):
    with t.tracer_provider.get_tracer("x").start_as_current_span("POST"): pass
    t.flush()
    os.kill(os.getpid(), 9)
"""
    env = {**os.environ, **to(collector)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", child, stdout=subprocess.PIPE, env=env)
    written, _ = await process.communicate()
    run = RunTrace.decode(written.decode().strip())
    assert {s.name for s in collector.spans} == {"POST"}

    telemetry = Telemetry("crossdock", Redactor(), env=to(collector))
    telemetry.tell_root(run, PastSpan("webhook", T0, T0))
    telemetry.tell_steps(run, "r1", [PastSpan("apply", T0, T0, seq=2, error="interrupted")])
    telemetry.tell_run(run, PastSpan("run", T0, T0))
    await stop(telemetry)
    assert tree(collector.spans) == {"webhook": None, "run": "webhook", "apply": "run", "POST": "apply"}
    (cut,) = collector.named("apply")
    assert (cut.status.code, cut.status.message) == (2, "interrupted")


async def test_an_exception_in_a_live_span_is_recorded_and_goes_on(collector: Any) -> None:
    telemetry = Telemetry("crossdock", Redactor(), env=to(collector))
    run = telemetry.new_trace()
    tracer = telemetry.tracer_provider.get_tracer("acme")
    with telemetry.inside_step(run, "r1", 1):
        with pytest.raises(ValueError, match="no such SKU"), tracer.start_as_current_span("lookup"):
            raise ValueError("no such SKU")
        with tracer.start_span("by hand") as span:
            span.set_attributes({"a": 1, "b": Decimal("1.5")})
            span.add_event("half way")
            span.update_name("renamed")
    await stop(telemetry)
    (lookup,) = collector.named("lookup")
    assert (lookup.status.code, lookup.status.message) == (2, "ValueError: no such SKU")
    assert [e.name for e in lookup.events] == ["exception"]
    (renamed,) = collector.named("renamed")
    assert attributes(renamed) == {"a": 1, "b": "1.5"}
    assert renamed.parent_span_id == lookup.parent_span_id


async def test_no_secret_reaches_the_collector(collector: Any) -> None:
    redactor = Redactor()
    telemetry = Telemetry("crossdock", redactor, env=to(collector))
    run = telemetry.new_trace()
    shown: dict[str, Any] = {
        "plain": f"x {CANARY} y",
        "listed": [CANARY],
        f"as key {CANARY}": "v",
        "raw": CANARY.encode(),
    }
    other = trace.SpanContext(1, 2, True, trace.TraceFlags(1))

    tracer = telemetry.tracer_provider.get_tracer("acme")

    def leak() -> None:
        named = {**shown, "http.cookie": "unregistered-1"}
        with (
            telemetry.inside_step(run, "r1", 1),
            tracer.start_as_current_span(f"step {CANARY}", attributes=named) as span,
        ):
            span.add_event(f"event {CANARY}", shown)
            span.add_link(other, {"link": CANARY})
            span.set_attribute("url.full", "https://v.example/cb?code=unregistered-2&x=1")
            redactor.add(CANARY)
            raise RuntimeError(f"token {CANARY} and Authorization: Bearer unregistered-3")

    with pytest.raises(RuntimeError):
        leak()
    past = PastSpan("told", T0, T0, attributes=shown, error=f"failed: {CANARY}", seq=9)
    telemetry.tell_steps(run, "r1", [past])
    await stop(telemetry)
    everything = b"".join(collector.bodies)
    assert len(collector.spans) == 2
    assert b"kanarie" not in everything
    assert b"unregistered" not in everything
    (told,) = collector.named("told")
    assert told.status.message == f"failed: {MASK}"
    assert attributes(told)["plain"] == f"x {MASK} y"


async def test_a_value_is_cut_only_after_it_is_redacted(collector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12")
    redactor = Redactor()
    redactor.add("secret-secret-secret")
    telemetry = Telemetry("crossdock", redactor, env=to(collector))
    attrs = {"a": "12345 secret-secret-secret", "b": ["secret-secret-secret", "0123456789abcdef"]}
    with step(telemetry, telemetry.new_trace(), 1, "s", attrs):
        pass
    await stop(telemetry)
    assert b"secret" not in b"".join(collector.bodies)
    told = attributes(collector.spans[0])
    assert told["a"] == "12345 [redac"
    assert [v.string_value for v in told["b"].values] == [MASK, "0123456789ab"]


async def test_two_applications_do_not_mix_and_nothing_global_is_set(collector: Any) -> None:
    before = trace.get_tracer_provider()
    mine, other = InMemorySpanExporter(), InMemorySpanExporter()
    first = Telemetry("one", Redactor(), exporter=mine)
    second = Telemetry("two", Redactor(), exporter=other)
    with step(first, first.new_trace(), 1, "a"), step(second, second.new_trace(), 1, "b"):
        pass
    await stop(first)
    await stop(second)
    assert [s.name for s in mine.get_finished_spans()] == ["a"]
    assert [s.name for s in other.get_finished_spans()] == ["b"]
    assert trace.get_tracer_provider() is before


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_exporter_ids_are_there_and_threads_are_not(env: dict[str, str]) -> None:
    threads = threading.active_count()
    telemetry = Telemetry("crossdock", Redactor(), env=env)
    run = telemetry.new_trace()
    assert not telemetry.recording
    with telemetry.inside_step(run, "r", 4):
        context = trace.get_current_span().get_span_context()
        assert trace.format_trace_id(context.trace_id) == run.hex
        assert context.span_id == step_span_id("r", 4)
        child = telemetry.tracer_provider.get_tracer("x").start_span("POST")
        assert child.get_span_context().trace_id == run.trace_id
    assert not trace.get_current_span().get_span_context().is_valid
    telemetry.tell_run(run, PastSpan("run", T0, T0))
    telemetry.tell_root(run, PastSpan("w", T0, T0))
    assert telemetry.flush()
    assert telemetry.shutdown()
    assert threading.active_count() == threads


def test_without_an_exporter_the_sdk_is_not_even_imported() -> None:
    code = (
        "import sys; from crossdock.telemetry import Telemetry; from crossdock_sdk.redaction import Redactor;"
        "Telemetry('c', Redactor(), env={});"
        "heavy = ('opentelemetry.sdk.trace', 'opentelemetry.exporter');"
        "sys.exit(any(m.startswith(heavy) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_an_exporter_a_step_span_costs_microseconds() -> None:
    telemetry = Telemetry("crossdock", Redactor(), env={})
    run = telemetry.new_trace()
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for seq in range(500):
            with telemetry.inside_step(run, "r", seq):
                pass
        best = min(best, (time.process_time() - begun) / 500)
    assert best < 100e-6


@pytest.mark.parametrize(("arg", "kept"), [("0", 0), ("1", 1)])
async def test_the_sampler_decides_once_for_the_whole_tree(
    arg: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", arg)
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("crossdock", Redactor(), exporter=exporter)
    run = RunTrace.decode(telemetry.new_trace().encode())
    assert run.sampled is bool(kept)
    telemetry.tell_root(run, PastSpan("w", T0, T0))
    with step(telemetry, run, 1, "s"):
        child = telemetry.tracer_provider.get_tracer("x").start_span("POST")
        assert child.get_span_context().trace_id == run.trace_id
        child.end()
    telemetry.tell_run(run, PastSpan("run", T0, T0))
    await stop(telemetry)
    assert len(exporter.get_finished_spans()) == 4 * kept


async def test_a_root_span_ignores_the_span_around_it() -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("crossdock", Redactor(), exporter=exporter)
    outer, inner = telemetry.new_trace(), telemetry.new_trace()
    with telemetry.inside(outer, outer.root_span_id):
        telemetry.tell_root(inner, PastSpan("inner", T0, T0))
    await stop(telemetry)
    (told,) = exporter.get_finished_spans()
    assert told.parent is None
    assert told.context is not None
    assert told.context.trace_id == inner.trace_id


async def test_concurrent_steps_keep_their_own_ids_and_children() -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("crossdock", Redactor(), exporter=exporter)
    run = telemetry.new_trace()

    async def perform(seq: int) -> None:
        with step(telemetry, run, seq, f"step {seq}"):
            await asyncio.sleep(0)
            with telemetry.tracer_provider.get_tracer("x").start_as_current_span(f"call {seq}"):
                await asyncio.sleep(0)

    await asyncio.gather(*map(perform, range(50)))
    await stop(telemetry)
    spans = {s.name: s for s in exporter.get_finished_spans()}
    assert len(spans) == 100
    for seq in range(50):
        parent, context = spans[f"call {seq}"].parent, spans[f"step {seq}"].context
        assert parent is not None
        assert context is not None
        assert parent.span_id == context.span_id == step_span_id("r1", seq)


async def test_a_replay_links_what_it_replays_and_says_why_it_failed() -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry("crossdock", Redactor(), exporter=exporter)
    run, earlier = telemetry.new_trace(), telemetry.new_trace()
    telemetry.tell_root(run, PastSpan("replay", T0, T0, error="bad SKU"), links=[earlier])
    await stop(telemetry)
    (told,) = exporter.get_finished_spans()
    assert (told.status.status_code, told.status.description) == (trace.StatusCode.ERROR, "bad SKU")
    assert [link.context.span_id for link in told.links] == [earlier.run_span_id]


async def test_spans_leave_within_a_second_without_a_flush(collector: Any) -> None:
    telemetry = Telemetry("crossdock", Redactor(), env=to(collector))
    with step(telemetry, telemetry.new_trace(), 1, "s"):
        pass
    async with asyncio.timeout(4):
        await collector.arrived.wait()
    assert len(collector.spans) == 1
    await stop(telemetry)


async def test_a_collector_that_does_not_answer_cannot_hold_up_the_stop(collector: Any) -> None:
    collector.stuck = asyncio.Event()
    telemetry = Telemetry("crossdock", Redactor(), env=to(collector))
    with step(telemetry, telemetry.new_trace(), 1, "s"):
        pass
    assert not await asyncio.to_thread(telemetry.shutdown, 0.2)
    collector.stuck.set()
    for thread in threading.enumerate():
        if thread.name == "crossdock-telemetry":
            await asyncio.to_thread(thread.join)
    assert len(collector.spans) == 1


async def test_the_service_name_of_the_environment_wins(collector: Any) -> None:
    telemetry = Telemetry("crossdock", Redactor(), env={**to(collector), "OTEL_SERVICE_NAME": "billing"})
    with step(telemetry, telemetry.new_trace(), 1, "s"):
        pass
    await stop(telemetry)
    assert collector.resource["service.name"] == "billing"


async def test_standard_headers_and_resource_attributes_are_sent(
    collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=named,deployment.environment=test")
    telemetry = Telemetry("crossdock", Redactor())
    with step(telemetry, telemetry.new_trace(), 1, "s"):
        pass
    await stop(telemetry)
    assert collector.headers[0]["x-tenant"] == "t1"
    assert collector.resource["service.name"] == "named"
    assert collector.resource["deployment.environment"] == "test"


class Failing(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise OSError("collector is gone")


async def test_a_failing_exporter_never_fails_the_work() -> None:
    telemetry = Telemetry("crossdock", Redactor(), exporter=Failing())
    with step(telemetry, telemetry.new_trace(), 1, "s"):
        done = True
    assert done
    await stop(telemetry)


ids = st.integers(1, 2**64 - 1)


@given(st.integers(1, 2**128 - 1), ids, ids, st.booleans(), st.booleans())
def test_a_run_trace_survives_the_journal(trace_id: int, root: int, run: int, sampled: bool, bears: bool) -> None:
    whole = RunTrace(trace_id, root, run, sampled, bears)
    assert RunTrace.decode(whole.encode()) == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-abc",
        f"01-{'1' * 32}-{'1' * 16}-{'1' * 16}-01",
        f"00-{'0' * 32}-{'1' * 16}-{'1' * 16}-01",
        f"00-{'g' * 32}-{'1' * 16}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'1' * 16}-{'1' * 16}",
        f"00-{'1' * 32}-{' ' * 15}1-{'1' * 16}-01",
    ],
)
def test_what_is_no_run_trace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a run trace"):
        RunTrace.decode(text)


def test_siblings_share_the_delivery_and_nothing_else() -> None:
    first = RunTrace.new()
    second = first.sibling()
    assert (second.trace_id, second.root_span_id) == (first.trace_id, first.root_span_id)
    assert second.run_span_id != first.run_span_id
    assert (first.bears_root, second.bears_root) == (True, False)


def test_step_span_ids_are_fixed_for_ever() -> None:
    assert step_span_id("run-1", 1) == 0x642110F48CBA8EB4
    assert len({step_span_id(run, seq) for run in ("a", "b") for seq in range(100)}) == 200
