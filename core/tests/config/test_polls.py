"""`poll` of a connection: what it comes to, and what is said of a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock.config.load import load
from crossdock.config.polls import poll_settings
from crossdock.config.problems import ConfigProblems
from crossdock.plugins import Registry, load_plugins
from crossdock_sdk import Connection, ConnectionConfig, Event, EventSpec, Polling, Record, Source, hookimpl

DECLARED = Polling(every=timedelta(minutes=5), overlap=timedelta(minutes=2))


def test_what_is_not_given_is_as_the_connector_declares() -> None:
    found = poll_settings({"since": "2026-01-31"}, DECLARED)
    assert found is not None
    assert (found.every, found.overlap) == (timedelta(minutes=5), timedelta(minutes=2))
    assert found.since == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(("given", "every"), [(None, 300), ("90s", 90), ({"every": "1h"}, 3600)])
def test_a_pace_may_stand_alone(given: Any, every: int) -> None:
    found = poll_settings(given, DECLARED)
    assert found is not None
    assert found.every == timedelta(seconds=every)


@pytest.mark.parametrize("given", [False, "off"])
def test_it_can_be_switched_off(given: Any) -> None:
    assert poll_settings(given, DECLARED) is None


class Plain(Connection):
    connector = "plain"
    Config = ConnectionConfig


class Quiet(Connection):
    connector = "quiet"
    Config = ConnectionConfig


class PlainSource(Source):
    connection_class = Plain
    events = (EventSpec("it.was", {"it": Record}, ()),)
    polling = DECLARED

    def verify(self, request: Any) -> None: ...

    def parse(self, request: Any) -> list[Event]:
        return []

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {}


class QuietSource(PlainSource):
    connection_class = Quiet
    polling = None


class Plugin:
    @hookimpl
    def crossdock_sources(self) -> list[type[Source]]:
        return [PlainSource, QuietSource]


@pytest.fixture
def plugins() -> Registry:
    return load_plugins(extra=[Plugin()], entry_points=())


def test_a_misspelt_poll_is_no_key_of_the_connectors(plugins: Registry) -> None:
    with pytest.raises(ConfigProblems) as wrong:
        load("version: 1\nconnections: {c: {connector: plain, base_url: http://x, pol: 60s}}", env={}, registry=plugins)
    assert "unknown key pol; did you mean poll?" in str(wrong.value.problems[0])


@pytest.mark.parametrize(
    ("connector", "poll", "says"),
    [
        ("plain", "500ms", "connections.c.poll: is too quick; a vendor is asked once in a second at most"),
        ("plain", "often", "connections.c.poll: 'often' is no duration; write it like 2s, 10m, 1h30m or 500ms"),
        ("plain", "{every: 1m, sinze: 2026-01-01}", "connections.c.poll.sinze: unknown key sinze; did you mean since?"),
        ("plain", "{since: yesterday}", "connections.c.poll.since: must be an instant such as 2026-01-31T08"),
        ("plain", "{since: '2026-01-31T08:00:00'}", "connections.c.poll.since: needs a zone: write it like"),
        ("quiet", "60s", "connections.c.poll: quiet tells of events by webhooks alone; leave poll out"),
    ],
)
def test_a_wrong_one_is_said(plugins: Registry, connector: str, poll: str, says: str) -> None:
    text = f"version: 1\nconnections:\n  c: {{connector: {connector}, base_url: http://x, poll: {poll}}}\n"
    with pytest.raises(ConfigProblems) as wrong:
        load(text, env={}, registry=plugins)
    [problem] = wrong.value.problems
    assert says in str(problem)
