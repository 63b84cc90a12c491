"""What the API answers, for its description; the replies themselves are written so that every number stays exact."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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


class LegReply(BaseModel):
    """How one leg of a run stands."""

    leg: str = Field(examples=["invoice"])
    state: str = Field(examples=["failed"])
    id: str | None = Field(description="the vendor's id of what it made", examples=["1041"])
    url: str | None = Field(description="the vendor's own page of it")
    note: str | None


class StepReply(BaseModel):
    """One checkpoint of a run."""

    seq: int = Field(examples=[5])
    kind: str = Field(examples=["apply"])
    leg: str | None = Field(examples=["invoice"])
    phase: str = Field(examples=["failed"])
    at: datetime = Field(examples=[_AT])
    data: dict[str, Any] = Field(description="what it tells; `http` is what went over the wire")


class RunDetail(RunSummary):
    """One run with all that is known of it."""

    replayed_by: str | None
    origin: dict[str, Any] | None = Field(description="the run that it follows")
    takeovers: int = Field(description="performers that vanished", examples=[0])
    edits: list[dict[str, Any]] = Field(description="what people changed: path, before, after")
    records: dict[str, Any] | None = Field(description="what it has read, as it has it now")
    approval: dict[str, Any] | None = Field(description="the yes that it waits for, or got, with all it would write")
    event: dict[str, Any] | None
    legs: list[LegReply]
    payload: Any = Field(description="what the leg at which it went wrong was given")
    steps: list[StepReply]


class LegPreviewReply(BaseModel):
    """What a replay would do about one leg."""

    leg: str = Field(examples=["invoice"])
    do: str = Field(examples=["books.invoice.create"])
    fate: str = Field(description="write, keep, differs, settle, redo, off or broken", examples=["write"])
    input: dict[str, Any] | None
    error: str | None
    id: str | None
    url: str | None


class PreviewReply(BaseModel):
    """What a replay would write; nothing was."""

    ok: bool = Field(examples=[True])
    run: str = Field(examples=[_RUN])
    flow: str = Field(examples=["deal-to-invoice"])
    plan: str
    edits: list[dict[str, Any]]
    legs: list[LegPreviewReply]
    checks: list[dict[str, Any]]
    unmapped: list[dict[str, Any]]
    problem: str | None = Field(description="what would stop it before it writes", examples=[None])


class PausedReply(BaseModel):
    """Who has stopped something, why and since when."""

    by: str = Field(examples=["ann"])
    why: str | None = Field(examples=["the books are being closed"])
    since: datetime = Field(examples=[_AT])


class PauseReply(BaseModel):
    """A flow or a connection, and whether it is stopped by a person."""

    kind: str = Field(examples=["flow"])
    name: str = Field(examples=["deal-to-invoice"])
    paused: PausedReply | None


class FlowReply(BaseModel):
    """One flow in force."""

    name: str = Field(examples=["deal-to-invoice"])
    when: str = Field(examples=["crm.deal.won"])
    follow: str | None
    plan: str
    legs: list[dict[str, Any]]
    runs: dict[str, int] = Field(examples=[{"succeeded": 41020}])
    paused: PausedReply | None


class FlowsReply(BaseModel):
    """The flows in force."""

    items: list[FlowReply]
    problems: list[str] = Field(description="why the newest routing file was refused")


class QuotaReply(BaseModel):
    """One limit of a vendor's, in its own units."""

    name: str = Field(examples=["daily"])
    remaining: float = Field(examples=[9870])
    limit: float | None = Field(examples=[10000])
    until: datetime | None = Field(description="when it is full again", examples=[_AT])
    seen_at: datetime | None = Field(description="when the vendor said so", examples=[_AT])


class HeadroomReply(BaseModel):
    """How far a connection is from its vendor's limits, as far as this process has been told."""

    told: bool = Field(description="whether the vendor's replies tell of its limits at all")
    pause_seconds: float = Field(description="for how long the vendor has asked to be left alone", examples=[0])
    quotas: list[QuotaReply]


class TokenEndsReply(BaseModel):
    """When the stored tokens end, as far as the vendor tells. An access token is renewed by itself."""

    access: datetime | None = Field(default=None, examples=[_AT])
    refresh: datetime | None = Field(default=None, examples=[_AT])


class ConnectionReply(BaseModel):
    """One connection."""

    name: str = Field(examples=["books"])
    connector: str = Field(examples=["quickbooks"])
    status: str = Field(description="active, paused, down or stopped", examples=["active"])
    reason: str | None
    circuit: str | None = Field(description="closed, open or half_open; null if it is stopped", examples=["closed"])
    trying: str | None = Field(description="the run that tries it now")
    since: datetime | None
    next_try: datetime | None
    webhooks: dict[str, Any] | None
    poll: dict[str, Any] | None
    paused: PausedReply | None
    tokens: TokenEndsReply | None
    headroom: HeadroomReply | None


class ConnectionsReply(BaseModel):
    """The connections in force."""

    items: list[ConnectionReply]


