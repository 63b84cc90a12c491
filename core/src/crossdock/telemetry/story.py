"""A run's spans told from its checkpoints, for a trace whose first teller died."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from crossdock.journal.base import RunRow, StoredEvent, StoredStep
from crossdock.saga import Apply, Decision, Hydrate, Recover, Verify
from crossdock.state import Status
from crossdock.telemetry.ids import PastSpan

_SPANNED = frozenset({"hydrate", "plan", "apply", "recover", "undo", "verify"})
_CUT_OFF = "interrupted: the process ended"


def root(event: StoredEvent, row: RunRow) -> PastSpan:
    """What the run hangs from: the delivery that started it, or the wish to replay an earlier run."""
    if row.replay_of is None and event.via == "poll":
        return PastSpan(f"poll {event.connection}", event.received_at, row.created_at)
    if row.replay_of is None:
        return webhook(event.connection, event.received_at, row.created_at, {"http.response.status_code": 200})
    return PastSpan("replay", row.created_at, row.created_at, attributes={"crossdock.replay_of": row.replay_of})


def webhook(connection: str, start: datetime, end: datetime, answered: dict[str, Any]) -> PastSpan:
    """One delivery, by the HTTP semantic conventions."""
    asked = {"http.request.method": "POST", "url.path": f"/webhooks/{connection}"}
    return PastSpan(f"webhook {connection}", start, end, attributes=asked | answered)


def run_span(flow: str, run_id: str, status: str, start: datetime, end: datetime) -> PastSpan:
    """The run's own span."""
    named = {"crossdock.flow": flow, "crossdock.run": run_id, "crossdock.status": status}
    well = status in {Status.SUCCEEDED, Status.IGNORED}
    return PastSpan(f"run {flow}", start, end, attributes=named, error=None if well else status)


def in_hand(decision: Decision, looks_first: Container[str]) -> str | None:
    """The title of a step that calls a vendor and has no intent in the journal while it does.

    `looks_first`: the legs that read what stands before they write.
    """
    match decision:
        case Hydrate():
            return "hydrate"
        case Recover(leg):
            return f"recover {leg}"
        case Verify(leg):
            return f"verify {leg}"
        case Apply(leg, redo=False) if leg in looks_first:
            return f"before {leg}"
        case _:
            return None


def story(steps: Sequence[StoredStep], began: datetime) -> list[PastSpan]:
    """The spans of all steps, with the ids that the live spans had. `began`: when the run came to be.

    A step that no checkpoint finished ends where its successor took the run over: what the vendor was asked
    meanwhile may have been told already, and needs its parent.
    """
    spans: list[PastSpan] = []
    begun: StoredStep | None = None
    before = began
    for step in steps:
        if step.kind == "takeover":
            spans += _cut_off(begun, step, before)
            begun = None
        elif step.kind in _SPANNED and step.phase == "intent":
            if begun is not None:
                # Its outcome could not be written, and nobody took the run over: it was asked again.
                spans.append(PastSpan(_title(begun), begun.at, step.at, begun.seq, _attributes(begun), _CUT_OFF))
            if step.data.get("looked"):
                spans.append(_look(step, before))
            begun = step
        elif step.data.get("in") == "before":
            spans.append(_look(step, before))
        elif step.kind in _SPANNED:
            if begun is not None and not _same(begun, step):
                spans.append(PastSpan(_title(begun), begun.at, step.at, begun.seq, _attributes(begun), _CUT_OFF))
                begun = None
            spans.append(_finished(step, begun, before))
            begun = None
        before = step.at
    return spans


def _finished(step: StoredStep, begun: StoredStep | None, before: datetime) -> PastSpan:
    error = step.data.get("error", {}).get("message", "failed") if step.phase == "failed" else None
    seq, start = (begun.seq, begun.at) if begun else (step.seq, before)
    return PastSpan(_title(step), start, step.at, seq, _attributes(step), error)


def _look(step: StoredStep, before: datetime) -> PastSpan:
    """What a leg read before it wrote: told under the number of its intent, negated."""
    error = step.data["error"]["message"] if step.phase == "failed" else None
    named = _attributes(step) | {"crossdock.step": "before"}
    return PastSpan(f"before {step.leg}", before, step.at, -step.seq, named, error)


def _same(intent: StoredStep, step: StoredStep) -> bool:
    return (intent.kind, intent.leg) == (step.kind, step.leg)


def _cut_off(begun: StoredStep | None, takeover: StoredStep, before: datetime) -> list[PastSpan]:
    if begun is not None:
        return [PastSpan(_title(begun), begun.at, takeover.at, begun.seq, _attributes(begun), _CUT_OFF)]
    title = takeover.data.get("in_hand")
    if title is None:
        return []
    kind, _, leg = title.partition(" ")
    # The number that its checkpoint would have had, and its span did have, is the takeover's.
    named = {"crossdock.run": takeover.run_id, "crossdock.step": kind} | ({"crossdock.leg": leg} if leg else {})
    seq = -takeover.seq if kind == "before" else takeover.seq
    return [PastSpan(title, before, takeover.at, seq, named, _CUT_OFF)]


def _title(step: StoredStep) -> str:
    return f"{step.kind} {step.leg}" if step.leg else step.kind


def _attributes(step: StoredStep) -> dict[str, str]:
    named = {"crossdock.run": step.run_id, "crossdock.step": step.kind, "crossdock.leg": step.leg}
    return {k: v for k, v in named.items() if v is not None}
