"""The stores that the contract is held to, and a small world to hold them to it in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import Checkpoint, ClaimedRun, Journal, NewEvent, NewRun, RunRow, RunUpdate
from crossdock.journal.sqlite import SqliteJournal

LEASE = timedelta(seconds=30)
CANARY = "canary-5f0e1b"


@dataclass
class Clock:
    """Time that stands still until it is told to go on."""

    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


def _sqlite(folder: Path, clock: Clock, redact: Callable[[str], str]) -> Journal:
    return SqliteJournal(folder / "crossdock.db", redact=redact, now=clock)


STORES: dict[str, Callable[[Path, Clock, Callable[[str], str]], Journal]] = {"sqlite": _sqlite}


@dataclass
class World:
    """A journal with one flow `f` of plan `p`, and shorthands for what a runner does."""

    journal: Journal
    clock: Clock
    events: int = 0
    seen: list[str] = field(default_factory=list)

    async def accept(self, key: str = "k", *, run: str | None = None, **more: Any) -> str:
        """A new event that starts one run; the run's id."""
        self.events += 1
        name = run or f"r{self.events}"
        event = NewEvent(f"e{self.events}", "deal.won", key, {"deal": {"id": key}})
        accepted = await self.journal.accept("crm", [(event, [NewRun(name, "f", key, "p", **more)])])
        assert accepted.runs == (name,)
        return name

    async def claim(self, owner: str = "me", limit: int = 10) -> list[ClaimedRun]:
        return await self.journal.claim(owner, limit, self.clock(), LEASE)

    async def claim_ids(self, owner: str = "me", limit: int = 10) -> list[str]:
        return [claimed.row.id for claimed in await self.claim(owner, limit)]

    async def only(self, owner: str = "me") -> ClaimedRun:
        [claimed] = await self.claim(owner)
        return claimed

    async def begin(self, key: str = "k", *, owner: str = "me") -> ClaimedRun:
        """A new run, claimed."""
        name = await self.accept(key)
        claimed = await self.journal.claim_run(name, owner, self.clock(), LEASE)
        assert claimed is not None
        return claimed

    async def write(self, run: ClaimedRun, status: str = "running", *steps: Checkpoint, **more: Any) -> int:
        """A checkpoint with these steps; `acquire` and `unlock` go to the journal, the rest to the update."""
        locks = {name: more.pop(name) for name in ("acquire", "unlock") if name in more}
        return await self.journal.checkpoint(run.claim, steps, RunUpdate(status, **more), self.clock() + LEASE, **locks)

    async def end(self, run: ClaimedRun, status: str = "succeeded", **more: Any) -> None:
        await self.write(run, status, ended=True, **more)

    async def row(self, run_id: str) -> RunRow:
        found = await self.journal.run(run_id)
        assert found is not None
        return found

    def step(self, kind: str = "apply", leg: str | None = "invoice", **data: Any) -> Checkpoint:
        return Checkpoint(kind, leg, "done", data, self.clock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Callable[[], Journal]:
    """Makes journals, not open yet, on one and the same database."""
    store = STORES[request.param]
    return lambda: store(tmp_path, clock, lambda text: text.replace(CANARY, "[redacted]"))


@pytest.fixture
async def journal(make: Callable[[], Journal]) -> AsyncIterator[Journal]:
    journal = make()
    await journal.open()
    await journal.store_plan("p", "f", {"legs": []})
    yield journal
    await journal.close()


@pytest.fixture
async def world(journal: Journal, clock: Clock) -> World:
    return World(journal, clock)


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "crossdock.db"
