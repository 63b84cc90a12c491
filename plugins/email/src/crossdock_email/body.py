"""What a mail says, as plain text and as HTML, from the same parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from crossdock_sdk import Alert, LegReport

from crossdock_email.text import clean, cut, one_line

_ERROR = 4000
_ADVICE = 2000
_FIELD = 300
_NOTE = 500
_URL = 2000
_MOST_LEGS = 100
_MOST_LINKS = 20
_STYLE = "font-family:sans-serif;font-size:14px;line-height:1.4"
_BLOCK = "white-space:pre-wrap;word-break:break-word;background:#f4f4f4;padding:8px"


@dataclass(frozen=True, slots=True)
class Payload:
    """How the payload goes with the mail: shown in it, attached under a name, left out, or there is none."""

    shown: str = ""
    attached: str = ""
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """`label: text`, where `text` leads to `url` if there is one. `block`: its line ends are its own."""

    text: str
    label: str = ""
    url: str = ""
    block: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    lines: Sequence[Line]


def sections(alert: Alert, payload: Payload) -> list[Section]:
    """All that an alert tells, without what is empty."""
    every = [
        Section(one_line(alert.title, _FIELD) or "Crossdock alert", _facts(alert)),
        Section("What failed", _failure(alert.error)),
        Section("What stands and what was undone", _legs(alert.legs)),
        Section("What to do", [Line(cut(alert.advice, _ADVICE))] if alert.advice else []),
        Section("Links", _links(alert.links)),
        Section("Payload", _payload(alert, payload)),
        Section("Identifiers", _named({"run": alert.run, "trace": alert.trace_id, "alert": alert.id})),
    ]
    return [section for section in every if section.lines]


def plain(parts: Sequence[Section]) -> str:
    """The text part."""
    return "\n\n".join("\n".join((part.heading, *map(_plain_line, part.lines))) for part in parts) + "\n"


def html(parts: Sequence[Section], title: str) -> str:
    """The HTML part; nothing from outside is more than text in it, or the address of a link."""
    body = "\n".join(f"<h3>{escape(part.heading)}</h3>\n" + "\n".join(map(_html_line, part.lines)) for part in parts)
    head = f'<head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return f'<!DOCTYPE html>\n<html>{head}\n<body style="{_STYLE}">\n{body}\n</body></html>\n'


def _facts(alert: Alert) -> list[Line]:
    return _named(
        {
            "Flow": alert.flow,
            "Key": alert.key,
            "Status": alert.status,
            "Leg": alert.leg,
            "Action": alert.action,
            "Connection": alert.connection,
            "When": alert.at.isoformat(timespec="seconds"),
        }
    )


def _failure(error: Mapping[str, Any]) -> list[Line]:
    """The vendor's own words, and the facts beside them."""
    message = error.get("message")
    said = [Line(cut(str(message), _ERROR), block=True)] if message else []
    return said + _named({name: error.get(name) for name in ("kind", "code", "field", "status", "request_id")})


def _legs(legs: Sequence[LegReport]) -> list[Line]:
    lines = [_leg(leg) for leg in legs[:_MOST_LEGS]]
    return lines if len(legs) <= _MOST_LEGS else [*lines, Line(f"… and {len(legs) - _MOST_LEGS} more")]


def _leg(leg: LegReport) -> Line:
    parts = (leg.state, leg.id or "", leg.note or "")
    said = " — ".join(part for part in (one_line(part, _NOTE) for part in parts) if part)
    return Line(said, one_line(leg.leg, _FIELD), _address(leg.url))


def _links(links: Mapping[str, str]) -> list[Line]:
    shown = [(label, _address(url)) for label, url in list(links.items())[:_MOST_LINKS]]
    return [Line(url, one_line(label, _FIELD), url) for label, url in shown if url]


def _payload(alert: Alert, payload: Payload) -> list[Line]:
    if payload.attached:
        return [Line(f"attached as {payload.attached}")]
    if payload.left_out:
        elsewhere = "it is behind the link above" if alert.links else f"`crossdock runs show {alert.run or ''}` has it"
        return [Line(f"too long for a mail; {one_line(elsewhere, _FIELD)}")]
    return [Line(clean(payload.shown), block=True)] if payload.shown else []


def _named(values: Mapping[str, Any]) -> list[Line]:
    """Those of the values that say something."""
    texts = {label: one_line(str(value), _FIELD) for label, value in values.items() if value is not None}
    return [Line(text, label) for label, text in texts.items() if text]


def _address(url: str | None) -> str:
    """An address that can be followed, or nothing."""
    usable = (url or "").startswith(("https://", "http://")) and len(url or "") <= _URL
    return url if usable and url and url.isprintable() and not any(c.isspace() for c in url) else ""


def _plain_line(line: Line) -> str:
    if line.block:
        return line.text
    said = f"{line.label}: {line.text}" if line.label else line.text
    return f"{said}\n  {line.url}" if line.url and line.url != line.text else said


def _html_line(line: Line) -> str:
    text = escape(line.text)
    if line.block:
        return f'<pre style="{_BLOCK}">{text}</pre>'
    if line.url:
        text = f'<a href="{escape(line.url)}">{text}</a>'
    return f"<div>{f'<b>{escape(line.label)}</b>: ' if line.label else ''}{text}</div>"
