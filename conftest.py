"""Fixtures that the tests of several members share."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import mutants
import pytest
from crossdock_sdk.testing import serve
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def pytest_configure() -> None:
    """A run of the mutants takes one guard away; how fast a machine is fails no test.

    In CI the examples are the same each time, so that a change is judged by what it did; a developer's machine goes on
    looking for new ones.
    """
    mutants.remove_guard()
    hypothesis.settings.register_profile(
        "any machine",
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("any machine")


@dataclass
class Collector:
    """A local OTLP/HTTP receiver."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    stuck: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: Request) -> Response:
        if self.stuck is not None:
            await self.stuck.wait()
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        self.arrived.set()
        return Response(b"", media_type="application/x-protobuf")

    @property
    def spans(self) -> list[Any]:
        return [s for r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]

    def named(self, name: str) -> list[Any]:
        return [s for s in self.spans if s.name == name]

    @property
    def resource(self) -> dict[str, str]:
        return {a.key: a.value.string_value for a in self.requests[0].resource_spans[0].resource.attributes}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    found = Collector()
    app = Starlette(routes=[Route("/v1/traces", found.receive, methods=["POST"])])
    async with serve(app) as url:
        found.url = url
        yield found
