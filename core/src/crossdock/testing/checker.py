"""The promises, held against what the journal says and what stands at the vendors.

Every reliability test ends in `assert_nothing_lost`, so that each of them checks all promises, and not only the one
that its author thought of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from crossdock_sdk.testing import Simulator

from crossdock.journal.base import Journal
from crossdock.testing import effects, following, histories, telling
from crossdock.testing.story import Place, Story, read_stories
from crossdock.testing.tables import Tables, leaks, read_tables
from crossdock.testing.tries import tries


def standing(simulators: Mapping[str, Simulator]) -> set[Place]:
    """What stands at the vendors now: remember it before the first event, for none of it is ours."""
    return {
        Place(connection, action, one.id)
        for connection, simulator in simulators.items()
        for action, objects in simulator.standing().items()
        for one in objects
    }


async def assert_nothing_lost(
    journal: Journal,
    simulators: Mapping[str, Simulator],
    *,
    before: Collection[Place] = (),
    gone: Collection[Place] = (),
    accepted: Iterable[tuple[str, str]] = (),
    events: Iterable[tuple[str, str]] = (),
    secrets: Collection[str] = (),
    failing: Collection[str] = (),
    at_rest: bool = True,
) -> list[Story]:
    """Raise `AssertionError` naming every broken promise, each in one line; returns the runs, oldest first.

    `simulators` are the vendors by connection; without any, only what the journal proves is held. `before` is their
    `standing` when it all began, or when a person made something there by hand; `gone` is what a person has taken away
    there. `accepted` are `(connection, subject)`
    of what was answered with 2xx, once for each event; `events` are `(connection, event id)` where those are known.
    `secrets` must be nowhere in the journal, nor in its files. With `at_rest` False runs may still be on their way;
    otherwise all alerts have arrived, but for those of the notifiers that are still `failing`.
    """
    stories, blocked = await read_stories(journal), await journal.blocked()
    path: Path | None = getattr(journal, "path", None)
    tables = read_tables(path) if path else Tables()
    wrong = [
        *histories.lost(tables.arrivals, accepted, events),
        *histories.endings(stories, blocked, at_rest),
        *histories.numbering(stories),
        *histories.order(stories),
        *tries(stories),
        *telling.stops(stories),
        *telling.recoveries(stories),
        *telling.troubles(stories),
        *telling.connections(stories, tables),
        *(telling.undelivered(tables, failing) if at_rest else ()),
        *(leaks(path, secrets) if path else ()),
        *effects.against_vendors(stories, simulators, frozenset(before), frozenset(gone)),
        *await following.origins(stories, journal),
    ]
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} promises are broken:", *wrong, "", *map(str, stories)]))
    return stories