class SourceReply(BaseModel):
    """Which expression makes a field of a leg's input."""

    leg: str = Field(examples=["invoice"])
    target: str = Field(examples=["lines.*.sku"])
    expression: str = Field(examples=["{{ product.code }}"])
    reads: list[str] = Field(examples=[["deal.products.*.code"]])
    filters: list[str]
    enabled: bool
    place: str | None = Field(description="the file and line that say so", examples=["crossdock.yaml:31"])


class FlowDetail(FlowReply):
    """One flow in force, with its mapping."""

    records: list[str] = Field(description="what its event brings, for `forecast`", examples=[["deal"]])
    mapping: list[SourceReply]


class ForecastReply(BaseModel):
    """What a flow would write for some records; nothing was."""

    ok: bool = Field(examples=[True])
    flow: str = Field(examples=["deal-to-invoice"])
    legs: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    unmapped: list[dict[str, Any]]
    problem: str | None = Field(description="what would stop it before it writes", examples=[None])
    follow: str | None
    changed: list[str]


class ActReply(BaseModel):
    """Something that a person did."""

    at: datetime = Field(examples=[_AT])
    actor: str = Field(examples=["ann"])
    via: str = Field(description="page, api, cli or chat", examples=["page"])
    action: str = Field(examples=["replay"])
    kind: str = Field(examples=["run"])
    subject: str = Field(examples=[_RUN])
    why: str | None = Field(examples=["the SKU was mistyped in the CRM"])
    before: Any = Field(examples=[{"status": "dead"}])
    after: Any


class ActPage(BaseModel):
    """What people did, newest first."""

    items: list[ActReply]
    next_cursor: str | None


class MeReply(BaseModel):
    """Who you are."""

    name: str = Field(examples=["ann"])
    role: str = Field(examples=["operator"])
    scopes: list[str] | None = Field(description="the parts of the API that you are confined to; null: none")


class PersonReply(BaseModel):
    """Somebody who is let in, or was."""

    name: str = Field(examples=["ann"])
    role: str = Field(examples=["operator"])
    created_at: datetime = Field(examples=[_AT])
    disabled_at: datetime | None


class PeopleReply(BaseModel):
    """Everybody."""

    items: list[PersonReply]


class TokenReply(BaseModel):
    """A token for a program, without itself."""

    id: str = Field(examples=["3f9c2a11d04b"])
    name: str = Field(examples=["grafana"])
    role: str = Field(examples=["viewer"])
    created_by: str
    created_at: datetime = Field(examples=[_AT])
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None
    scopes: list[str] | None = Field(
        description="the parts of the API that it opens; null: all", examples=[["metrics"]]
    )


class NewTokenReply(TokenReply):
    """A token, this once with itself."""

    token: str = Field(examples=["cdk_…"])


class TokensReply(BaseModel):
    """All tokens."""

    items: list[TokenReply]


class RevokedReply(BaseModel):
    """A token that opens nothing any more."""

    id: str = Field(examples=["3f9c2a11d04b"])
    revoked_at: datetime


class JobReply(BaseModel):
    """A bulk job, and how far it is."""

    model_config = ConfigDict(extra="allow")

    id: str
    action: str = Field(examples=["replay"])
    wanted: dict[str, Any]
    edits: list[dict[str, Any]]
    why: str | None
    by: str = Field(examples=["ann"])
    pace: float = Field(examples=[5.0])
    stop_after: int | None
    status: str = Field(description="working, stopped or done", examples=["working"])
    reason: str | None
    created_at: datetime = Field(examples=[_AT])
    ended_at: datetime | None
    total: int = Field(examples=[200])
    waiting: int = Field(examples=[120])
    skipped: int = Field(examples=[0])
    done: int = Field(examples=[80])
    ended_well: int = Field(examples=[75])
    failed: int = Field(examples=[1])
    at_work: int = Field(examples=[4])
    eta_seconds: int | None = Field(examples=[24])


class JobsReply(BaseModel):
    """Bulk jobs, newest first."""

    items: list[JobReply]


class ProspectReply(BaseModel):
    """What a bulk job would come to."""

    fit: int = Field(examples=[200])
    left_out: dict[str, int] = Field(examples=[{"dead: replayed or dismissed already": 3}])
    first: list[RunSummary]
    partial: bool = Field(description="there are more than the job would take")


class HealthReply(BaseModel):
    """Whether the process answers."""

    status: str = Field(examples=["ok"])


class ReadyReply(BaseModel):
    """Whether runs make progress."""

    status: str = Field(examples=["ready"])
    journal: str = Field(examples=["ok"])
    oldest_due_seconds: float = Field(examples=[0.0])
    config: str = Field(examples=["in force"])


class TakenReply(BaseModel):
    """What became of a delivery."""

    accepted: int = Field(examples=[1])
    duplicates: int = Field(examples=[0])
    ignored: int = Field(examples=[0])


class CheckReply(BaseModel):
    """What a vendor said of a connection."""

    model_config = ConfigDict(extra="allow")

    state: str = Field(description="ok, wrong or warning", examples=["ok"])
    asked: bool = Field(description="false where there is no such question", examples=[True])
    error: dict[str, Any] | None
    clock_skew_seconds: float | None = Field(description="how far this machine's clock is ahead", examples=[0.4])
    checked_at: datetime = Field(examples=[_AT])
