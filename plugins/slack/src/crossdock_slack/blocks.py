"""An alert as a Slack message. Pure: an `Alert` in, blocks and texts out.

Limits (Slack docs, 'Block Kit', and public report slackapi/bolt-js#2509): 50 blocks; header 150, section text 3000,
ten fields of 2000 and ten context elements, button text 75 and value 2000; all blocks together about 13,200 characters,
undocumented. The parts below come to less than 13,000 whatever the alert holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossdock_sdk import Alert, AlertAction, LegReport, jsonio

from crossdock_slack.text import cut, escaped, fits, length

Block = dict[str, Any]

_HEADER = 150
_TEXT = 600
_FIELD = 160
_ERROR = 1500
_LEGS = 2500
_LEG = 300
_ADVICE = 600
_LINKS = 1500
_URL = 700
_LABEL = 60
_PAYLOAD = 2600
_CONTEXT = 140
_STORY = 900
_LINE = 250
_BUTTON = 75
_VALUE = 2000
_MOST_BUTTONS = 5

_MARKS = {
    "error": ":red_circle:",
    "warning": ":large_yellow_circle:",
    "info": ":large_blue_circle:",
    "good": ":large_green_circle:",
}
_OPENS = "Run"
"""The link that is a button, too."""
_CUT = "the payload is cut here"


@dataclass(frozen=True, slots=True)
class File:
    """The whole payload, for a message that could only show its start."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is what notifications show; `file` is None when the blocks show the whole payload."""

    text: str
    blocks: list[Block]
    file: File | None


def render(alert: Alert, *, attaches: bool) -> Message:
    """The message for an alert. `attaches`: the way it is sent can carry `file`."""
    payload = "" if alert.payload is None else _json(alert.payload)
    shown = escaped(_unfenced(payload), _PAYLOAD)
    whole = fits(_unfenced(payload), _PAYLOAD)
    blocks = [
        _header(alert),
        _section(_story(alert.story)),
        _facts(alert),
        _section(_failure(alert)),
        _section(_legs(alert.legs)),
        _section(_labelled("What to do", alert.advice, _ADVICE)),
        _section(_links(alert.links)),
        _section(f"*Payload*\n```\n{shown}\n```" if payload else ""),
        _note(alert, attaches=attaches) if not whole else None,
        _buttons(alert),
        _context(alert),
    ]
    file = None if whole else File(_file_name(alert), payload)
    return Message(_text(alert), [block for block in blocks if block is not None], file)


def _header(alert: Alert) -> Block:
    title = " ".join(cut(alert.title, _HEADER - 30).split()) or "Crossdock alert"
    mark = _MARKS.get(alert.severity, _MARKS["error"])
    return {"type": "header", "text": {"type": "plain_text", "text": f"{mark} {title}", "emoji": True}}


def _facts(alert: Alert) -> Block | None:
    named = {
        "Flow": alert.flow,
        "Key": alert.key,
        "Status": alert.status,
        "Leg": alert.leg,
        "Action": alert.action,
        "Connection": alert.connection,
        "When": alert.at.isoformat(timespec="seconds"),
    }
    fields = [_mrkdwn(f"*{name}*\n{escaped(value, _FIELD)}") for name, value in _told(named).items()]
    return {"type": "section", "fields": fields} if fields else None


def _failure(alert: Alert) -> str:
    """The vendor's own words, and the facts beside them."""
    error = alert.error
    message = _labelled("What failed", error.get("message"), _ERROR)
    known = {name: error.get(name) for name in ("kind", "code", "field", "status", "request_id")}
    facts = [f"{name}: {escaped(value, _FIELD)}" for name, value in _told(known).items()]
    return "\n".join(part for part in (message, " · ".join(facts)) if part)


def _legs(legs: tuple[LegReport, ...]) -> str:
    lines, used = ["*What stands and what does not*"], 0
    for number, leg in enumerate(legs):
        line = _leg(leg)
        used += length(line) + 1
        if used > _LEGS:
            lines.append(f"… and {len(legs) - number} more")
            break
        lines.append(line)
    return "\n".join(lines) if legs else ""


def _leg(leg: LegReport) -> str:
    name = _linked(leg.id, leg.url) if leg.url else escaped(leg.id or "", _LABEL)
    parts = [f"• *{escaped(leg.leg, _LABEL)}*: {escaped(leg.state, _LABEL)}", name, escaped(leg.note or "", _LEG)]
    return " — ".join(part for part in parts if part.strip())


