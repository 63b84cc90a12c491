"""What the metrics tell of an installation, on the page and over OTLP, and what is shipped beside to read them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from crossdock.actors import at_terminal
from crossdock.journal.base import Act
from crossdock.telemetry.metering import Metering, wanted
from crossdock_sdk import RejectedError
from crossdock_sdk.testing import serve
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from scripted import leg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT = Path(__file__).parents[3]


def value_of(page: str, name: str, **labels: str) -> float | None:
    """The value of a sample of the page; None if it is not there."""
    for line in page.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
            return float(found[3])
    return None


async def test_the_page_says_how_the_installation_stands(house: Callable[..., Any], vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        vendor.script["key.create.before"] = [RejectedError("no")]
        await h.rests(await h.win("1"), "rolled_back")
        await h.rests(await h.win("2"), "succeeded")
        await h.app.journal.pauses.pause(Act(h.app.now(), at_terminal("ann"), "pause", "connection", "v"))
        page = await h.app.metrics.registry.render()
        assert value_of(page, "crossdock_runs_total", flow="f", ending="rolled_back") == 1
        assert value_of(page, "crossdock_needs_person_runs", flow="f") == 1
        assert value_of(page, "crossdock_connection_state", connection="v", state="paused_by_person") == 1
        assert value_of(page, "crossdock_connection_state", connection="v", state="active") == 0
        assert (value_of(page, "crossdock_database_bytes", file="database") or 0) > 0
        assert (value_of(page, "crossdock_disk_free_bytes") or 0) > 0
        assert value_of(page, "crossdock_config_refused") == 0
        h.routing["flows"]["f"]["legs"] = {}
        h.write()
        assert await h.app.reload()
        assert value_of(await h.app.metrics.registry.render(), "crossdock_config_refused") == 1


async def test_the_same_goes_out_over_otlp(house: Callable[..., Any], vendor: Any) -> None:
    heard: dict[str, Any] = {}

    async def collect(request: Request) -> Response:
        sent = ExportMetricsServiceRequest.FromString(await request.body())
        for resource in sent.resource_metrics:
            heard["service"] = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
            for scope in resource.scope_metrics:
                heard.update({metric.name: metric for metric in scope.metrics})
        body = ExportMetricsServiceResponse().SerializeToString()
        return Response(body, media_type="application/x-protobuf")

    async with serve(Starlette(routes=[Route("/v1/metrics", collect, methods=["POST"])])) as url:
        env = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        assert wanted(env)
        async with house({"a": leg("key.create")}) as h:
            metering = Metering(h.app.metrics.registry, "1.2.3", env)
            await h.rests(await h.win(), "succeeded")
            await metering.read()
            await asyncio.to_thread(metering.shutdown)
    assert heard["service"] == "crossdock"
    [point] = heard["crossdock_runs"].sum.data_points
    assert {one.key: one.value.string_value for one in point.attributes} == {"flow": "f", "ending": "succeeded"}
    assert point.as_int == 1
    steps = heard["crossdock_step_duration_seconds"].histogram.data_points
    assert {one.value.string_value for point in steps for one in point.attributes if one.key == "kind"} >= {"apply"}
    assert list(steps[0].explicit_bounds)[:3] == [0.005, 0.01, 0.025]
    states = heard["crossdock_connection_state"].gauge.data_points
    assert sum(point.as_double for point in states) == 1


async def test_nothing_goes_out_unless_the_environment_asks(house: Callable[..., Any], vendor: Any) -> None:
    assert not wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert not wanted({"OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"})
    async with house({"a": leg("key.create")}) as h:
        assert h.app.metering is None


async def test_what_is_shipped_asks_for_metrics_that_there_are(house: Callable[..., Any], vendor: Any) -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "crossdock.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked += [rule["expr"] for rule in alerts]
    async with house({"a": leg("key.create")}) as h:
        known = {metric.name: metric for metric in h.app.metrics.registry.metrics()}
        for expression in asked:
            for name in re.findall(r"crossdock_\w+", expression):
                assert name.removesuffix("_bucket") in known, name
            for name, label in re.findall(r"(crossdock_\w+)\{(\w+)=", expression):
                assert label in known[name].labels, expression
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", runbook, re.M)
    }
    for rule in alerts:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/runbook.md"
        assert anchor in anchors, anchor
