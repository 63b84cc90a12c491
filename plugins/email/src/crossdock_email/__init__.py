"""Crossdock connector for e-mail: alerts to people, over SMTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import hookimpl

from crossdock_email.connection import EmailConfig, EmailConnection
from crossdock_email.notifier import EmailNotifier

if TYPE_CHECKING:
    from crossdock_email.simulator import EmailSimulator

__all__ = ("EmailConfig", "EmailConnection", "EmailNotifier")


@hookimpl
def crossdock_notifiers() -> list[type[EmailNotifier]]:
    return [EmailNotifier]


@hookimpl
def crossdock_simulators() -> list[type[EmailSimulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_email.simulator import EmailSimulator

    return [EmailSimulator]
