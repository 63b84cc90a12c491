"""The Crossdock connector for QuickBooks Online: invoices and payments in, customers, items and invoices out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock_sdk import Sink, Source, hookimpl

from crossdock_quickbooks.sink import QuickBooksSink
from crossdock_quickbooks.source import QuickBooksSource

if TYPE_CHECKING:
    from crossdock_sdk.testing import Simulator

CROSSDOCK_API = 1

__all__ = ("QuickBooksSink", "QuickBooksSource")


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [QuickBooksSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [QuickBooksSink]


@hookimpl
def crossdock_simulators() -> list[type[Simulator]]:
    # Imported here, so that a server that never simulates does not load what only a simulator needs.
    from crossdock_quickbooks.simulator import QuickBooksSimulator

    return [QuickBooksSimulator]
