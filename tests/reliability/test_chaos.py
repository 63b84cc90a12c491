"""A few seeds of chaos with every test run; `make chaos` plays thousands."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.driver import play, play_alone
from chaos.firm import Firm

SEEDS = 40
SHARE = 5


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_whatever_fails_nothing_is_lost_doubled_or_left_over(first: int) -> None:
    ends = [play_alone(seed).ends for seed in range(first, first + SHARE)]
    assert sum(end["succeeded"] for end in ends) > 0
    assert sum(end["faults"] for end in ends) > 0


async def test_a_seed_is_played_the_same_way_each_time(tmp_path: Path) -> None:
    def told(made: Firm) -> object:
        return made.plan(), made.ends, made.clock()

    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    one, two, other = [await play(seed, folder) for seed, folder in zip((3, 3, 4), folders, strict=True)]
    assert told(one) == told(two) != told(other)
