"""Text that is fit for a mail: cleaned, on one line where a header needs that, cut where it is too long."""

from __future__ import annotations

_ELLIPSIS = "…"


def clean(text: str) -> str:
    """Without control characters (but for line ends and tabs) and without halves of characters."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c for c in whole if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))


def cut(text: str, limit: int) -> str:
    """Clean text of at most `limit` characters."""
    # Of a long text only the start is looked at: an alert may carry megabytes.
    start = clean(text[: 2 * limit])
    if len(start) <= limit and len(text) <= 2 * limit:
        return start
    return start[: limit - 1] + _ELLIPSIS


def one_line(text: str, limit: int) -> str:
    """Clean text of at most `limit` characters without a line end, whatever Unicode calls one.

    What follows a line end in a header would be another header.
    """
    return cut(" ".join(text[: 4 * limit].split()), limit).strip()