def _links(links: Mapping[str, str]) -> str:
    lines, used = [], 0
    for label, url in links.items():
        line = _linked(label, url)
        used += length(line) + 3
        if used > _LINKS:
            break
        lines.append(line)
    return " · ".join(lines)


def _linked(label: str | None, url: str | None) -> str:
    """A mrkdwn link; an address that cannot be one is left out, its label stays."""
    shown = escaped((label or "open").replace("|", "¦"), _LABEL)
    address = escaped(url or "", _URL)
    usable = (url or "").startswith(("https://", "http://")) and not address.endswith("…")
    if not usable or any(c.isspace() or c == "|" for c in address):
        return shown
    return f"<{address}|{shown.strip() or 'open'}>"


def _note(alert: Alert, *, attaches: bool) -> Block:
    if attaches:
        where = f"{_CUT}; the whole of it is attached in the thread as {_file_name(alert)}"
    elif alert.links:
        where = f"{_CUT}; the whole of it is behind the links above"
    else:
        where = f"{_CUT}; `crossdock runs show` has the whole of it"
    return {"type": "context", "elements": [_mrkdwn(escaped(where, _FIELD * 2))]}


def _context(alert: Alert) -> Block:
    named = {"run": alert.run, "trace": alert.trace_id, "alert": alert.id}
    told = [f"{name} {escaped(value, _CONTEXT)}" for name, value in _told(named).items()]
    return {"type": "context", "elements": [_mrkdwn(text) for text in told or ["Crossdock"]]}


def _text(alert: Alert) -> str:
    """Notification text: title, place, the vendor's words."""
    said = _told({"title": alert.title, "flow": alert.flow, "leg": alert.leg, "why": alert.error.get("message")})
    place = " / ".join(said[name] for name in ("flow", "leg") if name in said)
    parts = (said.get("title", "Crossdock alert"), place, said.get("why"))
    return escaped(" — ".join(part.strip() for part in parts if part), _TEXT)


def _story(story: Sequence[str]) -> str:
    """What has become of it since; of a long story the end."""
    lines, used = list[str](), 0
    for told in reversed(story):
        line = f"• {escaped(told, _LINE)}"
        used += length(line) + 1
        if used > _STORY:
            lines.append("• …")
            break
        lines.append(line)
    return "\n".join(["*Since then*", *reversed(lines)]) if lines else ""


def _buttons(alert: Alert) -> Block | None:
    """What can be pressed: the actions, and the way to the run."""
    buttons = [_button(action) for action in alert.actions[:_MOST_BUTTONS] if length(action.token) <= _VALUE]
    url = alert.links.get(_OPENS, "")
    if url.startswith(("https://", "http://")) and length(url) <= _URL:
        buttons.append({"type": "button", "action_id": "open", "text": _plain("Open"), "url": url})
    return {"type": "actions", "elements": buttons} if buttons else None


def _button(action: AlertAction) -> Block:
    button = {"type": "button", "action_id": action.name, "text": _plain(action.label), "value": action.token}
    if action.style == "danger":
        sure = {"title": _plain("Are you sure?"), "text": _plain(f"{action.label}: this cannot be taken back.")}
        button["confirm"] = sure | {"confirm": _plain("Yes"), "deny": _plain("No"), "style": "danger"}
    return button | ({"style": action.style} if action.style in {"primary", "danger"} else {})


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": cut(text, _BUTTON).strip() or "Press"}


def _labelled(label: str, value: Any, limit: int) -> str:
    return "\n".join(f"*{name}*\n{escaped(said, limit)}" for name, said in _told({label: value}).items())


def _section(text: str) -> Block | None:
    return {"type": "section", "text": _mrkdwn(text)} if text else None


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _told(values: Mapping[str, Any]) -> dict[str, str]:
    """Those of the values that say something, as text."""
    texts = {name: str(value) for name, value in values.items() if value is not None}
    return {name: text for name, text in texts.items() if cut(text, _FIELD).strip()}


def _json(payload: Any) -> str:
    try:
        return jsonio.pretty(payload)
    except (TypeError, ValueError, RecursionError):
        # An alert must go out whatever it is about; what JSON cannot hold is shown as Python does.
        return str(payload).encode("utf-8", "replace").decode()


def _unfenced(text: str) -> str:
    """Three backticks would end the code block: a zero-width space parts them. The file keeps them."""
    return text.replace("```", "`\u200b`\u200b`")


def _file_name(alert: Alert) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in (alert.run or alert.id))[:60]
    return f"payload-{name.strip('-') or 'alert'}.json"
