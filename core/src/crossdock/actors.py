"""Who acts, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person or a token may do; each role may do what those before it may."""

    VIEWER = "viewer"
    """Look at everything, payloads included."""
    OPERATOR = "operator"
    """Act on runs: replay, cancel, approve, settle a doubt, pause."""
    ADMIN = "admin"
    """Say who else may do what."""

    def covers(self, wanted: Role) -> bool:
        """Whether this role may do what `wanted` may."""
        return _ORDER.index(self) >= _ORDER.index(wanted)


_ORDER = tuple(Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts. `via` is the way they came: `page`, `api`, `cli` or `chat`."""

    name: str
    role: Role
    via: str


def at_terminal(name: str) -> Actor:
    """Whoever can open the journal's file may do everything; `name` is the account at the machine."""
    return Actor(name, Role.ADMIN, "cli")
