"""Texts as words to find a run by, and what somebody types as words to look for. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_WORDS = 150
"""Words of one run at most."""
LONGEST = 60
"""Characters of a word that count."""
_MOST_ASKED = 8
_PART = re.compile(r"[^\W_]+")
_EDGE = re.compile(r"^[\W_]+|[\W_]+$")
_INNER = re.compile(r"[^\w.@+-]")
_ID = re.compile(r"[0-9a-z]{6,26}")
_TELLING = frozenset({"id", "name", "title", "email", "number", "code", "sku", "key", "company", "subject"})
"""What people know a record by; the rest of a record would be many words that nobody looks for."""
_FOREIGN = frozenset({"native", "custom", "undo"})
"""The vendor's own JSON, in which the canonical fields stand again."""
_DEEPEST = 8


def plain(text: str) -> str:
    """The text without case and accents."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    bare = "".join([c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c)])
    return bare.encode("utf-8", "replace").decode()


def split(text: str) -> Iterator[str]:
    """The words of a text: `Jane <jane@acme.test>` → jane, jane@acme.test, acme, test."""
    for chunk in plain(text).split():
        whole = _EDGE.sub("", chunk)
        parts = _PART.findall(whole)
        if len(parts) > 1:
            yield _INNER.sub(".", whole)[:LONGEST]
        for part in parts:
            yield part[:LONGEST]


def words(texts: Iterable[str]) -> list[str]:
    """The different words of texts, in the order in which they come; `MOST_WORDS` at most."""
    found: dict[str, None] = {}
    for text in texts:
        for word in split(text):
            found[word] = None
            if len(found) == MOST_WORDS:
                return list(found)
    return list(found)


def telling(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts by which people know what a record, or an event's data, is about."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, (Mapping, list)):
                if name not in _FOREIGN:
                    yield from telling(inner, depth + 1)
            elif name in _TELLING or name.endswith("_id"):
                yield from _scalar(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from telling(inner, depth + 1)


def of_receipt(receipt: Any) -> Iterator[str]:
    """What a receipt says of what was made: ids, numbers, names; links would be words that all have."""
    if isinstance(receipt, Mapping):
        for name, value in receipt.items():
            if name not in _FOREIGN and name != "url":
                yield from _scalar(value)


def _scalar(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, (bool, Mapping, list)):
        yield str(value)


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for. All of `words` are to be there, whole; `beginning` begins one more."""

    words: tuple[str, ...]
    beginning: str | None
    id: str | None
    """The beginning of a run's id, if it can be one."""

    @property
    def marks(self) -> list[str]:
        """What a document's JSON holds then: words have no character that JSON would escape."""
        whole = [f'"{word}"' for word in self.words]
        return whole if self.beginning is None else [*whole, f'"{self.beginning}']


def asked(text: str) -> Query:
    """What somebody typed, as words to look for; nothing of it is a command."""
    chunks = [c for c in (_EDGE.sub("", c) for c in plain(text).split()) if c][:_MOST_ASKED]
    wanted = [_INNER.sub(".", chunk)[:LONGEST] for chunk in chunks]
    lone = wanted[0] if len(wanted) == 1 and _ID.fullmatch(wanted[0]) else None
    if wanted and len(wanted[-1]) >= _SHORTEST_BEGINNING and not text[-1:].isspace():
        return Query(tuple(wanted[:-1]), wanted[-1], lone)
    return Query(tuple(wanted), None, lone)


_SHORTEST_BEGINNING = 3
"""Fewer characters begin too many words."""
