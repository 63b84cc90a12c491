"""Keys that the format does not have."""

from __future__ import annotations

from collections.abc import Iterable

from crossdock.words import SURE, did_you_mean, nearest


def unknown_key(key: str, names: Iterable[str]) -> str:
    """What to say of a key that is none of `names`."""
    return f"unknown key {key}{did_you_mean(key, names)}"


def meant_key(key: str, names: Iterable[str]) -> str | None:
    """The key that was surely meant."""
    return nearest(key, names, SURE)
