"""What stands at a vendor, in terms of the actions that make or write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Standing:
    """One object that an action's receipt may name by its `id`.

    `facts` are values by the names that the action's input or receipt has for them: where both have one they must
    agree. `made` is False for an object that the action only writes to, for somebody else has made it. `key` is the
    key of ours with which it was made, where the vendor keeps it or the object carries it.
    """

    id: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    made: bool = True
    key: str | None = None


def key_after(mark: str, text: str) -> str | None:
    """Our key as it stands in a text after `mark`, for vendors that keep it in none of their own fields."""
    found = re.search(re.escape(mark) + r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", text)
    return found[1] if found else None
