"""Crossdock connector for Asana: tasks as legs."""

from __future__ import annotations

from crossdock_sdk import hookimpl

from crossdock_asana.connection import AsanaConfig, AsanaConnection
from crossdock_asana.simulator import AsanaSimulator
from crossdock_asana.sink import AsanaSink

__all__ = ("AsanaConfig", "AsanaConnection", "AsanaSimulator", "AsanaSink")


@hookimpl
def crossdock_sinks() -> list[type[AsanaSink]]:
    return [AsanaSink]


@hookimpl
def crossdock_simulators() -> list[type[AsanaSimulator]]:
    return [AsanaSimulator]
