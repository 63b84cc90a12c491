"""What a person may do to a run as it stands: the one rule for pages, jobs and the acts themselves.

Buttons in a chat (`offers.py`) offer some of it.
"""

from __future__ import annotations

from enum import StrEnum

from crossdock.journal.base import RunBrief, RunRow
from crossdock.state import FINAL, Status


class Action(StrEnum):
    """What there is to do."""

    REPLAY = "replay"
    """Run an ended run's event again, or let a stopped run go on."""
    EDIT = "edit"
    """Change its records, and replay it."""
    RETAKE = "retake"
    """Take back what a leg and those after it made, and make it again."""
    CANCEL = "cancel"
    APPROVE = "approve"
    REJECT = "reject"
    DISMISS = "dismiss"
    RESOLVE = "resolve"


FAILED = frozenset({Status.DEAD, Status.ROLLED_BACK})
RESUMABLE = frozenset({Status.HELD, Status.IN_DOUBT, Status.WAITING})
"""A run that goes on under its own id."""
_REPLAYABLE = FAILED | {Status.CANCELLED, Status.IGNORED}
_ALLOWED = {
    Action.REPLAY: _REPLAYABLE | RESUMABLE,
    Action.EDIT: _REPLAYABLE | {Status.HELD},
    Action.RETAKE: _REPLAYABLE | {Status.HELD, Status.SUCCEEDED},
    Action.CANCEL: frozenset(Status) - FINAL,
    Action.APPROVE: frozenset({Status.AWAITING_APPROVAL}),
    Action.REJECT: frozenset({Status.AWAITING_APPROVAL}),
    Action.DISMISS: FAILED,
    Action.RESOLVE: frozenset({Status.IN_DOUBT}),
}
_AT_WORK = "it is still at work; wait until it stops or ends, or cancel it"
_ENDED = "it has ended already"
_NOBODY = "it waits for nobody's yes"
_OTHERWISE = {
    Action.REPLAY: _AT_WORK,
    Action.EDIT: _AT_WORK,
    Action.RETAKE: _AT_WORK,
    Action.CANCEL: f"{_ENDED}; nothing is left to cancel",
    Action.APPROVE: _NOBODY,
    Action.REJECT: _NOBODY,
    Action.DISMISS: "it has not failed; there is nothing to dismiss",
    Action.RESOLVE: "nothing of it is in doubt",
}
_PENDING = "settle the doubt first, for what is in doubt is repeated exactly as it was sent"
_ALL_THERE = "everything it should make is there; change it at the vendor, or replay it from a leg to make that anew"
_WHY_NOT = {
    (Action.REPLAY, Status.SUCCEEDED): _ALL_THERE,
    (Action.EDIT, Status.SUCCEEDED): _ALL_THERE,
    (Action.REPLAY, Status.AWAITING_APPROVAL): "it waits for a person's yes; approve or reject it",
    (Action.EDIT, Status.IN_DOUBT): _PENDING,
    (Action.RETAKE, Status.IN_DOUBT): _PENDING,
}


def why_not(action: Action, row: RunRow | RunBrief) -> str | None:
    """Why this cannot be done to the run, in words that go on from `run … is …:`; None if it can.

    Whether it has been replayed is found when it is tried: a run has one replay at most.
    """
    status = Status(row.status)
    if status not in _ALLOWED[action]:
        return _WHY_NOT.get((action, status)) or _OTHERWISE[action]
    if action is Action.DISMISS and not row.needs_person:
        return "it was replayed or dismissed already"
    renewed = action in {Action.EDIT, Action.RETAKE} or (action is Action.REPLAY and status in FINAL)
    if renewed and row.emptied_at is not None:
        return "its payload was removed by retention; let the record change at its source again, or see to it by hand"
    return None
