"""Charts as SVG: bars of runs by ending, lines of durations, and the waterfall of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from crossdock.telemetry import PastSpan
from crossdock.web.dashboard.rendering import lasted

WIDTH = 640
HEIGHT = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 6, 8, 20
_ROW = 22
_NAMES = 190

_RECT = Markup(
    '<rect class="bar-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"><title>{}</title></rect>'
)
_TEXT = Markup('<text{} x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
_ENDINGS = (("good", "succeeded"), ("bad", "dead"), ("warn", "rolled_back"), ("idle", "cancelled"))
TONE_OF_ENDING = {"succeeded": "good", "dead": "bad", "rolled_back": "warn", "cancelled": "idle", "ignored": "idle"}


@dataclass(frozen=True, slots=True)
class Column:
    """One bucket of time: runs that ended in it, by tone, and how long they took, in seconds."""

    start: datetime
    label: str
    runs: dict[str, int]
    p50: float | None = None
    p95: float | None = None

    @property
    def total(self) -> int:
        return sum(self.runs.values())


def bars(columns: Sequence[Column], title: str) -> Markup:
    """Runs that ended, stacked by how."""
    top = _nice(max((column.total for column in columns), default=0) or 1)
    step = (WIDTH - _LEFT - _RIGHT) / max(len(columns), 1)
    parts = [_frame(top, str)]
    for place, column in enumerate(columns):
        at, floor = _LEFT + place * step, float(HEIGHT - _BOTTOM)
        for name, _ in _ENDINGS:
            count = column.runs.get(name, 0)
            tall = count / top * (HEIGHT - _TOP - _BOTTOM)
            if count:
                floor -= tall
                parts.append(_bar(name, at + step * 0.12, floor, step * 0.76, tall, _told(column)))
    parts.append(_labels(columns, step))
    total = sum(column.total for column in columns)
    return _svg(WIDTH, HEIGHT, f"{title}: {total} runs ended, at most {top} in one bar", parts)


def durations(columns: Sequence[Column], title: str) -> Markup:
    """How long runs took: the median, and what nineteen of twenty did not exceed."""
    known = [value for column in columns for value in (column.p50, column.p95) if value is not None]
    top = _nice(max(known, default=0) or 1)
    step = (WIDTH - _LEFT - _RIGHT) / max(len(columns), 1)
    parts = [_frame(top, lasted)]
    for name in ("p95", "p50"):
        points = [
            (_LEFT + (place + 0.5) * step, _level(value, top))
            for place, column in enumerate(columns)
            if (value := getattr(column, name)) is not None
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(Markup('<polyline class="line-{}" points="{}"/>').format(name, line))
        parts += [_dot(name, x, y) for x, y in points] if len(points) < 2 else []
    parts.append(_labels(columns, step))
    return _svg(WIDTH, HEIGHT, title, parts)


def waterfall(spans: Sequence[PastSpan], start: datetime, end: datetime) -> Markup:
    """What was done when within one run."""
    whole = max((end - start) / timedelta(microseconds=1), 1.0)
    width, height = 1000, _ROW * len(spans) + 26
    room = width - _NAMES - 70
    parts = []
    for place, span in enumerate(spans):
        y = place * _ROW + 4
        at = _NAMES + (span.start - start) / timedelta(microseconds=1) / whole * room
        wide = max((span.end - span.start) / timedelta(microseconds=1) / whole * room, 2.0)
        took = lasted(span.end - span.start)
        said = f"{span.name}, {took}" + (f": {span.error}" if span.error else "")
        parts.append(_text(0, y + 13, span.name))
        parts.append(_bar("bad" if span.error else "busy", at, y + 2, wide, _ROW - 8, said))
        parts.append(_text(min(at + wide + 6, width - 60), y + 13, took, soft=True))
    parts.append(_text(_NAMES, height - 6, "0", soft=True))
    parts.append(_text(width - 68, height - 6, lasted(end - start), soft=True))
    return _svg(width, height, f"{len(spans)} steps in {lasted(end - start)}", parts)


def _svg(width: int, height: int, title: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        width, height, title
    )
    return opening + Markup("").join(parts) + Markup("</svg>")


def _bar(tone: str, x: float, y: float, width: float, height: float, said: str) -> Markup:
    return _RECT.format(tone, x, y, width, height, said)


def _dot(name: str, x: float, y: float) -> Markup:
    return Markup('<circle class="line-{}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(name, x, y)


def _text(x: float, y: float, text: str, *, soft: bool = False, anchor: str = "start") -> Markup:
    return _TEXT.format(Markup(' class="soft"') if soft else "", x, y, anchor, text)


def _frame(top: float, shown: object) -> Markup:
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = _level(top * share, top)
        lines.append(Markup('<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, WIDTH - _RIGHT, y, y))
    value = shown if callable(shown) else str
    marks = [
        _text(_LEFT - 5, _level(top * s, top) + 4, value(_plain(top * s)), soft=True, anchor="end") for s in (0, 1)
    ]
    return Markup('<g class="grid">') + Markup("").join(lines) + Markup("</g>") + Markup("").join(marks)


def _labels(columns: Sequence[Column], step: float) -> Markup:
    every = max(len(columns) // 6, 1)
    shown = [(place, column.label) for place, column in enumerate(columns) if place % every == 0]
    texts = [
        _text(_LEFT + (place + 0.5) * step, HEIGHT - 5, label, soft=True, anchor="middle") for place, label in shown
    ]
    return Markup("").join(texts)


def _level(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)


def _told(column: Column) -> str:
    counts = ", ".join(
        f"{column.runs[name]} {word.replace('_', ' ')}" for name, word in _ENDINGS if column.runs.get(name)
    )
    return f"{column.label}: {counts}"


def _nice(value: float) -> float:
    """The next round number: 1, 2, 5, 10, 20 …"""
    scale = 1.0
    while scale * 10 < value:
        scale *= 10
    while scale > value and scale > 1e-3:
        scale /= 10
    return next((scale * mark for mark in (1, 2, 5, 10) if scale * mark >= value), value)


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
