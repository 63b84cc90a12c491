"""The five hooks. Each takes nothing, only registers, and is called once per plugin at start."""

from __future__ import annotations

import pluggy
from crossdock_sdk import Notifier, Sink, Source, Transform

hookspec = pluggy.HookspecMarker("crossdock")


@hookspec
def crossdock_sources() -> list[type[Source]]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the plugin's sources, at most one for each connector."""


@hookspec
def crossdock_sinks() -> list[type[Sink]]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the plugin's sinks, at most one for each connector."""


@hookspec
def crossdock_transforms() -> list[type[Transform]]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the plugin's transforms, which become filters in mapping expressions."""


@hookspec
def crossdock_notifiers() -> list[type[Notifier]]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the plugin's notifiers, at most one for each connector."""


@hookspec
def crossdock_simulators() -> list[type]:  # type: ignore[empty-body]  # a hook spec has no body
    """Return the plugin's simulators (`crossdock_sdk.testing.Simulator`), at most one for each connector."""
