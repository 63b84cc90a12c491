"""A run told line by line from its checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: `at` as in the journal, `after` seconds since the event came in."""

    at: str
    after: float
    leg: str
    text: str
    bad: bool = False
    step: Shown | None = None
    """The checkpoint that it tells of; None for the event."""
    attempt: int = 0


def told(run: Shown) -> list[Line]:
    """The timeline of a run as `GET /api/v1/runs/{id}` shows it."""
    return list(_lines(run))


def _lines(run: Shown) -> Iterator[Line]:
    event = run.get("event")
    begin = datetime.fromisoformat((event or {}).get("received_at") or run["created_at"])

    def line(at: str, leg: str | None, text: str, *, bad: bool = False, **more: Any) -> Line:
        return Line(at, (datetime.fromisoformat(at) - begin).total_seconds(), leg or "", text, bad, **more)

    if event:
        yield line(event["received_at"], None, f"{event['connection']} told of {event['type']} {event['subject']}")
    tries: Counter[str] = Counter()
    steps = run.get("steps", [])
    for step, following in zip_longest(steps, steps[1:]):
        if step["kind"] == "apply" and step["phase"] in ("intent",):
            tries[step["leg"]] += 1
        if step["phase"] == "intent" and _settles(following, step):
            continue
        attempt = tries[step["leg"]] if step["kind"] == "apply" else 0
        bad = step["phase"] in ("failed", "dead", "intent")
        yield line(step["at"], step["leg"], sentence(step, attempt), bad=bad, step=step, attempt=attempt)


def _settles(following: Shown | None, intent: Shown) -> bool:
    return following is not None and (following["kind"], following["leg"]) == (intent["kind"], intent["leg"])


def sentence(step: Shown, attempt: int = 1) -> str:
    """What one checkpoint says."""
    data = step.get("data") or {}
    if step["phase"] == "failed":
        return _failure(step["kind"], data.get("error") or {}, attempt)
    teller = _TELLERS.get(step["kind"])
    return teller(step["phase"], data) + _nth(attempt) if teller else f"{step['kind']} {step['phase']}"


def error_text(error: Shown) -> str:
    """An error with the vendor's code and field where known."""
    known = [f"{name} {error[name]}" for name in ("code", "field", "status", "request_id") if error.get(name)]
    message = str(error.get("message", "unknown error"))
    return f"{message} ({', '.join(known)})" if known else message


def _failure(kind: str, error: Shown, attempt: int) -> str:
    if kind == "origin" and error.get("kind") == "void":
        return f"nothing to follow: {error.get('message')}"
    what = {"hydrate": "reading", "plan": "planning", "apply": "write", "recover": "asking", "undo": "undoing"}
    if error.get("kind") == "throttled":
        return f"{what.get(kind, kind)} is put off: {error_text(error)}"
    return f"{what.get(kind, kind)}{_nth(attempt)} failed ({error.get('kind', 'error')}): {error_text(error)}"


def _nth(attempt: int) -> str:
    return f" (try {attempt})" if attempt > 1 else ""


def receipt_text(receipt: Shown) -> str:
    """What a write made, such as `1041, number INV-1041, total 1410.02`."""
    extras = [f"{name} {receipt[name]}" for name in ("number", "name", "total") if receipt.get(name) not in (None, "")]
    return ", ".join([str(receipt.get("id")), *extras])


def _applied(phase: str, data: Shown) -> str:
    if phase == "intent":
        return "sent; no outcome was recorded"
    receipt = data.get("receipt") or {}
    return f"{'wrote' if receipt.get('created', True) else 'found'} {receipt_text(receipt)}"


def _recovered(_: str, data: Shown) -> str:
    receipt = data.get("receipt")
    return f"asked: it is there, {receipt_text(receipt)}" if receipt else "asked: it is not there"


def _undone(phase: str, data: Shown) -> str:
    if phase == "intent":
        return f"undoing {data.get('id')}; no outcome was recorded"
    if phase == "kept":
        return f"kept {data.get('id')}: another run uses it ({', '.join(map(str, data.get('used_by', [])))})"
    return f"undone {data.get('id')}" if data.get("touched", True) else f"left {data.get('id')} as it was"


def _traced(phase: str, data: Shown) -> str:
    what, run = f"{data.get('object')} {data.get('subject')}", f"run {data.get('run')} of {data.get('flow')}"
    if phase == "awaited":
        return f"waits for {run}, which {'made' if data.get('made') else 'may have made'} {what}"
    return f"follows {run}, which made {what} and ended {data.get('status')}"


def _planned(_: str, data: Shown) -> str:
    again = data.get("again")
    text = f"planned {len(data.get('inputs', {}))} writes; guard and checks hold"
    text += "".join(f"; {leg} is left out, for {why}" for leg, why in data.get("left_out", {}).items())
    text += "; it waits for a person's yes" if data.get("approval") else ""
    return f"{text}; the key already succeeded in run {again['run']}" if again else text


def _inherited(phase: str, data: Shown) -> str:
    words = {"stands": "taken over, stands", "doubt": "taken over, in doubt", "fresh": "to be made anew"}
    return words.get(phase, f"replays run {data.get('run')}")


def _seen(exists: str | None) -> str:
    return "it is not there" if exists is None else f"it is there, {exists}"


def _changes(edits: Sequence[Shown]) -> str:
    return ", ".join(f"{edit['path']}: {_short(edit['before'])} → {_short(edit['after'])}" for edit in edits)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _person(data: Shown) -> str:
    return str(data.get("by") or "a person")


def _told(phase: str, data: Shown) -> str:
    return f"{phase.replace('_', ' ')}{'; a person is told' if data.get('alert') else ''}"


_TELLERS = {
    "origin": _traced,
    "awaited": lambda _, data: f"run {data.get('run')}, which it waited for, has ended",
    "hydrate": lambda _, data: f"read {', '.join(data.get('records', {}))}",
    "plan": _planned,
    "apply": _applied,
    "recover": _recovered,
    "undo": _undone,
    "inherit": _inherited,
    "cancel": lambda _, data: f"{_person(data)} cancels it{', and leaves what it made' if data.get('keep') else ''}",
    "retake": lambda _, data: f"{_person(data)} wants {', '.join(data.get('retake', ()))} made again",
    "resolve": lambda _, data: f"{_person(data)} has looked: {_seen(data.get('exists'))}",
    "approve": lambda _, data: f"{_person(data)} approves it",
    "reject": lambda _, data: f"{_person(data)} rejects it",
    "edit": lambda _, data: f"{_person(data)} edits {_changes(data.get('edits') or ())}",
    "resume": lambda _, data: f"{_person(data)} lets it go on",
    "reload": lambda *_: "looked at again with the new configuration",
    "reconnect": lambda _, data: f"{data.get('connection', 'connection:').partition(':')[2]} may be used again",
    "takeover": lambda *_: "its performer vanished; another goes on",
    "stop": _told,
    "end": _told,
}
