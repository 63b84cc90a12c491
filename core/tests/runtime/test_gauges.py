"""What `/metrics` reads from a real runtime, and that OTLP tells the same."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock import gauges
from crossdock.actors import at_terminal
from crossdock.alerts import outbox
from crossdock.intake import RefusedError
from crossdock.journal.base import Act, ConnectionState
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import Alert, Event, RejectedError, Token, WebhookRequest
from crossdock_sdk.testing import serve
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from scripted import leg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROUTING = """
version: 1
connections:
  crm:
    {connector: pipedrive, base_url: "http://127.0.0.1:9", api_token: secret-token,
     webhook: {user: u, password: a-password-of-hooks}}
  books:
    {connector: quickbooks, realm_id: "1", client_id: a, client_secret: secret-1, refresh_token: secret-2}
  say: {connector: log}
flows:
  f:
    when: crm.deal.won
    legs:
      remark: {do: crm.note.create, with: {content: "{{ deal.title }}", deal_id: "{{ deal.id }}"}}
    notify: [say]
"""
BASIC = {"authorization": "Basic dTphLXBhc3N3b3JkLW9mLWhvb2tz"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Callable[..., Any]:
    """`async with app() as runtime`: assembled on the same files each time, with no work of its own."""

    @asynccontextmanager
    async def assembled(**env: str) -> AsyncIterator[Crossdock]:
        config = tmp_path / "crossdock.yaml"
        config.write_text(ROUTING)
        settings = Settings(config=config, database_url=f"sqlite:///{tmp_path}/c.db", watch=0)
        runtime = Crossdock(settings, env=env, clock=clock)
        await runtime.assemble()
        try:
            yield runtime
        finally:
            await runtime.connections.close()
            await runtime.journal.close()

    return assembled


def won(deal: str) -> Event:
    return Event("deal.won", f"e{deal}", deal, {"deal": {"id": deal, "title": "t"}})


def bytes_of(path: str) -> int:
    return Path(path).stat().st_size


async def shown(runtime: Crossdock, name: str) -> dict[tuple[str, ...], float]:
    [family] = [family for family in await runtime.metrics.registry.collect() if family.name == name]
    return {point.values: point.value for point in family.points}


async def test_a_connection_is_in_one_state_which_a_person_may_have_chosen(app: Any, clock: Clock) -> None:
    async with app() as runtime:
        closed = ConnectionState("books", "paused", "refused", clock(), probe_at=clock() + timedelta(minutes=5))
        await runtime.journal.close_connection(closed)
        states = await shown(runtime, "crossdock_connection_state")
        standing = {labels for labels, value in states.items() if value}
        assert standing == {("crm", "active"), ("books", "paused"), ("say", "active")}
        assert len(states) == 3 * len(gauges.STATES)
        await runtime.journal.open_connection("books", clock())
        assert (await shown(runtime, "crossdock_connection_state"))["books", "active"] == 1
        await runtime.journal.pauses.pause(Act(clock(), at_terminal("ann"), "pause", "connection", "crm"))
        states = await shown(runtime, "crossdock_connection_state")
        assert (states["crm", "paused_by_person"], states["crm", "active"]) == (1, 0)


async def test_a_connection_that_one_run_tries_again_is_shown_as_being_tried(
    app: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app() as runtime:
        await runtime.journal.close_connection(ConnectionState("crm", "down", "no answer", clock(), probe_at=clock()))
        assert (await shown(runtime, "crossdock_connection_probing"))[("crm",)] == 0
        [closed] = await runtime.journal.closed_connections()

        async def tried() -> list[ConnectionState]:
            return [replace(closed, scout="r1")]

        monkeypatch.setattr(runtime.journal, "closed_connections", tried)
        assert (await shown(runtime, "crossdock_connection_probing"))[("crm",)] == 1
        assert (await shown(runtime, "crossdock_connection_state"))["crm", "down"] == 1


async def test_when_tokens_end_is_shown_and_nothing_else_of_them(app: Any, clock: Clock) -> None:
    async with app() as runtime:
        soon, ago, later = (clock() + timedelta(hours=1), clock() - timedelta(hours=1), clock() + timedelta(days=9))
        await runtime.vault.store_for("books").swap(Token("access-canary-77", "refresh-canary-77", soon), expected=0)
        assert await shown(runtime, "crossdock_token_expiry_timestamp_seconds") == {
            ("books", "access"): soon.timestamp()
        }
        ends = Token("a-token", "b-token", ago, refresh_expires_at=later)
        await runtime.vault.store_for("books").swap(ends, expected=1)
        ends_at = {("books", "access"): ago.timestamp(), ("books", "refresh"): later.timestamp()}
        assert await shown(runtime, "crossdock_token_expiry_timestamp_seconds") == ends_at
        assert "canary" not in await runtime.metrics.registry.render()


async def test_tokens_that_cannot_be_opened_hide_no_others(app: Any, clock: Clock, tmp_path: Path) -> None:
    async with app() as runtime:
        await runtime.journal.swap_token("crm", b"not of this key", 0)
        await runtime.vault.store_for("books").swap(Token("t-access", None, clock()), expected=0)
        ends = {("books", "access"): clock().timestamp()}
        assert await shown(runtime, "crossdock_token_expiry_timestamp_seconds") == ends


async def test_alerts_on_their_way_are_counted_with_the_age_of_the_oldest(app: Any, clock: Clock) -> None:
    async with app() as runtime:
        assert await shown(runtime, "crossdock_alerts_undelivered") == {("say",): 0}
        for number in (1, 2):
            for entry in outbox(Alert(id=f"a{number}", title="t", at=clock()), ("say", "gone"), clock()):
                await runtime.journal.put_alert(entry.id, entry.data, entry.due_at)
            clock.now += timedelta(minutes=1)
        await runtime.journal.mark_alert("a2@gone", retry_at=None)
        assert await shown(runtime, "crossdock_alerts_undelivered") == {("say",): 2, ("gone",): 1}
        assert await shown(runtime, "crossdock_alerts_undelivered_age_seconds") == {("say",): 120, ("gone",): 120}
        await runtime.journal.mark_alert("a1@say", retry_at=None)
        assert (await shown(runtime, "crossdock_alerts_undelivered_age_seconds"))[("say",)] == 60


async def test_what_a_webhook_brought_is_counted_and_remembered_over_a_restart(app: Any, clock: Clock) -> None:
    body = b'{"meta": {"version": "2.0"}}'
    async with app() as runtime:
        assert await shown(runtime, "crossdock_last_delivery_timestamp_seconds") == {}
        lost = Event("deal.lost", "e2", "2", {"deal": {"id": "2"}})
        for _ in range(2):
            await runtime.intake.accept("crm", [won("1"), lost], runtime.telemetry.new_trace(), clock())
        events = {"accepted": 1, "duplicate": 1, "unrouted": 2}
        told = {("crm", "webhook", outcome): number for outcome, number in events.items()}
        assert await shown(runtime, "crossdock_events_total") == told
        with pytest.raises(RefusedError, match="not what the vendor documents"):
            await runtime.intake.receive("crm", WebhookRequest("POST", "/webhooks/crm", BASIC, body))
        with pytest.raises(RefusedError, match="no such webhook"):
            await runtime.intake.receive("a-strangers-choice", WebhookRequest("POST", "/webhooks/x", BASIC, body))
        deliveries = {("crm", "refused_422"): 1, ("unknown", "refused_404"): 1}
        assert await shown(runtime, "crossdock_webhooks_total") == deliveries
        came = {("crm",): clock().timestamp()}
        assert await shown(runtime, "crossdock_last_delivery_timestamp_seconds") == came
    clock.now += timedelta(hours=3)
    async with app() as runtime:
        assert await shown(runtime, "crossdock_last_delivery_timestamp_seconds") == came


async def test_an_event_that_starts_several_runs_is_one_event(house: Any, vendor: Any) -> None:
    again = {"when": "v.deal.won", "key": "{{ deal.id }}", "legs": {"a": leg("key.create")}}
    async with house({"a": leg("key.create")}, more={"g": again}) as h:
        await h.rests(await h.win("1"), "succeeded")
        assert await shown(h.app, "crossdock_events_total") == {("v", "webhook", "accepted"): 1}


async def test_a_run_that_needs_a_person_is_counted_until_somebody_has_seen_to_it(house: Any, vendor: Any) -> None:
    async with house({"a": leg("key.create")}) as h:
        assert await shown(h.app, "crossdock_needs_person_runs") == {("f",): 0}
        vendor.script["key.create.before"] = [RejectedError("no")]
        run = await h.win("1")
        await h.rests(run, "rolled_back")
        assert await shown(h.app, "crossdock_needs_person_runs") == {("f",): 1}
        await h.rests(await h.replay(run), "succeeded")
        assert await shown(h.app, "crossdock_needs_person_runs") == {("f",): 0}


async def test_when_a_source_was_read_and_how_often_that_failed(app: Any, clock: Clock) -> None:
    async with app() as runtime:
        polls = runtime.journal.polls
        await polls.begin("crm", "pipedrive:127.0.0.1", clock(), clock())
        await polls.begin("old", "gone", clock(), clock())
        clock.now += timedelta(minutes=2)
        poll = await polls.claim("crm", "me", clock(), clock() + timedelta(minutes=1))
        assert poll is not None
        await polls.fail(poll, clock(), "no answer")
        assert await shown(runtime, "crossdock_poll_failures") == {("crm",): 1}
        assert await shown(runtime, "crossdock_last_poll_timestamp_seconds") == {}
        poll = await polls.claim("crm", "me", clock(), clock() + timedelta(minutes=1))
        assert poll is not None
        await polls.end(poll, "c", clock(), ())
        assert await shown(runtime, "crossdock_last_poll_timestamp_seconds") == {("crm",): clock().timestamp()}


async def test_the_database_the_disk_retention_and_the_file_in_force(app: Any, clock: Clock) -> None:
    async with app() as runtime:
        sizes = await shown(runtime, "crossdock_database_size_bytes")
        path = runtime.settings.database_url.removeprefix("sqlite:///")
        assert sizes == {("database",): bytes_of(path), ("wal",): bytes_of(f"{path}-wal")}
        assert all(sizes.values())
        assert (await shown(runtime, "crossdock_disk_free_bytes"))[()] > 0
        assert await shown(runtime, "crossdock_last_retention_timestamp_seconds") == {}
        began = clock().timestamp()
        clock.now += timedelta(seconds=90)
        await runtime.keeper.round()
        assert await shown(runtime, "crossdock_last_retention_timestamp_seconds") == {(): began + 90}
        assert await shown(runtime, "process_start_time_seconds") == {(): began}
        assert await shown(runtime, "crossdock_config_refused") == {(): 0}
        runtime.settings.config.write_text("version: 2")
        await runtime.reload()
        assert await shown(runtime, "crossdock_config_refused") == {(): 1}
        assert await shown(runtime, "crossdock_ready") == {(): 0}
        runtime.started = True
        assert await shown(runtime, "crossdock_ready") == {(): 1}


async def test_endings_that_have_not_come_yet_are_0_so_that_the_first_is_seen(app: Any) -> None:
    async with app() as runtime:
        assert (await shown(runtime, "crossdock_runs_total"))["f", "dead"] == 0
        assert await shown(runtime, "crossdock_step_retries_total") == {("f", "remark"): 0}
        assert await shown(runtime, "crossdock_queue_depth") == {("f", "queued"): 0}
        assert await shown(runtime, "crossdock_webhooks_registered") == {("crm",): 0, ("books",): 0}


async def test_otlp_tells_what_the_page_shows(app: Any) -> None:
    received: list[ExportMetricsServiceRequest] = []

    async def receive(request: Request) -> Response:
        body = await request.body()
        zipped = request.headers.get("content-encoding") == "gzip"
        received.append(ExportMetricsServiceRequest.FromString(gzip.decompress(body) if zipped else body))
        return Response(b"", media_type="application/x-protobuf")

    async with (
        serve(Starlette(routes=[Route("/v1/metrics", receive, methods=["POST"])])) as url,
        app(OTEL_EXPORTER_OTLP_ENDPOINT=url) as runtime,
    ):
        families = await runtime.metrics.registry.collect()
        await runtime.meters.stop()
    [sent] = received
    told = {m.name: m for m in sent.resource_metrics[0].scope_metrics[0].metrics}
    assert set(told) == {f.otel for f in families if f.otel and (f.points or f.spreads)}
    states = {p.attributes[0].value.string_value for p in told["crossdock.connection_state"].gauge.data_points}
    assert states == {"crm", "books", "say"}
