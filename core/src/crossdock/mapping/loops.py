"""The `each` form of a value, as it is meant: what is wrong with it, and all that can be understood all the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from crossdock.words import SURE, did_you_mean, nearest

_KEYS = ("each", "as", "with", "if")


@dataclass(frozen=True, slots=True)
class Loop:
    """`keys` has for each right key the one in the file; `name` is empty if there is none to go by.

    `mistakes` are (key in the file or None, message).
    """

    value: Mapping[str, Any]
    keys: Mapping[str, str]
    name: str
    mistakes: tuple[tuple[str | None, str], ...]

    def text(self, key: str) -> str | None:
        """What the file says under `each` or `if`; None if that is no text."""
        said = self.value.get(self.keys.get(key, ""))
        return said if isinstance(said, str) else None


def is_loop(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is the `each` form, with `each` itself misspelt perhaps."""
    return "each" in value or ("as" in value and {"each", "with"} <= _meant(value).keys())


def read_loop(value: Mapping[str, Any], taken: Collection[str]) -> Loop:
    """Read the `each` form; `taken` are the names of the loops around it."""
    keys, mistakes = _meant(value), list[tuple[str | None, str]]()
    for key in value:
        if key not in _KEYS:
            mistakes.append((key, f"unknown key {key} beside each{did_you_mean(str(key), _KEYS)}"))
    missing = [key for key in ("as", "with") if key not in keys]
    mistakes += [(None, f"each needs {key}: write {{each: …, as: item, with: …}}") for key in missing]
    for key in ("each", "if"):
        if key in keys and not isinstance(value[keys[key]], str):
            mistakes.append((keys[key], "each and if must be {{ expressions }}"))
    name = value[keys["as"]] if "as" in keys else None
    if _is_name(name) and name in taken:
        mistakes.append((keys["as"], f"{name} is already the name of an outer loop's item"))
    elif "as" in keys and not _is_name(name):
        mistakes.append((keys["as"], "as must be a name such as product"))
    name = name if _is_name(name) else ""
    return Loop(value, keys, name, tuple(mistakes))


def _is_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and name.isidentifier() and not name.startswith("__")


def _meant(value: Mapping[str, Any]) -> dict[str, str]:
    keys = {key: key for key in _KEYS if key in value}
    for key in value:
        right = nearest(str(key), _KEYS, SURE)
        if right:
            keys.setdefault(right, key)
    return keys
