"""The marker that a plugin puts on its hook implementations.

    from crossdock_sdk import hookimpl

    @hookimpl
    def crossdock_sinks():
        return [AcmeSink]

Hooks: `crossdock_sources`, `crossdock_sinks`, `crossdock_transforms`, `crossdock_notifiers`,
`crossdock_simulators`. Each takes nothing and returns a list of classes. They only register: pluggy does
not await, so all work is in async methods of those classes.
"""

from __future__ import annotations

import pluggy

SDK_API = 1
"""Version of the contract between plugins and runtime; a plugin module may state its own `CROSSDOCK_API`."""

hookimpl = pluggy.HookimplMarker("crossdock")
