"""Templates and what they are given: instants, statuses, JSON that shows anything harmlessly, assets with a version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from crossdock_sdk import jsonio
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from crossdock.actors import Actor

WEB = Path(__file__).parents[1]
PLACES = (
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/flows", "Flows"),
    ("/connections", "Connections"),
    ("/bulk", "Bulk"),
    ("/audit", "Audit"),
    ("/docs", "API"),
)
SHOWN = 200_000
"""Characters of a payload that a page shows at most; the API has the whole of it."""

BRIEF = 240
"""Characters of a value in a table."""

_TONES = {
    "succeeded": "good",
    "dead": "bad",
    "rolled_back": "bad",
    "held": "warn",
    "in_doubt": "warn",
    "awaiting_approval": "warn",
    "waiting": "busy",
    "running": "busy",
    "queued": "busy",
    "rolling_back": "busy",
    "working": "busy",
    "done": "good",
    "active": "good",
    "paused": "bad",
    "down": "bad",
    "stopped": "bad",
    "stands": "good",
    "undone": "idle",
    "failed": "bad",
    "in doubt": "warn",
    "skipped": "idle",
    "kept": "good",
    "not reached": "idle",
    "under way": "busy",
}


@cache
def _version(name: str) -> str:
    return hashlib.blake2b((WEB / "static" / name).read_bytes(), digest_size=6).hexdigest()


def asset(name: str) -> str:
    """The address of a file of ours; it changes with the file, so that browsers may keep it for good."""
    return f"/static/{name}?v={_version(name)}"


def tone(status: str) -> str:
    """The colour of a status: good, bad, warn, busy or idle. It is never the only sign of it."""
    return _TONES.get(status, "idle")


def badge(status: str) -> Markup:
    """A status as a coloured word."""
    return Markup('<span class="badge {}">{}</span>').format(tone(status), str(status).replace("_", " "))


def instant(value: datetime | str | None, *, date: bool = False) -> Markup:
    """An instant, in UTC until the reader's browser says its zone. `date`: with the date, also today's."""
    return _time(value, Markup(' data-date="1"') if date else Markup(""))


def left(value: datetime | None) -> Markup:
    """An instant as its distance from now, such as `in 47 minutes`; without scripts the instant itself."""
    return _time(value, Markup(' data-left="1"'))


def _time(value: datetime | str | None, more: Markup) -> Markup:
    if value is None:
        return Markup("–")
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    at = at.astimezone(UTC)
    stamp = at.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}"{}>{} UTC</time>').format(stamp, more, at.strftime("%Y-%m-%d %H:%M:%S"))


def lasted(seconds: float | timedelta | None) -> str:
    """A length of time in the two units that say most: `340 ms`, `2.4 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds is None:
        return "–"
    total = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if total < 1:
        return f"{max(total, 0) * 1000:.0f} ms"
    if total < 60:
        return f"{total:.1f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    first = next(index for index, (_, size) in enumerate(units) if total >= size)
    parts: list[str] = []
    left = int(total)
    for name, size in units[first : first + 2]:
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] if count or not parts else []
    return " ".join(parts)


def json_text(value: Any) -> str:
    """Plain data as JSON for people; the template escapes it like any text."""
    text = jsonio.pretty(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… ({len(text)} characters; the API has all of them)"


def brief(value: Any) -> str:
    """Plain data in one short line; nothing for None."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else jsonio.dumps(value).decode()
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"


def query(base: Mapping[str, Any], **changed: Any) -> str:
    """A query string with these fields changed; None takes one away."""
    kept = {name: value for name, value in {**base, **changed}.items() if value not in (None, "", [], ())}
    return urlencode(kept, doseq=True)


class _Strict(jinja2.StrictUndefined):
    """A name that nobody gave is an error; a key that plain data happens to lack is nothing."""

    def __new__(cls, hint: str | None = None, obj: Any = None, *_: Any, **__: Any) -> Any:
        return jinja2.Undefined(hint, obj) if isinstance(obj, Mapping) else super().__new__(cls)


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(WEB / "templates")
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=_Strict, trim_blocks=True, lstrip_blocks=True)
    made.globals |= {"asset": asset, "badge": badge, "instant": instant, "lasted": lasted, "tone": tone, "query": query}
    made.filters |= {"json": json_text, "brief": brief}
    return made


TEMPLATES = _environment()


def page(request: Request, template: str, actor: Actor | None, *, status: int = 200, **context: Any) -> Response:
    """A page. One that has not changed since the caller had it (`If-None-Match`) is answered with 304."""
    theme = request.cookies.get("crossdock-theme")
    known = {
        "actor": actor,
        "theme": theme if theme in ("light", "dark") else None,
        "places": PLACES,
        "here": request.url.path,
        "live": None,
        "said": None,
        "attention": 0,
        "signed_in": False,
        "csrf": "",
    }
    body = TEMPLATES.get_template(template).render(known | context)
    etag = f'"{hashlib.blake2b(body.encode(), digest_size=12).hexdigest()}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return HTMLResponse(body, status, {"ETag": etag})
