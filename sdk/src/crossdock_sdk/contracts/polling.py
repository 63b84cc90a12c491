"""Polling: what a source is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock_sdk.contracts.source import Event


@dataclass(frozen=True, slots=True)
class Polling:
    """How a source is polled where the routing file does not say."""

    every: timedelta
    """From one poll to the next."""
    overlap: timedelta = timedelta(minutes=5)
    """How far each poll goes back behind the newest that was seen: vendors show some changes late."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    """Where a poll goes on."""

    cursor: str | None
    """What the page before gave; None at the very first."""
    since: datetime
    """What happened before this instant is not wanted, ever."""
    overlap: timedelta
    events: frozenset[str]
    """The types that flows wait for; others need not be read."""


@dataclass(frozen=True, slots=True)
class PollPage:
    """One page of what happened. It is stored in one transaction with its cursor, so none is lost or left out.

    An event that was told before, by this poll, an earlier one or a webhook, is known by its id and starts nothing.
    """

    events: tuple[Event, ...]
    cursor: str
    """Where to go on, in the source's own words."""
    more: bool = False
    """Whether there is more to read at once."""
    missed: str | None = None
    """What the vendor no longer tells of, in one line: a person is told to look for it by hand."""
