"""For connector authors: simulators over real HTTP or in process, fault injection, a server to run them on,
actions as the runtime performs them, and checks of notifiers that converse."""

from crossdock_sdk.testing.chaos import KINDS, FaultTransport, Injection, shuffled_deliveries
from crossdock_sdk.testing.conversing import REPLAY, hold_conversation, hold_gone, hold_presses
from crossdock_sdk.testing.faults import Fault, Refusal, abortable
from crossdock_sdk.testing.performing import perform
from crossdock_sdk.testing.server import serve
from crossdock_sdk.testing.simulator import Simulator
from crossdock_sdk.testing.standing import Standing, key_after

__all__ = (
    "KINDS",
    "REPLAY",
    "Fault",
    "FaultTransport",
    "Injection",
    "Refusal",
    "Simulator",
    "Standing",
    "abortable",
    "hold_conversation",
    "hold_gone",
    "hold_presses",
    "key_after",
    "perform",
    "serve",
    "shuffled_deliveries",
)
