"""The points themselves: each is in the code, has a row in the matrix, and does nothing unless it is armed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from crash.rows import JOURNAL, situations
from crash.world import ROOT
from crossdock_sdk import crashpoints
from crossdock_sdk.crashpoints import POINTS

POLLING = {"poll.read", "poll.stored"}
"""Reached by another way than a delivery's; `test_polling.py` dies at each."""


def in_the_code() -> Iterator[str]:
    for folder in ("core/src", "sdk/src"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach":
                    first = node.args[0]
                    assert isinstance(first, ast.Constant), f"{path}: a point's name is a literal"
                    yield first.value


def test_every_point_in_the_code_is_named_and_has_a_row() -> None:
    with_rows = {place.point for situation in situations() for place in (*situation.places(), *JOURNAL)}
    assert set(in_the_code()) == set(POINTS) == with_rows | POLLING


def test_a_point_does_nothing_unless_it_is_armed(request: pytest.FixtureRequest) -> None:
    passed: list[tuple[str, str]] = []
    request.addfinalizer(lambda: crashpoints.arm(None))
    crashpoints.reach("run.claimed")
    crashpoints.arm(lambda point, about: passed.append((point, about)))
    crashpoints.reach("step.decided", "apply")
    crashpoints.arm(None)
    crashpoints.reach("run.claimed")
    assert passed == [("step.decided", "apply")]
