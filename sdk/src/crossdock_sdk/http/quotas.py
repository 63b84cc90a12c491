"""What a vendor's replies say of its limits, kept until it is out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from crossdock_sdk.contracts.account import Quota
from crossdock_sdk.http.reply import Reply

STALE = timedelta(hours=1)
"""A quota of which the vendor has said nothing for so long is not known any more."""

Read = Callable[[Reply], Iterable[Quota]]


class Quotas:
    """The newest of each quota by name. `read` finds them in a reply, a refusal too; where it fails, none is there."""

    def __init__(self, read: Read | None, now: Callable[[], datetime]) -> None:
        self._read = read
        self._now = now
        self._known: dict[str, tuple[Quota, datetime]] = {}

    @property
    def told(self) -> bool:
        """Whether replies are read for them."""
        return self._read is not None

    def note(self, reply: Reply) -> None:
        """Take in what a reply says."""
        if self._read is None:
            return
        now = self._now()
        try:
            told = tuple(self._read(reply))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return
        self._known |= {quota.name: (replace(quota, seen_at=now), now) for quota in told}

    @property
    def standing(self) -> tuple[Quota, ...]:
        """What still tells something."""
        now = self._now()
        known = self._known.values()
        return tuple(quota for quota, at in known if now - at < STALE and (quota.until is None or now < quota.until))
