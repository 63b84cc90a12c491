"""The Crossdock connector for Pipedrive: won deals in, write-backs and notes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import Sink, Source, hookimpl

from crossdock_pipedrive.sink import PipedriveSink
from crossdock_pipedrive.source import PipedriveSource

if TYPE_CHECKING:
    from crossdock_sdk.testing import Simulator

CROSSDOCK_API = 1

__all__ = ("PipedriveSink", "PipedriveSource")


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [PipedriveSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [PipedriveSink]


@hookimpl
def crossdock_simulators() -> list[type[Simulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_pipedrive.simulator import PipedriveSimulator

    return [PipedriveSimulator]
