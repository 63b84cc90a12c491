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


class Scope(StrEnum):
    """A part of the API that a token may be confined to.

    Letting others in is none of them: who is confined may not widen it.
    """

    RUNS = "runs"
    """Runs and what is done to them, one or many, and their payloads."""
    FLOWS = "flows"
    """The routing, its mappings, stopping a flow."""
    CONNECTIONS = "connections"
    """How they stand, checking and stopping one."""
    FIGURES = "figures"
    """Counts and charts."""
    AUDIT = "audit"
    """Who did what."""
    METRICS = "metrics"
    """`/metrics`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts. `via` is the way they came: `page`, `api`, `cli` or `chat`.

    `scopes` are the parts of the API that they are confined to; None: they are not.
    """

    name: str
    role: Role
    via: str
    scopes: frozenset[Scope] | None = None

    def opens(self, scope: Scope | None) -> bool:
        """Whether they may use this part; None is what only those may use who are not confined."""
        return self.scopes is None or scope in self.scopes


def at_terminal(name: str) -> Actor:
    """Whoever can open the journal's file may do everything; `name` is the account at the machine."""
    return Actor(name, Role.ADMIN, "cli")
