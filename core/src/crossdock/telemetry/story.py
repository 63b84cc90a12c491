"""A run's spans told from its checkpoints, for a trace whose first teller died."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crossdock.journal.base import StoredEvent, StoredStep
from crossdock.telemetry.ids import PastSpan

_WITH_INTENT = frozenset({"apply", "undo"})
_SPANNED = frozenset({"hydrate", "plan", "apply", "recover", "undo"})


def story(event: StoredEvent, steps: Sequence[StoredStep]) -> tuple[PastSpan, list[PastSpan]]:
    """The webhook's span and those of all steps, with the ids that the live spans had."""
    webhook = PastSpan(f"webhook {event.connection}", event.received_at, event.received_at)
    spans: list[PastSpan] = []
    begun: StoredStep | None = None
    before = event.received_at
    for step in steps:
        if step.kind in _SPANNED:
            if begun and (step.phase == "intent" or not _same(begun, step)):
                spans.append(_cut_off(begun, step.at))
                begun = None
            if step.phase == "intent":
                begun = step
            else:
                spans.append(_finished(step, begun, before))
                begun = None
        before = step.at
    return webhook, spans + ([_cut_off(begun, before)] if begun else [])


def interrupted(steps: Sequence[StoredStep], now: datetime) -> list[PastSpan]:
    """The span of the step that was in hand when its process died, if any."""
    begun: StoredStep | None = None
    for step in steps:
        if step.kind in _WITH_INTENT:
            begun = step if step.phase == "intent" else None
        elif step.kind == "recover":
            begun = None
    return [_cut_off(begun, now)] if begun else []


def _finished(step: StoredStep, begun: StoredStep | None, before: datetime) -> PastSpan:
    error = step.data.get("error", {}).get("message", "failed") if step.phase == "failed" else None
    seq, start = (begun.seq, begun.at) if begun else (step.seq, before)
    return PastSpan(_title(step), start, step.at, seq, _attributes(step), error)


def _same(intent: StoredStep, step: StoredStep) -> bool:
    return (intent.kind, intent.leg) == (step.kind, step.leg)


def _cut_off(step: StoredStep, end: datetime) -> PastSpan:
    return PastSpan(_title(step), step.at, end, step.seq, _attributes(step), "interrupted: the process ended")


def _title(step: StoredStep) -> str:
    return f"{step.kind} {step.leg}" if step.leg else step.kind


def _attributes(step: StoredStep) -> dict[str, str]:
    named = {"crossdock.run": step.run_id, "crossdock.step": step.kind, "crossdock.leg": step.leg}
    return {k: v for k, v in named.items() if v is not None}
