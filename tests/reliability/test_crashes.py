"""Every place where a process may die × how it dies × what had happened before; then all promises are checked.

The suite runs a sample; `make crash` runs it all.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from crash.child import Place
from crash.rows import JOURNAL, WAITS, Situation, rows_of, situations
from crash.world import Nursery, World, firm, nursery

SITUATIONS = situations()
STRIDE = 1 if os.environ.get("CROSSDOCK_TEST_CRASHES") == "all" else 29
"""Of so many cases the suite runs one."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def births() -> AsyncIterator[Nursery]:
    async with nursery() as one:
        yield one


async def lived_through(situation: Situation, world: World) -> None:
    if situation.refused:
        world.refuse_tasks()
    for death in situation.deaths:
        assert await world.live(death), f"{death} is not reached"


def cases() -> list[tuple[Situation, Place, str]]:
    every = [
        (situation, place, how)
        for situation in SITUATIONS
        for place in (*situation.places(), *JOURNAL)
        for how in ("kill", "raise")
    ]
    firsts = {case[1].point: case for case in reversed(every)}
    return [case for n, case in enumerate(every) if n % STRIDE == 0 or case in firsts.values()]


@pytest.mark.parametrize(
    ("situation", "place", "how"), [pytest.param(*c, id=f"{c[0].name}-{c[1]}-{c[2]}") for c in cases()]
)
async def test_nothing_is_lost(situation: Situation, place: Place, how: str, births: Nursery, tmp_path: Path) -> None:
    async with firm(births, tmp_path) as world:
        await lived_through(situation, world)
        reached = await world.live(place, how)
        may_be_missed = place in JOURNAL or (place.point in WAITS and place.nth > 1)
        assert reached or may_be_missed, f"{place} is not reached"
        await world.live()
        if world.lost_its_token():
            await world.reconnect()
            await world.live()
        assert (await world.check()).row.status == situation.ending


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.name)
async def test_every_place_that_is_reached_has_a_row(situation: Situation, births: Nursery, tmp_path: Path) -> None:
    async with firm(births, tmp_path) as world:
        await lived_through(situation, world)
        await world.live()
        reached = rows_of(place for place in world.reached() if not place.point.startswith("journal."))
        told = yaml.safe_dump({situation.name: {"rows": reached}}, sort_keys=False, default_flow_style=None, width=110)
        assert situation.has(reached), f"tests/reliability/crashes.yaml must say:\n{told}"
        assert (await world.check()).row.status == situation.ending
