"""Keys that the format does not have: misspelt ones, and those of a later version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crossdock.words import SURE, did_you_mean, nearest

LATER: Mapping[str, str] = {
    "supervise": "approval of the first runs before they write",
    "approve": "approval before the first write",
}
"""Keys of the design that this version does not have yet."""


def unknown_key(key: str, names: Iterable[str]) -> str:
    """What to say of a key that is none of `names`."""
    if key in LATER:
        return f"{key} ({LATER[key]}) is not in this version yet; leave it out"
    return f"unknown key {key}{did_you_mean(key, names)}"


def meant_key(key: str, names: Iterable[str]) -> str | None:
    """The key that was surely meant."""
    return None if key in LATER else nearest(key, names, SURE)
