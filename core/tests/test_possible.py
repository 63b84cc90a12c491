"""What may be done to a run: one rule, which no face of it contradicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock.bulk import ACTIONS
from crossdock.journal.base import RunRow
from crossdock.offers import offers
from crossdock.possible import Action, why_not
from crossdock.state import FINAL, Status

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(status: Status, **more: Any) -> RunRow:
    known: dict[str, Any] = dict.fromkeys(RunRow.__struct_fields__)
    known |= {"id": "r1", "status": str(status), "dismissed": False, "needs_person": True}
    return RunRow(**known | more)


@pytest.mark.parametrize("status", list(Status))
def test_no_button_offers_what_would_be_refused(status: Status) -> None:
    run = row(status)
    assert [one.action for one in offers(run, replayed=False) if why_not(Action(one.action), run)] == []


@pytest.mark.parametrize("status", list(Status))
def test_a_run_that_has_ended_is_never_cancelled_and_another_always_may_be(status: Status) -> None:
    assert (why_not(Action.CANCEL, row(status)) is None) == (status not in FINAL)


def test_without_its_payload_a_run_is_not_made_again_and_may_be_dismissed() -> None:
    gone = row(Status.DEAD, emptied_at=AT)
    refused = {action for action in Action if why_not(action, gone) is not None}
    assert {Action.REPLAY, Action.EDIT, Action.RETAKE} <= refused
    assert Action.DISMISS not in refused
    assert why_not(Action.REPLAY, row(Status.HELD, emptied_at=None)) is None


def test_what_is_done_to_many_is_something_that_is_done_to_one() -> None:
    assert {Action(name) for name in ACTIONS} <= set(Action)
