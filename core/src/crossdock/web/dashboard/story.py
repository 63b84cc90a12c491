"""One run as its page tells it: what is wrong, what stands, what happened, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock.config.compiled import CompiledFlow
from crossdock.config.load import Loaded
from crossdock.timeline import Line, told
from crossdock.web.dashboard.words import Meaning, meaning
from crossdock.web.mappings import Source, sources

Shown = dict[str, Any]

NOTEWORTHY = timedelta(milliseconds=800)
"""A pause that is worth a line of its own."""
_PEOPLE = frozenset({"cancel", "resume", "resolve", "edit", "approve", "reject"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. `wait` lines tell of a pause; `wire` is what went over the network."""

    tone: str
    text: str
    at: str | None = None
    leg: str | None = None
    wait: bool = False
    wire: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run stopped, in words."""

    message: str
    meaning: Meaning
    kind: str
    leg: str | None
    field: str | None
    facts: dict[str, Any]
    sources: tuple[Source, ...]


def entries(run: Shown) -> list[Entry]:
    """The timeline, with the pauses between."""
    return list(_entries(told(run), run))


def _entries(lines: Sequence[Line], run: Shown) -> Iterator[Entry]:
    for place, line in enumerate(lines):
        if place:
            yield from _pause(lines[place - 1], line)
        yield _entry(line)
    if run["due_at"] and not run["ended_at"] and run["status"] in {"waiting", "rolling_back", "in_doubt"}:
        why = f"waits for {run['waits_for']}; tried again" if run["waits_for"] else "tried again"
        yield Entry("busy", why, run["due_at"], wait=True)


def _pause(before: Line, after: Line) -> Iterator[Entry]:
    gap = timedelta(seconds=after.after - before.after)
    if gap < NOTEWORTHY:
        return
    failed = before.step is not None and before.step["phase"] == "failed"
    error = (before.step or {}).get("data", {}).get("error") or {}
    asked = f"; the vendor asked for {error['retry_after']} s" if failed and error.get("retry_after") else ""
    what = "waited before the next try" if failed else "nothing happened"
    yield Entry("idle", f"{what} for {gap.total_seconds():.1f} s{asked}", wait=True)


def _entry(line: Line) -> Entry:
    step = line.step or {}
    data = step.get("data") or {}
    return Entry(_tone(line), line.text, line.at, line.leg or None, wire=tuple(data.get("http") or ()))


def _tone(line: Line) -> str:
    step = line.step
    if step is None:
        return "busy"
    if step["kind"] in _PEOPLE:
        return "person"
    if step["phase"] == "failed":
        return "warn" if (step["data"].get("error") or {}).get("kind") == "throttled" else "bad"
    if step["kind"] == "end":
        return {"succeeded": "good", "ignored": "idle", "cancelled": "idle"}.get(step["phase"], "bad")
    if step["kind"] in {"stop", "takeover"} or step["phase"] in {"intent", "doubt", "amiss"}:
        return "warn"
    return "good" if step["kind"] in {"apply", "verify", "recover"} else "idle"


def cause(run: Shown, flow: CompiledFlow | None, loaded: Loaded | None) -> Cause | None:
    """Why the run stands where it stands; None if nothing is wrong with it. `loaded`, if it has this very flow."""
    error = run["error"]
    if not error or run["status"] in {"succeeded", "ignored"}:
        return None
    kind, field = str(error.get("kind") or ""), error.get("field")
    leg = run["leg"] or error.get("leg")
    facts = {name: error[name] for name in ("code", "status", "request_id") if error.get(name)}
    made = sources(flow, loaded, {leg: run["payload"]}, leg=leg, wrong=field) if flow and leg else []
    return Cause(str(error.get("message", "")), meaning(kind), kind, leg, field, facts, tuple(made))


def span_of(run: Shown) -> tuple[datetime, datetime]:
    """When the run began and ended, or was last heard of."""
    event = run["event"] or {}
    start = event.get("received_at") if run["replay_of"] is None else None
    times = [step["at"] for step in run["steps"]]
    end = run["ended_at"] or (times[-1] if times else run["created_at"])
    return datetime.fromisoformat(start or run["created_at"]), datetime.fromisoformat(end)
