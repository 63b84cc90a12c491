"""Crossdock connector for Slack: alerts to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import hookimpl

from crossdock_slack.connection import SlackConfig, SlackConnection
from crossdock_slack.notifier import SlackNotifier

if TYPE_CHECKING:
    from crossdock_slack.simulator import SlackSimulator

__all__ = ("SlackConfig", "SlackConnection", "SlackNotifier")


@hookimpl
def crossdock_notifiers() -> list[type[SlackNotifier]]:
    return [SlackNotifier]


@hookimpl
def crossdock_simulators() -> list[type[SlackSimulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_slack.simulator import SlackSimulator

    return [SlackSimulator]
