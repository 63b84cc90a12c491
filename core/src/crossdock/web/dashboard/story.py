"""One run as its page tells it: what is wrong, what stands, what happened, how long it took."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock.config.compiled import CompiledFlow
from crossdock.mapping.document import Row, rows
from crossdock.timeline import Line, error_text, told
from crossdock.web.dashboard.words import Meaning, meaning

Shown = dict[str, Any]

NOTEWORTHY = timedelta(milliseconds=800)
"""A pause that is worth a line of its own."""
_INDEX = re.compile(r"\[\d+\]|\.\d+(?=\.|$)")
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
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The line of the mapping that made a field. `value` is what it came to in this run."""

    target: str
    expression: str
    reads: tuple[str, ...]
    value: Any = None
    blamed: bool = False


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
    error = data.get("error") if step.get("phase") == "failed" else None
    wire = tuple(data.get("http") or ())
    wrong = error_text(error) if error else None
    return Entry(_tone(line), line.text, line.at, line.leg or None, wire=wire, error=wrong)


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


def cause(run: Shown, flow: CompiledFlow | None) -> Cause | None:
    """Why the run stands where it stands; None if nothing is wrong with it."""
    error = run["error"]
    if not error or run["status"] in {"succeeded", "ignored"}:
        return None
    kind = str(error.get("kind") or "")
    field = error.get("field")
    facts = {name: error[name] for name in ("code", "status", "request_id") if error.get(name)}
    sources = _sources(flow, run["leg"] or error.get("leg"), field, run["payload"]) if flow else ()
    return Cause(str(error.get("message", "")), meaning(kind), kind, run["leg"], field, facts, sources)


def _sources(flow: CompiledFlow, leg: str | None, field: str | None, payload: Any) -> tuple[Source, ...]:
    """The mapping lines of the leg that failed, the one that made the refused field first."""
    found = [_source(row, field, payload) for row in rows(flow) if row.leg == leg and row.enabled]
    return tuple(sorted(found, key=lambda source: not source.blamed))


def _source(row: Row, field: str | None, payload: Any) -> Source:
    inner = row.target.removeprefix(f"{row.leg}.")
    blamed = field is not None and plain_path(field) in {inner, row.target, inner.replace(".*", "")}
    expression = row.source if isinstance(row.source, str) else str(row.source)
    return Source(row.target, expression, row.reads, value_at(payload, inner), blamed)


def plain_path(field: str) -> str:
    """A field without the numbers of its lines: `lines[0].sku` → `lines.*.sku`."""
    return _INDEX.sub(".*", field)


def value_at(payload: Any, path: str) -> Any:
    """What stands at a dotted path; of a list (`*`) its items' values."""
    value = payload
    steps = path.split(".")
    for place, step in enumerate(steps):
        if step == "*":
            rest = ".".join(steps[place + 1 :])
            items = value if isinstance(value, list) else []
            return [value_at(item, rest) for item in items] if rest else items
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def span_of(run: Shown) -> tuple[datetime, datetime]:
    """When the run began and ended, or was last heard of."""
    event = run["event"] or {}
    start = event.get("received_at") if run["replay_of"] is None else None
    times = [step["at"] for step in run["steps"]]
    end = run["ended_at"] or (times[-1] if times else run["created_at"])
    return datetime.fromisoformat(start or run["created_at"]), datetime.fromisoformat(end)
