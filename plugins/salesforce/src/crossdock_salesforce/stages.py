"""The org's sales stages, and when an opportunity was won by them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import RejectedError

from crossdock_salesforce import soql

_KEEP = timedelta(minutes=5)
HISTORY = (
    "(SELECT StageName, ForecastCategory, CreatedDate FROM OpportunityHistories ORDER BY CreatedDate DESC, Id DESC)"
)
"""The subquery that `won_at` needs; Salesforce writes a row whenever stage, amount or close date change."""


@dataclass(frozen=True, slots=True)
class Stage:
    label: str
    value: str
    active: bool
    closed: bool
    won: bool

    @property
    def status(self) -> str:
        return "won" if self.won else "lost" if self.closed else "open"


class Stages:
    """All stages of the org, inactive ones too. A stage's name proves nothing: orgs rename `Closed Won`."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.all = tuple(stages)
        self._by_name = {stage.label: stage for stage in self.all} | {stage.value: stage for stage in self.all}

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Stages:
        return cls(
            Stage(
                label=str(row["MasterLabel"]),
                value=str(row.get("ApiName") or row["MasterLabel"]),
                active=bool(row["IsActive"]),
                closed=bool(row["IsClosed"]),
                won=bool(row["IsWon"]),
            )
            for row in rows
        )

    def standing_for(self, status: str) -> str:
        """The value of the one active stage that means `status`. Raises `RejectedError` where several do."""
        fitting = [stage for stage in self.all if stage.active and stage.status == status]
        if len(fitting) == 1:
            return fitting[0].value
        named = ", ".join(stage.value for stage in fitting) or "none"
        raise RejectedError(
            f"the stages that mean {status} are {named}; name one with native: {{StageName: …}}", field="status"
        )

    def won_at(self, row: Mapping[str, Any], history: Iterable[Mapping[str, Any]]) -> datetime:
        """When the opportunity in `row`, which is won now, became so; `history` is what `HISTORY` selects.

        It is the start of the unbroken run of won stages that lasts until now. So neither an edit of a won
        opportunity nor a move from one won stage to the next is another win, and a win after a reopening is.
        Raises `ValueError`, `LookupError` or `TypeError` for what is not as documented.
        """
        since: datetime | None = None
        for entry in history:
            if not self._won(entry, row):
                break
            since = soql.instant(entry["CreatedDate"])
        found = since or soql.instant(row["CreatedDate"])
        if found is None:
            raise ValueError("CreatedDate is not set")
        return found

    def _won(self, entry: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
        name = str(entry["StageName"])
        stage = self._by_name.get(name)
        if stage is not None:
            return stage.won
        # A stage that was renamed or removed since: its forecast category still tells.
        return name == row.get("StageName") or entry.get("ForecastCategory") == "Closed"


class StagesOnce:
    """The stages, read when first needed and kept for five minutes."""

    def __init__(self, load: Callable[[], Awaitable[Stages]], now: Callable[[], datetime]) -> None:
        self._load = load
        self._now = now
        self._kept: tuple[Stages, datetime] | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Stages:
        async with self._lock:
            if self._kept is None or self._kept[1] <= self._now():
                self._kept = (await self._load(), self._now() + _KEEP)
            return self._kept[0]
