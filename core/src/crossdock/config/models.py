"""The routing file as models: immutable, and a key that they do not know is an error."""

from __future__ import annotations

import hashlib
import re
import zoneinfo
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from crossdock_sdk import jsonio
from crossdock_sdk.models import Number
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from crossdock.config.durations import Duration
from crossdock.words import did_you_mean

OnFailure = Literal["rollback", "skip", "hold"]
Again = Literal["hold", "ignore", "allow"]

ALWAYS = "always"
ORIGIN = "origin"
"""Under this name expressions read the receipts of the run that a flow follows."""
LEG_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
_DOTTED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$")
_RESERVED = {"and", "or", "not", "if", "else", "in", "is", "true", "false", "none"}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RetryPolicy(_Model):
    """How often and after what pause a transient failure is tried again."""

    attempts: int = Field(default=3, ge=0, le=100, description="retries after the first try")
    first: Duration = Field(default=timedelta(seconds=2), description="pause before the first retry")
    factor: Number = Field(default=Decimal(4), ge=1, le=100, description="each pause is this many times the one before")
    max: Duration = Field(default=timedelta(minutes=10), description="the longest pause")

    @model_validator(mode="after")
    def _ordered(self) -> RetryPolicy:
        if self.first > self.max:
            raise ValueError("first is longer than max; the first pause cannot be the longest")
        return self


class Check(_Model):
    """Something that must hold before a leg writes."""

    that: str = Field(description="an expression that must be true")
    say: str = Field(description="what a person reads when it is not")


class Leg(_Model):
    """One write into one system."""

    name: str = Field(pattern=LEG_NAME, description="later legs and checks read its receipt under this name")
    do: str = Field(description="connection and action, such as books.invoice.create")
    enabled: bool = Field(default=True, description="a leg that is not enabled is left out")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="the action's input: values or {{ expressions }}"
    )
    on_failure: OnFailure | None = Field(
        default=None, description="when the leg has failed for good; default: the flow's"
    )

    @field_validator("name")
    @classmethod
    def _readable(cls, name: str) -> str:
        if name.lower() in _RESERVED:
            raise ValueError(f"{name} is a word of the expression language; choose another name")
        if name == ORIGIN:
            raise ValueError(f"{name} is what a flow follows; choose another name")
        return name

    @field_validator("do")
    @classmethod
    def _do(cls, do: str) -> str:
        return _dotted(do, "a connection and an action, such as books.invoice.create")

    @property
    def connection(self) -> str:
        return self.do.partition(".")[0]

    @property
    def action(self) -> str:
        return self.do.partition(".")[2]


class _Waiting(_Model):
    """How long a run waits for a person's yes."""

    timeout: Duration | None = Field(default=None, description="how long a yes is waited for; default: for ever")
    on_timeout: Literal["reject", "remind"] = Field(
        default="reject",
        description="then the run ends and nothing is written, or people are told again and it waits on",
    )


class Supervise(_Waiting):
    """The first runs of a flow wait for a person's yes before they write."""

    first: int = Field(
        ge=1, le=1_000_000, description="how many runs must have been approved before others go by themselves"
    )


class Approve(_Waiting):
    """Runs that wait for a person's yes before they write, however many have been approved."""

    when: str = Field(default=ALWAYS, description="always, or an expression over the records and what would be written")

    @model_validator(mode="before")
    @classmethod
    def _always(cls, data: Any) -> Any:
        return {"when": data} if isinstance(data, str) else data


