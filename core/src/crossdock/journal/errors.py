"""What a journal raises."""

from __future__ import annotations

from datetime import datetime


class JournalError(Exception):
    """The store failed, or was asked for what it does not hold; one line for a person.

    A failed commit is reported so, and nothing of it is stored as far as the store can tell.
    """


class JournalFull(JournalError):  # noqa: N818 - it names what happened
    """There is no room for what was to be written. Nothing was written; free space and it goes on."""


class Declined(JournalError):  # noqa: N818 - it names what happened
    """What was asked for cannot be had as things stand. Nothing was written."""


class LeaseLost(Declined):
    """The claim is void: the run ended, or somebody else performs it. Stop at once."""

    def __init__(self, run_id: str, fence: int) -> None:
        super().__init__(f"run {run_id}: claim {fence} is void; another performer has the run, or it ended")
        self.run_id = run_id
        self.fence = fence


class Overtaken(Declined):
    """A person has added a step to the run meanwhile; read and decide again."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id}: a step was added meanwhile")
        self.run_id = run_id


class LockHeld(Declined):
    """Another run has the lock; wait with `waits_for=name`."""

    def __init__(self, name: str, run_id: str) -> None:
        super().__init__(f"lock {name} is held by run {run_id}")
        self.name = name
        self.run_id = run_id


class AlreadyReplayed(Declined):
    """The run has a replay: `existing`. Replay that one instead."""

    def __init__(self, run_id: str, existing: str) -> None:
        super().__init__(f"run {run_id} has been replayed as {existing}; replay that run instead")
        self.run_id = run_id
        self.existing = existing


class PayloadRemoved(Declined):
    """Retention has removed what the run was about, so that it cannot be replayed."""

    def __init__(self, run_id: str, at: datetime) -> None:
        super().__init__(
            f"the payload of run {run_id} was removed by retention on {at:%Y-%m-%d}, so it cannot be replayed;"
            " let the record change at its source again, or see to it by hand"
        )
        self.run_id = run_id


class InvalidCursor(JournalError):  # noqa: N818 - it names what happened
    """The cursor was not given out by this store for these filters; start from the first page."""

    def __init__(self) -> None:
        super().__init__("the cursor is not valid for this list; start again without a cursor")
