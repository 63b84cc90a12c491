"""Slack over the transport of its context: the same messages, and the same errors as over a socket."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock_sdk import Alert, AmbiguousError, ConnectorError, Context, RejectedError, TransientError
from crossdock_sdk.testing import FaultTransport
from crossdock_slack import SlackConfig, SlackConnection, SlackNotifier
from crossdock_slack.simulator import SlackSimulator

ALERT = Alert(id="a1", title="it failed", at=datetime(2026, 11, 23, tzinfo=UTC), run="r1", payload={"x": "y" * 9000})


def channel(chaos: FaultTransport, simulator: SlackSimulator) -> SlackConnection:
    settings: dict[str, Any] = simulator.settings("http://slack.test")
    settings.pop("connector")
    return SlackConnection(SlackConfig(**settings), Context("alerts", transport=lambda: chaos))


@pytest.mark.parametrize("webhook", [True, False])
async def test_an_alert_arrives_with_its_file(webhook: bool) -> None:
    simulator = SlackSimulator(webhook=webhook)
    simulator.seed()
    connection = channel(FaultTransport(simulator, seed=1, rate=0.0), simulator)
    await SlackNotifier(connection).notify(ALERT)
    assert [m["via"] for m in simulator.messages] == ["webhook" if webhook else "bot"]
    assert len(simulator.files) == (0 if webhook else 1)
    await connection.close()


TABLE = {
    "refused": TransientError,
    "throttled": TransientError,
    "timeout": AmbiguousError,
    "reset_applied": AmbiguousError,
    "reset_in_body": AmbiguousError,
    "not_json": AmbiguousError,
    "truncated": AmbiguousError,
    "502_applied": AmbiguousError,
    "conflict": RejectedError,
}


@pytest.mark.parametrize("webhook", [True, False])
@pytest.mark.parametrize("kind", TABLE)
async def test_a_fault_of_the_transport_is_told_as_what_it_is(kind: str, webhook: bool) -> None:
    simulator = SlackSimulator(webhook=webhook)
    simulator.seed()
    connection = channel(FaultTransport(simulator, seed=1, rate=1.0, kinds=[kind]), simulator)
    with pytest.raises(ConnectorError) as caught:
        await SlackNotifier(connection).notify(ALERT)
    assert type(caught.value) is TABLE[kind]
    applied = kind in ("reset_applied", "reset_in_body", "not_json", "truncated", "502_applied")
    assert len(simulator.messages) == (1 if applied else 0)
    await connection.close()
