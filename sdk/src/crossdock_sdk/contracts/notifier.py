"""Notifiers: how a person is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from crossdock_sdk.contracts.connection import Connection


class LegReport(BaseModel):
    """How one leg ended: `stands`, `undone`, `failed`, `in doubt`, `skipped`, `kept` or `not reached`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leg: str
    state: str
    id: str | None = None
    url: str | None = None
    note: str | None = None


class AlertAction(BaseModel):
    """Something that a person may do about an alert at a press of a button.

    `token` is signed, good once, for this action on this run as it stands; whoever shows it may do that and no more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="such as replay, approve or reject")
    label: str = Field(description="what the button says")
    token: str = Field(repr=False)
    style: str | None = Field(default=None, description="primary or danger; None: neither")


class Alert(BaseModel):
    """What a person must know. All of it is redacted before a notifier sees it.

    `error` has `kind`, `message` (the vendor's own words) and, where known, `code`, `field`, `status`,
    `request_id`. `payload` is the exact input of the failed leg, or the event's data before any leg.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="the same in every try to deliver this alert")
    title: str
    severity: str = Field(
        default="error", description="error, warning, info, or good: what was told of before has come to a good end"
    )
    at: datetime
    flow: str | None = None
    run: str | None = None
    status: str | None = None
    key: str | None = None
    leg: str | None = None
    action: str | None = None
    connection: str | None = None
    error: dict[str, Any] = Field(default_factory=dict)
    payload: Any = None
    legs: tuple[LegReport, ...] = ()
    advice: str | None = Field(default=None, description="what to do, one line")
    links: dict[str, str] = Field(default_factory=dict, description="label → URL")
    actions: tuple[AlertAction, ...] = ()
    story: tuple[str, ...] = Field(default=(), description="what has become of it since, oldest first, one line each")
    thread: str | None = Field(default=None, description="alerts that belong together, such as those of one run")
    trace_id: str | None = None


class Notifier(ABC):
    """One way to reach people. One instance per connection.

    This is all that a notifier needs. One whose messages can be changed, answered or pressed is also a
    `ConversationNotifier` or `Interactive` (`crossdock_sdk.contracts.conversation`).
    """

    connection_class: ClassVar[type[Connection]]

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @abstractmethod
    async def notify(self, alert: Alert) -> None:
        """Deliver, or raise a `ConnectorError`; the runtime retries a transient one."""
