"""Group commit: one writer takes all that has gathered and commits it in one transaction."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from crossdock_sdk.crashpoints import reach

from crossdock.journal.errors import Declined, JournalError
from crossdock.journal.statements import load
from crossdock.journal.store import Store, begin, explain, roll_back

T = TypeVar("T")
Unit: TypeAlias = Callable[[sqlite3.Connection], Any]
"""A piece of a transaction. It raises to undo itself, `Declined` before it writes anything; the others in its batch
are untouched. It may be called twice."""

_log = logging.getLogger("crossdock.journal")
_SQL = load("store")
LARGEST_BATCH = 512
"""Units in one transaction at most, so that no caller waits for an endless one."""


class JointUnit(ABC):
    """A unit that is cheaper done together with the others of its kind in a batch.

    Each statement lends the interpreter's lock to the event loop, and to have it back costs more than the statement.
    """

    def __call__(self, db: sqlite3.Connection) -> Any:
        [value] = self.together(db, [self])
        if isinstance(value, Declined):
            raise value
        return value

    @classmethod
    @abstractmethod
    def together(cls, db: sqlite3.Connection, units: Sequence[Any]) -> list[Any]:
        """Do them all; in the same order their values, or the `Declined` of one that has written nothing.

        It raises to undo all of them.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one unit: its value, or the error it raised."""

    value: Any = None
    error: Exception | None = None


class _UndoneError(Exception):
    """A unit failed after it may have written: the batch is begun again, with a savepoint for each."""


def commit_together(db: sqlite3.Connection, units: Sequence[Unit], patience: timedelta) -> list[Outcome]:
    """Run the units in one transaction, each whole or not at all. Raises `JournalError` if nothing is stored."""
    try:
        begin(db, patience)
        try:
            outcomes = _trusted(db, units)
        except _UndoneError:
            roll_back(db)
            begin(db, patience)
            outcomes = [_attempt(db, unit) for unit in units]
        reach("journal.written")
        db.execute(_SQL["commit"])
    except sqlite3.Error as error:
        roll_back(db)
        raise explain(error) from error
    except BaseException:
        roll_back(db)
        raise
    return outcomes


def _trusted(db: sqlite3.Connection, units: Sequence[Unit]) -> list[Outcome]:
    """A unit that declines has written nothing, so that a savepoint is needed only where something went wrong."""
    outcomes: dict[int, Outcome] = {}
    try:
        for kind, places in _joint(units).items():
            values = kind.together(db, [units[place] for place in places])
            outcomes |= zip(places, map(_outcome, values), strict=True)
        for place, unit in enumerate(units):
            if place not in outcomes:
                outcomes[place] = _done(db, unit)
    except Exception as error:
        raise _UndoneError from error
    return [outcomes[place] for place in range(len(units))]


def _outcome(value: Any) -> Outcome:
    return Outcome(error=value) if isinstance(value, Declined) else Outcome(value)


def _joint(units: Sequence[Unit]) -> dict[type[JointUnit], list[int]]:
    """The kinds of joint units, and where they stand."""
    kinds: dict[type[JointUnit], list[int]] = defaultdict(list)
    for place, unit in enumerate(units):
        if isinstance(unit, JointUnit):
            kinds[type(unit)].append(place)
    return kinds


def _done(db: sqlite3.Connection, unit: Unit) -> Outcome:
    try:
        return Outcome(unit(db))
    except Declined as error:
        return Outcome(error=error)


def _attempt(db: sqlite3.Connection, unit: Unit) -> Outcome:
    db.execute(_SQL["savepoint"])
    try:
        value = unit(db)
    except Exception as error:
        if not db.in_transaction:
            # SQLite gave the whole transaction up (disk full, I/O): the other units' writes are gone too.
            raise
        db.execute(_SQL["undo_unit"])
        db.execute(_SQL["release"])
        return Outcome(error=explain(error) if isinstance(error, sqlite3.Error) else error)
    db.execute(_SQL["release"])
    return Outcome(value)


class Writer:
    """Hands units to the store's thread, as many at once as have gathered while it was busy.

    `guard` raises `JournalError` where nothing may be written. `patience` is for other processes that write.
    """

    def __init__(
        self, store: Store, guard: Callable[[], None] = lambda: None, patience: timedelta = timedelta(seconds=10)
    ) -> None:
        self._store = store
        self._patience = patience
        self._guard = guard
        self._waiting: deque[tuple[Unit, asyncio.Future[Any]]] = deque()
        self._busy: asyncio.Task[None] | None = None
        self._closed = False
        self.commits = 0
        """Transactions committed so far."""
        self.trouble: str | None = None
        """Why the newest transaction with something to write failed; None if it did not."""

    async def write(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit; returns its value once it is durable.

        A caller that is cancelled gets no answer, but its unit is still written whole or not at all.
        """
        if self._closed:
            raise JournalError("the journal is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, future))
        if self._busy is None:
            self._busy = asyncio.create_task(self._drain(), name="journal-writer")
        return await future

    async def between(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do what is no part of a transaction, between two; not a unit, so it is not undone if it fails."""
        if self._closed:
            raise JournalError("the journal is closed")
        try:
            return await self._store.perform(work)
        except sqlite3.Error as error:
            raise explain(error) from error

    async def close(self) -> None:
        """Write what has gathered; nothing may be written after it."""
        self._closed = True
        if self._busy is not None:
            await asyncio.wait([self._busy])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), LARGEST_BATCH)
                await self._commit([self._waiting.popleft() for _ in range(size)])
        finally:
            self._busy = None

    def _perform(self, db: sqlite3.Connection, units: Sequence[Unit]) -> tuple[list[Outcome], bool]:
        self._guard()
        before = db.total_changes
        return commit_together(db, units, self._patience), db.total_changes != before

    async def _commit(self, batch: list[tuple[Unit, asyncio.Future[Any]]]) -> None:
        wanted = [(unit, future) for unit, future in batch if not future.done()]
        if not wanted:
            return
        units = [unit for unit, _ in wanted]
        try:
            outcomes, wrote = await self._store.perform(lambda db: self._perform(db, units))
            self.commits += 1
            reach("journal.committed")
            if wrote and self.trouble:
                _log.warning("the journal takes writes again")
                self.trouble = None
        except asyncio.CancelledError:
            for _, future in wanted:
                future.cancel()
            raise
        except Exception as error:
            if self.trouble != str(error):
                _log.error("the journal takes no writes: %s", error)
            self.trouble = str(error)
            kind = type(error) if isinstance(error, JournalError) else JournalError
            outcomes = [Outcome(error=kind(str(error))) for _ in wanted]
        for (_, future), outcome in zip(wanted, outcomes, strict=True):
            if future.done():
                continue
            if outcome.error is None:
                future.set_result(outcome.value)
            else:
                future.set_exception(outcome.error)
