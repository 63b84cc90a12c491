"""For connector authors: simulators over real HTTP, fault injection, and a server to run them on."""

from crossdock_sdk.testing.faults import Fault, abortable
from crossdock_sdk.testing.server import serve
from crossdock_sdk.testing.simulator import Simulator

__all__ = ("Fault", "Simulator", "abortable", "serve")
