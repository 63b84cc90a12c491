"""The promises, held against what the journal says and what stands at the vendors.

Every reliability test ends in `assert_nothing_lost`, so that each of them checks all promises, and not only the one
that its author thought of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from crossdock_sdk.testing import Simulator

from crossdock.journal.base import Journal
from crossdock.testing import effects, following, histories
from crossdock.testing.story import Place, Story, read_stories


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
    accepted: Collection[tuple[str, str]] = (),
    secrets: Collection[str] = (),
    at_rest: bool = True,
) -> list[Story]:
    """Raise `AssertionError` naming every broken promise, each in one line; returns the runs, oldest first.

    `simulators` are the vendors by connection. `before` is their `standing` when it all began, or when a person made
    something there by hand. `accepted` are `(connection, subject)` of the deliveries that were answered with 2xx.
    `secrets` must be nowhere in the journal. With `at_rest` False runs may still be on their way.
    """
    stories = await read_stories(journal)
    wrong = [
        *histories.lost(stories, accepted),
        *histories.endings(stories, at_rest),
        *histories.numbering(stories),
        *histories.tries(stories),
        *histories.alerts(stories),
        *histories.order(stories),
        *histories.leaks(stories, secrets),
        *effects.against_vendors(stories, simulators, frozenset(before)),
        *await following.origins(stories, journal),
    ]
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} promises are broken:", *wrong, "", *map(str, stories)]))
    return stories
