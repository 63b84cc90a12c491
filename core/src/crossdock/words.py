"""The nearest right name, for every message that must say one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SURE = 0.7
"""How alike two names are when one is taken for the other, so that what depends on it is checked too."""


def nearest(name: str, names: Iterable[str], alike: float = 0.55) -> str | None:
    """The name most like `name`, or None if none is like it; 1 would be equal."""
    choices = {n.casefold(): n for n in names}
    found = difflib.get_close_matches(name.casefold(), list(choices), n=1, cutoff=alike)
    return choices[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?`, or an empty string."""
    found = nearest(name, names)
    return f"; did you mean {found}?" if found else ""
