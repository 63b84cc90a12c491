"""All that the journal holds of a run, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from crossdock.config.models import Flow, Leg
from crossdock.journal.base import Journal, RunRow, StoredAlert, StoredEvent, StoredStep
from crossdock.state import LegState, Run, fold

_PAGE = 200


class Place(NamedTuple):
    """One object at a vendor: the connection, the action that makes or writes it, its id."""

    connection: str
    action: str
    id: str


@dataclass(frozen=True)
class Story:
    """One run: its row, its steps, the event it goes through and the alerts that it caused."""

    row: RunRow
    steps: tuple[StoredStep, ...]
    event: StoredEvent
    flow: Flow
    alerts: tuple[StoredAlert, ...]
    replayed: bool
    """Another run has taken over what this one left."""

    @cached_property
    def run(self) -> Run:
        return self.after(len(self.steps))

    def after(self, count: int) -> Run:
        """The run after so many of its steps."""
        return fold(Run(id=self.row.id, root=self.row.root, replay_of=self.row.replay_of), self.steps[:count])

    @property
    def legs(self) -> list[Leg]:
        return [leg for leg in self.flow.legs if leg.enabled]

    def place(self, leg: LegState) -> Place | None:
        """What the leg's receipt names."""
        if leg.receipt is None or leg.do is None:
            return None
        connection, _, action = leg.do.partition(".")
        return Place(connection, action, str(leg.receipt["id"]))

    def __str__(self) -> str:
        told = " · ".join(f"{s.kind}{f' {s.leg}' if s.leg else ''} {s.phase}{_why(s.data)}" for s in self.steps)
        return f"run {self.row.id} of {self.row.key} is {self.row.status}: {told}"


def _why(data: dict[str, Any]) -> str:
    error = data.get("error")
    return f" ({error.get('kind')}: {error.get('message')})" if isinstance(error, dict) else ""


async def read_stories(journal: Journal) -> list[Story]:
    """All runs, oldest first."""
    rows: list[RunRow] = []
    cursor = None
    while True:
        page = await journal.runs(limit=_PAGE, cursor=cursor)
        rows += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    parents = {row.replay_of for row in rows}
    flows: dict[str, Flow] = {}
    stories = []
    for row in reversed(rows):
        if row.plan_hash not in flows:
            flows[row.plan_hash] = Flow.from_plan(await journal.plan(row.plan_hash))
        event = await journal.event(row.event_seq)
        if event is None:
            raise AssertionError(f"run {row.id}: its event {row.event_seq} is gone")
        steps, told = await journal.steps(row.id), await journal.alerts_of(row.id)
        stories.append(Story(row, tuple(steps), event, flows[row.plan_hash], tuple(told), row.id in parents))
    return stories
