"""`notes`, `group` and `operators` of a notifier's connection."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from crossdock.config.load import load
from crossdock.config.problems import ConfigProblems
from crossdock.config.schema import routing_schema
from crossdock.config.telling import Telling
from crossdock.plugins import load_plugins

REGISTRY = load_plugins(entry_points=())


def told(**settings: Any) -> Telling:
    text = yaml.safe_dump({"version": 1, "connections": {"log": {"connector": "log", **settings}}, "flows": {}})
    return load(text, env={}, registry=REGISTRY).connections["log"].telling


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, Telling()),
        ({"group": "off"}, Telling(group=timedelta())),
        ({"group": False, "notes": False}, Telling(group=timedelta(), notes=False)),
        ({"group": "1h", "operators": ["U1"]}, Telling(group=timedelta(hours=1), operators=("U1",))),
        ({"operators": []}, Telling(operators=())),
    ],
)
def test_what_is_written_is_meant(settings: dict[str, Any], wanted: Telling) -> None:
    assert told(**settings) == wanted


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"group": "soon"}, "connections.log.group: 'soon' is no duration"),
        ({"notes": "perhaps"}, "connections.log.notes: "),
        ({"operators": "U1"}, "connections.log.operators: "),
        ({"note": True}, "did you mean notes"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigProblems) as wrong:
        told(**settings)
    assert said in "\n".join(map(str, wrong.value.problems))


def test_editors_know_the_keys() -> None:
    [of_log] = [
        one["then"]["properties"]
        for one in routing_schema(REGISTRY)["$defs"]["ConnectionEntry"]["allOf"]
        if one["if"]["properties"]["connector"]["const"] == "log"
    ]
    assert {"notes", "group", "operators"} <= of_log.keys()
    assert "poll" not in of_log
