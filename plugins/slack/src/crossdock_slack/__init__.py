"""Crossdock connector for Slack: alerts to people."""

from __future__ import annotations

from crossdock_sdk import hookimpl

from crossdock_slack.connection import SlackConfig, SlackConnection
from crossdock_slack.notifier import SlackNotifier
from crossdock_slack.simulator import SlackSimulator

__all__ = ("SlackConfig", "SlackConnection", "SlackNotifier", "SlackSimulator")


@hookimpl
def crossdock_notifiers() -> list[type[SlackNotifier]]:
    return [SlackNotifier]


@hookimpl
def crossdock_simulators() -> list[type[SlackSimulator]]:
    return [SlackSimulator]
