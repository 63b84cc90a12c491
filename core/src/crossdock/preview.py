"""What a replay would write, leg by leg, before anybody says yes. Nothing is written, and no vendor is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossdock_sdk import Redactor
from msgspec.structs import replace

from crossdock.edits import Change, Edit, applied
from crossdock.forecast import CheckForecast, LegForecast, forecast
from crossdock.heritage import heritage
from crossdock.journal.base import Checkpoint, Journal, RunRow
from crossdock.mapping import Unmapped
from crossdock.operations import NotPossibleError, UnknownRunError, from_leg_on
from crossdock.program import Program
from crossdock.saga import why_held
from crossdock.state import FINAL, LegState, Run, evolve, fold, stays, undecided


@dataclass(frozen=True, slots=True)
class LegPreview:
    """One leg: what it would be sent, and what it comes to.

    `fate` is `write`; `keep` (it stands since an earlier run, as it would be written now); `differs` (it stands, and
    something else would be written now: the run stops for a person); `settle` (a write is in doubt: it is found out
    first); `redo` (what stands is taken back and written anew: it is amiss, or that is wished); `off`; `broken` (its
    input cannot be computed).
    """

    leg: str
    do: str
    fate: str
    input: dict[str, Any] | None = None
    error: str | None = None
    id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """`problem` is what would stop the run before it writes; None if nothing would."""

    run: str
    flow: str
    plan: str
    edits: tuple[Change, ...]
    legs: tuple[LegPreview, ...]
    checks: tuple[CheckForecast, ...]
    unmapped: tuple[Unmapped, ...]
    problem: str | None

    def shown(self) -> dict[str, Any]:
        """As plain data."""
        return {"ok": self.problem is None} | asdict(self)


async def preview(
    journal: Journal,
    program: Program,
    run_id: str,
    edits: Sequence[Edit],
    redactor: Redactor,
    from_leg: str | None = None,
) -> Preview:
    """What the run would write if it were replayed by `program` with these edits, `from_leg` on anew.

    Raises `UnknownRunError`, `NotPossibleError` if it has read no records, `EditError`.
    """
    row = await journal.run(run_id)
    if row is None:
        raise UnknownRunError(f"no run has the id {run_id}")
    run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), await journal.steps(row.id))
    if run.records is None or row.emptied_at is not None:
        raise NotPossibleError(f"run {row.id} has no records to look at: they were never read, or removed by retention")
    records, changes = applied(run.records, edits)
    retake = from_leg_on(program.compiled.flow, from_leg) if from_leg else []
    after = _following(row, run, records, changes, retake)
    found = forecast(program.compiled, program.spec, records, redactor, after)
    legs = tuple(_leg(leg, after.leg(leg.leg), leg.leg in found.changed) for leg in found.legs)
    problem = found.problem or (why_held(replace(after, changed=found.changed)) or {}).get("message")
    plan = program.compiled.plan_hash
    return Preview(row.id, row.flow, plan, changes, legs, found.checks, found.unmapped, problem)


def _following(row: RunRow, run: Run, records: dict[str, Any], changes: Sequence[Change], retake: Sequence[str]) -> Run:
    """The run that would go on, as it stands before it plans: a successor, or the run itself."""
    told = {"records": records, "edits": [asdict(one) for one in changes], "retake": list(retake)}
    edit = Checkpoint("edit", None, "done", told, row.updated_at)
    if row.status not in FINAL:
        return evolve(run, edit)
    inherited = [Checkpoint("inherit", item.leg, item.phase, item.facts(), row.updated_at) for item in heritage(run)]
    new = fold(Run(id="", root=run.root, replay_of=run.id, origin=run.origin), [edit, *inherited])
    # Without edits the flow's own rule of what has changed is the one for replays.
    return new if changes else replace(new, edits=())


def _leg(leg: LegForecast, state: LegState, changed: bool) -> LegPreview:
    receipt = state.receipt or {}
    fate = _fate(leg, state, changed)
    return LegPreview(leg.leg, leg.do, fate, leg.input, leg.error, receipt.get("id"), receipt.get("url"))


def _fate(leg: LegForecast, state: LegState, changed: bool) -> str:
    if not leg.enabled:
        return "off"
    if changed:
        return "differs"
    if stays(state):
        return "keep"
    if leg.error is not None:
        return "broken"
    if undecided(state):
        return "settle"
    return "redo" if state.retake else "write"
