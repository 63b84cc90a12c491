"""Which runs are wanted, in the words of whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock.asked import NAMES, runs_asked
from crossdock.journal.base import RunFilter

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_is_empty_counts_as_not_given() -> None:
    empty: dict[str, Any] = dict.fromkeys(NAMES, "") | {"status": [""], "text": "  ", "needs_person": False}
    assert runs_asked(empty, NOW) == RunFilter()


def test_each_word_finds_its_place() -> None:
    words = {"flow": "f", "status": ["dead", "held"], "error": "rejected", "since": "2h", "needs_person": True}
    assert runs_asked(words, NOW) == RunFilter(
        flow="f",
        statuses=("dead", "held"),
        error_kind="rejected",
        since=NOW - timedelta(hours=2),
        needs_person=True,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"since": "yesterday"}, "since: 'yesterday' is no instant"),
        ({"until": "2026-13-01"}, "until: '2026-13-01' is no instant"),
        ({"status": ["rolled_bak"]}, "status: no status is called rolled_bak; did you mean rolled_back?"),
    ],
)
def test_what_means_nothing_is_named(words: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        runs_asked(words, NOW)
