"""What the API answers, for its description; the replies themselves are written so that every number stays exact."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

_RUN = "01k9x3v7q2m8t4c6w0y5z1b3d7"
_AT = "2026-11-26T09:15:02.123456Z"


class RunSummary(BaseModel):
    """One run in a list."""

    id: str = Field(examples=[_RUN])
    flow: str = Field(examples=["deal-to-invoice"])
    key: str = Field(examples=["812"])
    label: str | None = Field(description="what people call it; null before its record is read", examples=["Roof"])
    status: str = Field(examples=["dead"])
    leg: str | None = Field(description="where it stands or stopped", examples=["invoice"])
    connection: str | None = Field(
        description="where it stopped or waits: the leg's connection, or the source's while it reads; null while all"
        " goes well",
        examples=["books"],
    )
    error: dict[str, Any] | None = Field(examples=[{"kind": "rejected", "message": "no such tax code"}])
    created_at: datetime = Field(examples=[_AT])
    updated_at: datetime = Field(examples=[_AT])
    due_at: datetime | None = Field(description="when it goes on by itself", examples=[None])
    ended_at: datetime | None = Field(examples=[_AT])
    waits_for: str | None = Field(examples=[None, "connection:books"])
    replay_of: str | None = Field(examples=[None])
    trace_id: str | None = Field(examples=["0a14381c0c94a19f263707fa699d3792"])
    payload_removed_at: datetime | None = Field(examples=[None])
    dismissed: bool = Field(description="a person has said that nothing more is to be done about it")


class RunPage(BaseModel):
    """Runs, newest first."""

    items: list[RunSummary]
    next_cursor: str | None = Field(description="give it back as `cursor` for the next page", examples=["AAX…"])
    partial: bool = Field(
        description="the search was broken off after many candidates; `next_cursor` goes on from there",
        examples=[False],
    )


class BucketReply(BaseModel):
    """What ended in one piece of time."""

    start: datetime = Field(examples=["2026-11-26T09:15:00Z"])
    runs: dict[str, dict[str, int]] = Field(
        description="by flow and ending", examples=[{"deal-to-invoice": {"succeeded": 41, "dead": 1}}]
    )
    p50_seconds: float | None = Field(
        description="within which half of the successful runs had ended; null if none succeeded", examples=[1.4]
    )
    p95_seconds: float | None = Field(examples=[4.8])


class ThroughputReply(BaseModel):
    """How many runs ended, by time; runs that retention has deleted count on."""

    bucket_seconds: int = Field(examples=[60])
    since: datetime = Field(examples=["2026-11-26T08:16:00Z"])
    until: datetime = Field(examples=["2026-11-26T09:16:00Z"])
    items: list[BucketReply] = Field(description="oldest first, without gaps")
    total: BucketReply


class FlowOverview(BaseModel):
    """One flow at a glance."""

    name: str = Field(examples=["deal-to-invoice"])
    runs: dict[str, int] = Field(examples=[{"succeeded": 41020, "running": 3, "dead": 2}])
    needs_person: int = Field(examples=[2])
    oldest_unfinished: datetime | None = Field(description="when that run was created", examples=[_AT])


class Needing(BaseModel):
    """Runs that need a person: held, in doubt, waiting for approval, or failed and neither replayed nor dismissed."""

    total: int = Field(examples=[2])
    items: list[RunSummary] = Field(description="the oldest of them first")


class OverviewReply(BaseModel):
    """All flows that have runs, and what needs a person."""

    flows: list[FlowOverview]
    needs_person: Needing
