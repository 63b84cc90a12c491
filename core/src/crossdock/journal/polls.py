"""How far sources have been read by polling; one process at a time reads a source."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from crossdock.journal.codec import instant, instant_or_none, micros
from crossdock.journal.errors import Declined
from crossdock.journal.intake import Accept, Arrival
from crossdock.journal.rows import Accepted, Arrivals
from crossdock.journal.statements import load

T = TypeVar("T")
_SQL = load("polls")


class PollLost(Declined):
    """Another process reads the source by now. Stop at once; what was read since is not stored."""

    def __init__(self, connection: str) -> None:
        super().__init__(f"the poll of {connection} is another process's by now, or its account has changed")


@dataclass(frozen=True, slots=True)
class Poll:
    """The state of one source. `owner` and `fence` say who reads it now; `failing_since` is None while all is well."""

    connection: str
    account: str
    cursor: str | None
    since: datetime
    due_at: datetime
    called: bool
    owner: str | None
    fence: int
    failures: int
    failing_since: datetime | None
    reason: str | None
    read_at: datetime | None


class Polls(Protocol):
    """A journal's polls. All methods raise `JournalError` if the store itself fails."""

    async def begin(
        self, connection: str, account: str, since: datetime, due_at: datetime, *, moved: bool = False
    ) -> bool:
        """Store a source to be polled; True if it is new, or begins anew: its account is another one, or `moved`, and
        `since` is earlier than it was."""
        ...

    async def claim(self, connection: str, owner: str, now: datetime, lease_until: datetime) -> Poll | None:
        """Take a source that is due, or that a webhook has called for; None if it is not due or somebody has it."""
        ...

    async def turn(self, poll: Poll, cursor: str, lease_until: datetime, arrivals: Arrivals) -> Accepted:
        """Store a page's events and runs with the cursor after it. Raises `PollLost`, and then stores nothing."""
        ...

    async def end(self, poll: Poll, cursor: str, due_at: datetime, arrivals: Arrivals) -> Accepted:
        """The same for the last page: the source is given back, until `due_at`."""
        ...

    async def fail(self, poll: Poll, due_at: datetime, reason: str) -> None:
        """Give the source back unread; nothing if it is another's by now."""

    async def release(self, poll: Poll) -> None:
        """Give the source back as it is, due as it was; nothing if it is another's by now."""

    async def call(self, connection: str) -> None:
        """Let the source be read as soon as may be, once more if it is being read now."""

    async def free(self, owner_alive: Callable[[str], bool]) -> None:
        """Free what processes hold that are gone."""

    async def all(self) -> list[Poll]:
        """Every source that was ever polled, by connection."""
        ...


class SqlitePolls:
    """The polls of a SQLite journal; `write` and `read` are its own, `rows` is how it stores arrivals."""

    def __init__(
        self,
        write: Callable[[Callable[[sqlite3.Connection], Any]], Any],
        read: Callable[..., Any],
        rows: Callable[[str, Arrivals], Sequence[Arrival]],
        redact: Callable[[str], str],
        now: Callable[[], datetime],
    ) -> None:
        self._write = write
        self._rows = rows
        self._read = read
        self._redact = redact
        self._now = now

    async def begin(
        self, connection: str, account: str, since: datetime, due_at: datetime, *, moved: bool = False
    ) -> bool:
        values: dict[str, Any] = {"connection": connection, "account": account, "moved": moved}
        values |= {"since": micros(since), "due_at": micros(due_at)}
        return bool(await self._write(partial(_one, name="begin_poll", values=values)))

    async def claim(self, connection: str, owner: str, now: datetime, lease_until: datetime) -> Poll | None:
        values = {"connection": connection, "owner": owner, "now": micros(now), "lease_until": micros(lease_until)}
        row = await self._write(partial(_one, name="claim_poll", values=values))
        return None if row is None else _poll(row)

    async def turn(self, poll: Poll, cursor: str, lease_until: datetime, arrivals: Arrivals) -> Accepted:
        values = _held(poll) | {"cursor": cursor, "lease_until": micros(lease_until)}
        return await self._page("turn_page", values, arrivals)

    async def end(self, poll: Poll, cursor: str, due_at: datetime, arrivals: Arrivals) -> Accepted:
        values = _held(poll) | {"cursor": cursor, "due_at": micros(due_at), "now": micros(self._now())}
        return await self._page("end_poll", values, arrivals)

    async def _page(self, name: str, values: dict[str, Any], arrivals: Arrivals) -> Accepted:
        rows = self._rows(values["connection"], arrivals)
        accepted: Accepted = await self._write(partial(_take_page, name=name, values=values, arrivals=rows))
        return accepted

    async def fail(self, poll: Poll, due_at: datetime, reason: str) -> None:
        values = _held(poll) | {"due_at": micros(due_at), "now": micros(self._now()), "reason": self._redact(reason)}
        await self._write(partial(_do, name="fail_poll", values=values))

    async def release(self, poll: Poll) -> None:
        await self._write(partial(_do, name="release_poll", values=_held(poll)))

    async def call(self, connection: str) -> None:
        await self._write(partial(_do, name="call_poll", values=(connection,)))

    async def free(self, owner_alive: Callable[[str], bool]) -> None:
        owners = {poll.owner for poll in await self.all() if poll.owner is not None}
        for owner in owners:
            if not owner_alive(owner):
                await self._write(partial(_do, name="free_polls", values=(owner,)))

    async def all(self) -> list[Poll]:
        polls: list[Poll] = await self._read(_all)
        return polls


def _take_page(db: sqlite3.Connection, name: str, values: Mapping[str, Any], arrivals: Sequence[Arrival]) -> Accepted:
    if db.execute(_SQL[name], values).fetchone() is None:
        raise PollLost(values["connection"])
    [accepted] = Accept.together(db, [Accept(arrivals)])
    return accepted


def _one(db: sqlite3.Connection, name: str, values: Any) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(_SQL[name], values).fetchone()
    return row


def _do(db: sqlite3.Connection, name: str, values: Any) -> None:
    db.execute(_SQL[name], values)


def _all(db: sqlite3.Connection) -> list[Poll]:
    return [_poll(row) for row in db.execute(_SQL["all_polls"]).fetchall()]


def _held(poll: Poll) -> dict[str, Any]:
    return {"connection": poll.connection, "owner": poll.owner, "fence": poll.fence}


def _poll(row: Mapping[str, Any]) -> Poll:
    return Poll(
        connection=row["connection"],
        account=row["account"],
        cursor=row["cursor"],
        since=instant(row["since"]),
        due_at=instant(row["due_at"]),
        called=bool(row["called"]),
        owner=row["owner"],
        fence=row["fence"],
        failures=row["failures"],
        failing_since=instant_or_none(row["failing_since"]),
        reason=row["reason"],
        read_at=instant_or_none(row["read_at"]),
    )
