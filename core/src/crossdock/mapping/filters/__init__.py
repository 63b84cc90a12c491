"""The filters of the expression language: those in the box, and those that plugins bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock_sdk import Transform

from crossdock.mapping.filters import lists, numbers
from crossdock.mapping.filters.spec import Filter, Reads
from crossdock.mapping.filters.texts import text_filters
from crossdock.mapping.filters.times import time_filters

__all__ = ("Filter", "Reads", "filter_box")

_NONE: Mapping[str, Any] = {}


def filter_box(
    *,
    zone: str = "UTC",
    tables: Mapping[str, Mapping[str, Any]] = _NONE,
    transforms: Mapping[str, Transform] = _NONE,
) -> dict[str, Filter]:
    """All filters by name, for a flow with that business time zone and those tables.

    A plugin's transform never replaces a filter of the box.
    """
    brought = {name: Filter(name, transform, transform.summary) for name, transform in transforms.items()}
    box = (*numbers.FILTERS, *lists.FILTERS, *time_filters(zone), *text_filters(tables))
    return brought | {found.name: found for found in box}
