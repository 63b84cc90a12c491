"""What stands at a vendor, in terms of the actions that make or write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Standing:
    """One object that an action's receipt may name by its `id`.

    `facts` are values by the names that the action's input or receipt has for them: where both have one they must
    agree. `made` is False for an object that the action only writes to, for somebody else has made it.
    """

    id: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    made: bool = True
