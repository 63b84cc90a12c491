"""The Crossdock connector for Salesforce: won opportunities in, write-backs and records out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import Sink, Source, hookimpl

from crossdock_salesforce.sink import SalesforceSink
from crossdock_salesforce.source import SalesforceSource

if TYPE_CHECKING:
    from crossdock_sdk.testing import Simulator

CROSSDOCK_API = 1

__all__ = ("SalesforceSink", "SalesforceSource")


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [SalesforceSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [SalesforceSink]


@hookimpl
def crossdock_simulators() -> list[type[Simulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_salesforce.simulator import SalesforceSimulator

    return [SalesforceSimulator]
