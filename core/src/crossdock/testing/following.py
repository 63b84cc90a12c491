"""What must hold of the runs of flows that follow others. Tells what is broken, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from crossdock.following import stands
from crossdock.journal.base import Journal, StoredStep
from crossdock.state import Run
from crossdock.testing.story import Story


async def origins(stories: Sequence[Story], journal: Journal) -> list[str]:
    """Who follows has followed the run that made it, and nobody whose object a run made was told that none did."""
    by_id = {story.row.id: story for story in stories}
    wrong: list[str] = []
    for story in stories:
        if story.flow.follow is None:
            continue
        wrong += _followed(story, by_id)
        last = _last_look(story)
        if last is not None and last.phase == "failed" and "object" in last.data:
            wrong += await _missed(story, last, stories, journal)
    return wrong


def _followed(story: Story, by_id: Mapping[str, Story]) -> Iterator[str]:
    """Nothing was written before the origin was known, and that had ended by then, with those receipts."""
    name = f"run {story.row.id}"
    wrote = next((number for number, step in enumerate(story.steps) if step.kind == "apply"), None)
    if wrote is None:
        return
    before = story.after(wrote)
    if before.origin is None:
        yield f"{name} follows {story.flow.follow}, and wrote before it knew its origin"
        return
    origin = by_id.get(before.origin["run"])
    if origin is None:
        # Retention may have deleted it since.
        return
    if origin.row.flow != story.flow.follow:
        yield f"{name} follows a run of {origin.row.flow}, and its flow follows {story.flow.follow}"
    ended = _end(origin)
    if ended is None or ended > story.steps[wrote].at:
        yield f"{name} wrote before its origin, run {origin.row.id}, had ended"
    yield from _receipts(name, before, origin.run)


def _receipts(name: str, run: Run, origin: Run) -> Iterator[str]:
    known = {leg: kept["receipt"] for leg, kept in (run.origin or {}).get("legs", {}).items()}
    for leg, state in origin.legs.items():
        if stands(state) and known.get(leg, {}).get("id") != (state.receipt or {}).get("id"):
            yield f"{name} knows {known.get(leg)} of {leg} of its origin, which says {state.receipt}"


async def _missed(story: Story, look: StoredStep, stories: Sequence[Story], journal: Journal) -> list[str]:
    """Whether a run that found no origin was about what a run made, and what stood then as it does now."""
    about = look.data["object"], look.data["subject"]
    row = await journal.origin(story.flow.source, *about, story.flow.follow or "")
    if row is None or "account" in look.data:
        return []
    # Of a chain of replays the newest run speaks.
    maker = next((other for other in stories if other.row.root == row.root and not other.replayed), None)
    if maker is None or not any(
        stands(leg) and (leg.receipt or {})["id"] == about[1] for leg in maker.run.legs.values()
    ):
        return []
    chain = [other for other in stories if other.row.root == row.root]
    # What an event tells of had been tried before it came.
    tried = [step.at for other in chain for step in other.steps if (step.kind, step.phase) == ("apply", "intent")]
    if not tried or min(tried) > story.event.received_at:
        return []
    return [f"run {story.row.id} found no origin, and run {maker.row.id} made {' '.join(about)}"]


def _last_look(story: Story) -> StoredStep | None:
    return next((step for step in reversed(story.steps) if step.kind == "origin"), None)


def _end(story: Story) -> datetime | None:
    last = story.steps[-1] if story.steps else None
    return last.at if last is not None and last.kind == "end" else None
