"""`poll` of a connection: how often its vendor is asked what happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from crossdock_sdk import Polling
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from crossdock.config.durations import Duration

QUICKEST = timedelta(seconds=1)


def _instant(value: object) -> object:
    """A calendar date is its first instant in UTC."""
    if isinstance(value, str):
        try:
            return datetime.combine(date.fromisoformat(value), time.min, UTC)
        except ValueError:
            return value
    return value


class PollSettings(BaseModel):
    """How a connection is polled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Field(description="from one poll to the next")
    overlap: Duration = Field(description="how far each poll goes back behind the newest that was seen")
    since: Annotated[AwareDatetime, BeforeValidator(_instant)] | None = Field(
        default=None, description="what happened before is not wanted; default: when the connection is first used"
    )

    @field_validator("every")
    @classmethod
    def _paced(cls, every: timedelta) -> timedelta:
        if every < QUICKEST:
            raise ValueError("is too quick; a vendor is asked once in a second at most")
        return every


def poll_settings(given: Any, declared: Polling | None) -> PollSettings | None:
    """What `poll: …` of a connection comes to, over what its connector declares; `given` None is: as declared.

    None: it is not polled. Raises pydantic's `ValidationError`.
    """
    if declared is None or given is False or given == "off":
        return None
    body = given if isinstance(given, dict) else {} if given is None else {"every": given}
    return PollSettings.model_validate({"every": declared.every, "overlap": declared.overlap} | body)
