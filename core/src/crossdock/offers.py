"""What a person may do at a press of a button about a run, and the state that the button is good for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossdock.approval import asked_for
from crossdock.journal.base import RunRow, StoredStep
from crossdock.state import Run, Status, fold

_WISHES = frozenset({"resume", "cancel", "resolve", "edit", "retake", "approve", "reject"})
_TURNS = _WISHES | {"stop", "end", "reload", "reconnect", "awaited"}
"""Steps with which a run comes to stand somewhere, or leaves it; that it asks the vendor again changes nothing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A button: the action's name, its label, and `primary`, `danger` or None."""

    action: str
    label: str
    style: str | None = None


_REPLAY = Offer("replay", "Replay", "primary")
_CANCEL = Offer("cancel", "Cancel", "danger")
_OFFERS: dict[str, tuple[Offer, ...]] = {
    Status.DEAD: (_REPLAY,),
    Status.ROLLED_BACK: (_REPLAY,),
    Status.HELD: (_REPLAY, _CANCEL),
    Status.IN_DOUBT: (_CANCEL,),
    Status.AWAITING_APPROVAL: (Offer("approve", "Approve", "primary"), Offer("reject", "Reject", "danger")),
}


def offers(row: RunRow, *, replayed: bool) -> tuple[Offer, ...]:
    """What may be done to the run as it stands."""
    return () if replayed or row.emptied_at is not None else _OFFERS.get(row.status, ())


def state_of(row: RunRow, steps: Sequence[StoredStep]) -> str:
    """Where the run stands: the same until it moves or a person acts on it; where it waits for a yes, the plan."""
    if row.status == Status.AWAITING_APPROVAL:
        run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), steps)
        return f"{row.status}:{asked_for(run)}"
    turn = next((step.seq for step in reversed(steps) if step.kind in _TURNS), 0)
    return f"{row.status}:{turn}"
