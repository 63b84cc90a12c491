"""What a connection can say of its account: whether it answers, and how much of the vendor's limits is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What `Connection.check` found."""

    answer: str
    """One line for a person: whom the credentials belong to, such as `Ada Lovelace at acme`."""
    vendor_time: datetime | None = None
    """The vendor's clock, in whole seconds, where its reply shows it (`Reply.date`)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What the vendor's newest reply said of one of its limits, in the vendor's own units."""

    name: str
    """Which limit, a word of the connector such as `burst` or `daily`; never one from a reply."""
    remaining: float
    limit: float | None = None
    until: datetime | None = None
    """When it is filled up again, if the vendor says so; it tells nothing from then on."""
    seen_at: datetime | None = None
    """When that reply came; `ApiClient` fills it in."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """How far a connection is from its vendor's limits, as far as is known without a question."""

    quotas: tuple[Quota, ...] = ()
    pause: float = 0.0
    """Seconds for which the vendor has asked to be left alone, from now."""
    told: bool = False
    """Whether the vendor's replies tell of its limits at all, though perhaps none has yet."""
