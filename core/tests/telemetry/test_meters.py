"""The registry over OTLP, at a real receiver on loopback."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock.metrics import Counter, Gauge, Histogram, Readings, Registry
from crossdock.telemetry import Meters
from crossdock_sdk import Redactor
from crossdock_sdk.redaction import MASK
from crossdock_sdk.testing import serve
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
T1 = T0 + timedelta(minutes=5)


@dataclass
class Receiver:
    """An OTLP/HTTP receiver of metrics."""

    url: str = ""
    status: int = 200
    stuck: asyncio.Event | None = None
    requests: list[ExportMetricsServiceRequest] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.paths.append(request.url.path)
        self.requests.append(ExportMetricsServiceRequest.FromString(body))
        self.arrived.set()
        if self.stuck is not None:
            await self.stuck.wait()
        return Response(b"", self.status, media_type="application/x-protobuf")

    @property
    def metrics(self) -> dict[str, Any]:
        [resource] = self.requests[-1].resource_metrics
        [scope] = resource.scope_metrics
        assert scope.scope.name == "crossdock"
        return {metric.name: metric for metric in scope.metrics}

    @property
    def resource(self) -> dict[str, str]:
        return {a.key: a.value.string_value for a in self.requests[-1].resource_metrics[0].resource.attributes}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    routes = [Route("/v1/metrics", found.receive, methods=["POST"]), Route("/own", found.receive, methods=["POST"])]
    async with serve(Starlette(routes=routes)) as url:
        found.url = url
        yield found


def registry() -> Registry:
    made = Registry()
    made.add(Counter("crossdock_runs_total", "Runs that ended", ["flow", "ending"], unit="{run}")).add("f", "dead")
    steps = Histogram(
        "crossdock_step_duration_seconds", "h", ["kind"], buckets=(0.1, 1), otel="crossdock.step.duration"
    )
    made.add(steps)
    for seconds in (0.05, 0.5, 7):
        steps.observe(seconds, "apply")

    async def free() -> Readings:
        return {(): 17.0}

    made.add(Gauge("crossdock_disk_free_bytes", "g", read=free))
    made.add(Gauge("crossdock_build_info", "g", read=free, otel=""))
    return made


def meters(receiver: Receiver, made: Registry | None = None, **env: str) -> Meters:
    clock = iter([T0, *[T1] * 99])
    at = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    return Meters(made or registry(), "crossdock", Redactor(), lambda: next(clock), env=at | env)


def pairs(point: Any) -> dict[str, str]:
    return {a.key: a.value.string_value for a in point.attributes}


async def test_what_the_page_shows_arrives_under_names_and_units_of_opentelemetry(receiver: Receiver) -> None:
    assert await meters(receiver).send()
    found = receiver.metrics
    assert receiver.paths == ["/v1/metrics"]
    assert set(found) == {"crossdock.runs", "crossdock.step.duration", "crossdock.disk_free"}

    runs = found["crossdock.runs"]
    assert (runs.unit, runs.description, runs.sum.is_monotonic) == ("{run}", "Runs that ended", True)
    assert runs.sum.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = runs.sum.data_points
    assert (pairs(point), point.as_double) == ({"crossdock.flow": "f", "crossdock.ending": "dead"}, 1)
    assert point.start_time_unix_nano == int(T0.timestamp()) * 10**9
    assert point.time_unix_nano == int(T1.timestamp()) * 10**9

    steps = found["crossdock.step.duration"]
    [spread] = steps.histogram.data_points
    assert (steps.unit, list(spread.explicit_bounds), list(spread.bucket_counts)) == ("s", [0.1, 1], [1, 1, 1])
    assert (spread.count, spread.sum, pairs(spread)) == (3, 7.55, {"crossdock.kind": "apply"})
    assert not spread.HasField("min")

    free = found["crossdock.disk_free"]
    assert (free.unit, free.gauge.data_points[0].as_double) == ("By", 17)


async def test_the_resource_names_the_service_and_its_instance_and_tells_no_secret(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=canary-4711-secret")
    redactor = Redactor()
    redactor.add("canary-4711-secret")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    assert await Meters(registry(), "crossdock", redactor, lambda: T0, env=env).send()
    first = receiver.resource
    assert (first["service.name"], first["deployment.environment.name"]) == ("crossdock", MASK)
    assert first["service.version"]
    assert first["service.instance.id"]


async def test_they_go_out_each_interval_and_once_more_at_the_end(receiver: Receiver) -> None:
    made = registry()
    naps: list[float] = []
    sent = asyncio.Event()

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 2:
            sent.set()
            await asyncio.Event().wait()

    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_METRIC_EXPORT_INTERVAL": "2500"}
    told = Meters(made, "crossdock", Redactor(), lambda: T0, env=env, sleep=sleep)
    running = asyncio.create_task(told.run())
    await asyncio.wait_for(sent.wait(), 20)
    assert (naps, len(receiver.requests)) == ([2.5, 2.5, 2.5], 2)
    running.cancel()
    await told.stop()
    assert len(receiver.requests) == 3
    assert await told.send()
    assert len(receiver.requests) == 3


async def test_a_receiver_that_hangs_holds_up_no_end(receiver: Receiver) -> None:
    receiver.stuck = asyncio.Event()
    told = meters(receiver)
    await asyncio.wait_for(told.stop(patience=0.2), 5)
    await asyncio.wait_for(receiver.arrived.wait(), 5)
    sending = [thread for thread in threading.enumerate() if thread.name == "crossdock-meters"]
    assert [thread.daemon for thread in sending] == [True]
    receiver.stuck.set()


async def test_a_refusal_is_no_success(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.status = 404
    assert not await meters(receiver).send()
    assert "404" in caplog.text


@pytest.mark.parametrize(
    ("env", "sending"),
    [
        ({}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/own"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/own"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "prometheus"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_say_whether_metrics_go_out(env: dict[str, str], sending: bool) -> None:
    assert Meters(registry(), "crossdock", Redactor(), lambda: T0, env=env).sending is sending


async def test_an_endpoint_of_their_own_is_taken_as_it_is(receiver: Receiver) -> None:
    told = meters(receiver, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/own")
    assert await told.send()
    assert receiver.paths == ["/own"]


@pytest.mark.parametrize("given", ["soon", "0", "-5"])
async def test_an_interval_that_is_none_is_a_minute_and_is_said(given: str, caplog: pytest.LogCaptureFixture) -> None:
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        raise asyncio.CancelledError

    env = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": given}
    with pytest.raises(asyncio.CancelledError):
        await Meters(registry(), "crossdock", Redactor(), lambda: T0, env=env, sleep=sleep).run()
    assert naps == [60]
    assert given in caplog.text


def test_what_metrics_cannot_be_sent_as_is_said(caplog: pytest.LogCaptureFixture) -> None:
    env = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    }
    Meters(registry(), "crossdock", Redactor(), lambda: T0, env=env)
    assert "http/protobuf only" in caplog.text
    assert "cumulative only" in caplog.text
