"""How long the journal keeps what, as the routing file says it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from crossdock.config.load import ConfigProblems, load, load_retention
from crossdock.plugins import Registry

REST = "version: 1\nconnections: {}\nflows: {}\n"


def test_without_a_word_payloads_are_kept_a_month_and_runs_a_year(registry: Registry) -> None:
    kept = load(REST, env={}, registry=registry).routing.retention
    assert (kept.payloads, kept.runs) == (timedelta(days=30), timedelta(days=365))


def test_what_the_file_says_counts_and_one_age_alone_is_enough(registry: Registry) -> None:
    kept = load(REST + 'retention: {payloads: "${AGE}"}\n', env={"AGE": "12h"}, registry=registry).routing.retention
    assert (kept.payloads, kept.runs) == (timedelta(hours=12), timedelta(days=365))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{payload: 3d}", "4: retention.payload: unknown key payload; did you mean payloads?"),
        ("{runs: soon}", "4: retention.runs: 'soon' is no duration; write it like 2s, 10m, 1h30m or 500ms"),
        ("{payloads: 90d, runs: 30d}", "retention: payloads is longer than runs; a payload cannot outlive its run"),
        ("[30d]", "4: retention: retention must be a mapping of durations"),
        ("{runs: '${GONE}'}", "the environment variable GONE is not set"),
    ],
)
def test_a_mistake_is_told_with_its_place(registry: Registry, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "crossdock.yaml"
    path.write_text(REST + f"retention: {text}\n")
    for mistaken in (
        lambda: load(path, env={}, registry=registry),
        lambda: load_retention(path, env={}),
    ):
        with pytest.raises(ConfigProblems) as caught:
            mistaken()
        [problem] = caught.value.problems
        assert told in str(problem)


def test_retention_alone_needs_nothing_else_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "crossdock.yaml"
    path.write_text("connections: {crm: {connector: gone, token: '${UNSET}'}}\nflows: 7\nretention: {payloads: 1d}\n")
    assert load_retention(path, env={}).payloads == timedelta(days=1)
    with pytest.raises(ConfigProblems, match="cannot be read"):
        load_retention(tmp_path / "nowhere.yaml", env={})
