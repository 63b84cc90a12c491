"""Runs as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossdock_sdk import Redo

from crossdock.approval import writes
from crossdock.bulk import Prospect
from crossdock.config.compiled import CompiledFlow
from crossdock.journal.base import Journal, Page, Poll, RunRow, StoredStep
from crossdock.payload import payload_of
from crossdock.program import Program, ProgramError, Programs
from crossdock.saga import LegPlan, Plan, culprit, reports
from crossdock.state import Run, Status, fold
from crossdock.telemetry import RunTrace

_UNSUCCESSFUL = frozenset({Status.HELD, Status.IN_DOUBT, Status.ROLLED_BACK, Status.DEAD, Status.CANCELLED})


_AT_WORK = frozenset({Status.RUNNING, Status.ROLLING_BACK})


def shown_error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """An error without what is only for our own waits."""
    return None if error is None else {name: value for name, value in error.items() if name != "jitter"}


def summary(row: RunRow) -> dict[str, Any]:
    """One run in a list."""
    return {
        "id": row.id,
        "flow": row.flow,
        "key": row.key,
        "status": row.status,
        "leg": row.leg,
        "label": row.label,
        "connection": row.stopped_connection,
        "error": shown_error(row.error),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "due_at": row.due_at,
        "ended_at": row.ended_at,
        "waits_for": row.waits_for,
        "replay_of": row.replay_of,
        "trace_id": RunTrace.decode(row.trace).hex if row.trace else None,
        "payload_removed_at": row.emptied_at,
        "dismissed": row.dismissed,
    }


def page(found: Page[RunRow]) -> dict[str, Any]:
    """A list of runs."""
    return {"items": list(map(summary, found.items)), "next_cursor": found.next_cursor, "partial": found.partial}


def _tells_payload(row: RunRow, wrong: str | None) -> bool:
    return row.emptied_at is None and bool(wrong or row.error or row.status in _UNSUCCESSFUL)


def _origin(run: Run) -> dict[str, Any] | None:
    """The run that this one follows; while that has not ended, `awaited`."""
    if run.origin is not None:
        return {name: run.origin[name] for name in ("run", "flow", "status", "object", "subject")} | {"awaited": False}
    return {"run": run.awaits.run, "awaited": True} if run.awaits and not run.ended else None


def _approval(row: RunRow, run: Run, flow: CompiledFlow | None) -> dict[str, Any] | None:
    """The yes that the run waits for, or got: all that it would write, why it is asked for, and until when."""
    if run.approval is None:
        return None
    timeout = run.approval.get("timeout")
    return {
        "plan": run.approval["plan"],
        "reason": run.approval["reason"],
        "asked_at": run.approval["at"],
        "expires_at": row.due_at if timeout is not None and row.status == Status.AWAITING_APPROVAL else None,
        "on_timeout": run.approval.get("on_timeout"),
        "approved": run.approved == run.approval["plan"],
        "writes": writes(flow, run) if flow and row.status == Status.AWAITING_APPROVAL else [],
    }


def _reports(plan: Plan, run: Run, row: RunRow) -> list[dict[str, Any]]:
    """How each leg stands; a write whose reply is still to come is no doubt while somebody waits for it."""
    told = [report.model_dump() for report in reports(plan, run)]
    for leg in told if row.status in _AT_WORK else ():
        leg["state"] = "under way" if leg["state"] == "in doubt" else leg["state"]
    return told


async def detail(journal: Journal, programs: Programs, run_id: str) -> dict[str, Any] | None:
    """One run as `told`; None if there is no such run."""
    history = await journal.history(run_id)
    return None if history is None else await told(journal, programs, *history)


async def told(journal: Journal, programs: Programs, row: RunRow, steps: Sequence[StoredStep]) -> dict[str, Any]:
    """One run with its event, its steps, how each leg stands, and its replay.

    `payload` is what the leg at which it went wrong was given, or the records if that was before any leg; None once
    retention has removed it.
    """
    event = await journal.event(row.event_seq)
    replay = await journal.replay_of(row.id)
    run = fold(Run(id=row.id, root=row.root, replay_of=row.replay_of), steps)
    program: Program | None = None
    try:
        program = await programs.get(row.plan_hash)
        legs = _reports(program.plan, run, row)
        wrong = culprit(program.plan, run)
    except ProgramError:
        # What the flow is to do cannot be told without its connectors; what stands can.
        known = Plan(tuple(LegPlan(name, Redo.UPSERT) for name in run.legs))
        legs = _reports(known, run, row)
        wrong = row.leg
    return summary(row) | {
        "replayed_by": replay.id if replay else None,
        "origin": _origin(run),
        "takeovers": row.takeovers,
        "edits": list(run.edits),
        "records": run.records,
        "approval": _approval(row, run, program.compiled if program else None),
        "event": None
        if event is None
        else {
            "id": event.id,
            "connection": event.connection,
            "type": event.type,
            "subject": event.subject,
            "received_at": event.received_at,
            "via": event.via,
            "occurred_at": event.occurred_at,
            "data": event.data,
        },
        "legs": legs,
        "payload": payload_of(run, wrong) if _tells_payload(row, wrong) else None,
        "steps": [
            {"seq": s.seq, "kind": s.kind, "leg": s.leg, "phase": s.phase, "at": s.at, "data": s.data} for s in steps
        ],
    }


def poll(state: Poll) -> dict[str, Any]:
    """How far a source has been read by polling."""
    return {
        "read_at": state.read_at,
        "next": state.due_at,
        "reading": state.owner is not None,
        "failures": state.failures,
        "reason": state.reason,
        "from": state.since,
    }


def prospect(found: Prospect) -> dict[str, Any]:
    """What a bulk job would come to."""
    first = [summary(row) for row in found.first]
    return {"fit": found.fit, "left_out": found.left_out, "first": first, "partial": found.partial}
