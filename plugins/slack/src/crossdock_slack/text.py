"""Text within Slack's limits: cleaned, escaped, and cut where it is too long."""

from __future__ import annotations

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ELLIPSIS = "…"


def length(text: str) -> int:
    """Length in UTF-16 units, the most that any counting of characters by Slack could come to."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clean(text: str) -> str:
    """Without control characters (but for line ends and tabs) and without halves of characters."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c for c in whole if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))


def cut(text: str, limit: int) -> str:
    """Clean text of at most `limit` units."""
    return _cut(text, limit, {})


def escaped(text: str, limit: int) -> str:
    """Clean text with `&`, `<` and `>` escaped for mrkdwn, of at most `limit` units, never cut inside an escape.

    Slack docs, 'Formatting text for app surfaces': only these three characters need it; with them gone, no
    text can mention a channel or a person.
    """
    return _cut(text, limit, _ESCAPES)


def fits(text: str, limit: int) -> bool:
    """Whether `escaped` shows all of the text."""
    return len(text) <= 2 * limit and length(escaped(text, 12 * limit)) <= limit


def _cut(text: str, limit: int, escapes: dict[str, str]) -> str:
    # Of a long text only the start is looked at: an alert may carry megabytes.
    start = clean(text[: 2 * limit])
    kept: list[str] = []
    used = before_ellipsis = 0
    for character in start:
        form = escapes.get(character, character)
        used += length(form)
        if used > limit:
            break
        kept.append(form)
        if used < limit:
            before_ellipsis = len(kept)
    else:
        if len(text) <= 2 * limit:
            return "".join(kept)
    return "".join(kept[:before_ellipsis]) + _ELLIPSIS
