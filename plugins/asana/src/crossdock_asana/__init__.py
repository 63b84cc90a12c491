"""Crossdock connector for Asana: tasks as legs, and what happens to tasks as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import hookimpl

from crossdock_asana.connection import AsanaConfig, AsanaConnection
from crossdock_asana.sink import AsanaSink
from crossdock_asana.source import AsanaSource

if TYPE_CHECKING:
    from crossdock_asana.simulator import AsanaSimulator

__all__ = ("AsanaConfig", "AsanaConnection", "AsanaSink", "AsanaSource")


@hookimpl
def crossdock_sources() -> list[type[AsanaSource]]:
    return [AsanaSource]


@hookimpl
def crossdock_sinks() -> list[type[AsanaSink]]:
    return [AsanaSink]


@hookimpl
def crossdock_simulators() -> list[type[AsanaSimulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_asana.simulator import AsanaSimulator

    return [AsanaSimulator]