class Flow(_Model):
    """The routing from one event type to legs, in the order of the file."""

    name: str = Field(pattern=NAME)
    when: str = Field(description="connection and event, such as crm.deal.won")
    key: str | None = Field(
        default=None, description="runs with the same key go one after another; default: the event's subject"
    )
    follow: str | None = Field(
        default=None,
        description="the flow that made what the event is about; its receipts are read as origin.<leg>.<field>",
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="fields that may carry values nobody maps, such as deal.custom.*"
    )
    checks: tuple[Check, ...] = Field(default=(), description="what must hold before any leg writes")
    legs: tuple[Leg, ...] = Field(min_length=1, description="the writes, in order")
    retry: RetryPolicy = Field(default_factory=RetryPolicy, description="how a transient failure is tried again")
    notify: tuple[str, ...] = Field(default=(), description="connections that tell a person")
    supervise: Supervise | None = Field(default=None, description="the first runs wait for a person's yes")
    approve: Approve | None = Field(
        default=None, description="always, or {when: an expression}: such runs wait for a person's yes"
    )
    again: Again = Field(default="hold", description="a second event for a key that already succeeded")
    on_failure: Literal["rollback", "hold"] = Field(default="rollback", description="when a leg has failed for good")
    zone: str = Field(default="UTC", description="business time zone, such as Europe/Berlin")
    tables: dict[str, dict[str, Any]] = Field(default_factory=dict, description="tables for the filter lookup")

    @model_validator(mode="before")
    @classmethod
    def _legs_by_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("legs"), dict):
            named = data["legs"].items()
            legs = [body | {"name": name} if isinstance(body, dict) else body for name, body in named]
            return data | {"legs": legs}
        return data

    @field_validator("when")
    @classmethod
    def _when(cls, when: str) -> str:
        return _dotted(when, "a connection and an event, such as crm.deal.won")

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = did_you_mean(zone, zoneinfo.available_timezones())
            raise ValueError(f"unknown time zone {zone}{hint or '; write it like Europe/Berlin'}") from None
        return zone

    @model_validator(mode="after")
    def _distinct_legs(self) -> Flow:
        names = [leg.name for leg in self.legs]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two legs are named {twice[0]}")
        return self

    @property
    def source(self) -> str:
        return self.when.partition(".")[0]

    @property
    def event(self) -> str:
        return self.when.partition(".")[2]

    def leg(self, name: str) -> Leg:
        """The leg of that name. Raises `KeyError`."""
        return {leg.name: leg for leg in self.legs}[name]

    def to_plan(self) -> dict[str, Any]:
        """The flow as JSON-ready data, which a run keeps; `Flow.from_plan` reads it back."""
        plan: dict[str, Any] = jsonio.plain(self.model_dump(mode="python", by_alias=True))
        return plan

    @classmethod
    def from_plan(cls, plan: dict[str, Any]) -> Flow:
        """The flow of a stored plan. Raises pydantic's `ValidationError`."""
        return cls.model_validate(plan)

    def plan_hash(self) -> str:
        """SHA-256 of the plan's canonical JSON, in hex; equal for equal plans."""
        return hashlib.sha256(jsonio.canonical(self.to_plan())).hexdigest()


class ConnectionEntry(_Model):
    """One configured account. `settings` holds secrets in clear, and so may `raw`, which is as in the file."""

    name: str = Field(pattern=NAME)
    connector: str
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    raw: dict[str, Any] = Field(default_factory=dict, repr=False)


class Retention(_Model):
    """How long the journal keeps what runs were about, and the runs themselves, after they have ended."""

    payloads: Duration = Field(
        default=timedelta(days=30), description="events' data, records and inputs; replays need them"
    )
    runs: Duration = Field(default=timedelta(days=365), description="what happened when, and what was made")

    @model_validator(mode="after")
    def _ordered(self) -> Retention:
        if self.payloads > self.runs:
            raise ValueError("payloads is longer than runs; a payload cannot outlive its run")
        return self


class RoutingFile(_Model):
    """The whole file, by name."""

    version: Literal[1] = Field(description="version of this format")
    connections: dict[Annotated[str, Field(pattern=NAME)], ConnectionEntry] = Field(
        default_factory=dict, description="accounts, each with its connector and that one's own keys"
    )
    flows: dict[Annotated[str, Field(pattern=NAME)], Flow] = Field(
        default_factory=dict, description="what is to happen when"
    )
    retention: Retention = Field(default_factory=Retention, description="how long things are kept")


def _dotted(value: str, what: str) -> str:
    if not _DOTTED.match(value):
        raise ValueError(f"{value!r} is not {what}")
    return value
