"""How a notifier's connection wants to be told, whatever its connector: `notes`, `group` and `operators`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from crossdock.config.durations import Duration

KEYS = ("notes", "group", "operators")


def _window(value: object) -> object:
    return timedelta() if value is False or value == "off" else value


class Telling(BaseModel):
    """What is told, how much of it at once, and who may act on it there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notes: bool = Field(default=True, description="whether it is told, too, that something ended well after all")
    group: Annotated[Duration, BeforeValidator(_window)] = Field(
        default=timedelta(minutes=10), description="so long runs that fail alike are one message; off: each is its own"
    )
    operators: tuple[str, ...] | None = Field(
        default=None, description="who may press its buttons, by the vendor's user ids; default: whoever sees them"
    )


def telling(given: dict[str, Any]) -> Telling:
    """These settings of a connection. Raises pydantic's `ValidationError`."""
    return Telling.model_validate({name: given[name] for name in KEYS if name in given})
