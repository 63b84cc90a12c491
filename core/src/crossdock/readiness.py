"""Whether a server makes progress: what `/readyz` answers, and the gauge of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossdock.runtime import Crossdock

STALLED = timedelta(minutes=2)
"""A run that has been due for longer than this, while nothing else moves, means that the runner is stuck."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """`trouble` is why the journal takes no checkpoints, None while it does; `oldest_due` is an age."""

    ready: bool
    trouble: str | None
    oldest_due: timedelta


async def readiness(runtime: Crossdock) -> Readiness:
    """Ready while the journal takes checkpoints and either no run has been due for two minutes, or runs do move."""
    oldest = await runtime.journal.oldest_due(runtime.now())
    age = max(runtime.now() - oldest, timedelta()) if oldest else timedelta()
    moving = age < STALLED or runtime.now() - runtime.runner.moved_at < STALLED
    trouble = runtime.runner.trouble or runtime.journal.trouble
    return Readiness(runtime.started and moving and trouble is None, trouble, age)
