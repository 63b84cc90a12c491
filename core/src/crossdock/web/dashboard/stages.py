"""A flow as a row of boxes: what each one is, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One box. `tone` None: that of its state. `id` and `url` are of what it made at the vendor."""

    name: str
    do: str
    state: str = ""
    tone: str | None = None
    id: str | None = None
    url: str | None = None
