"""Transforms: named filters for mapping expressions, `{{ deal.title | shout }}`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class Transform(ABC):
    """A pure function under a name. Same arguments, same result; no I/O, no clock, no float."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """The filtered value. Raises `ValueError` with one line for the person who wrote the mapping."""
