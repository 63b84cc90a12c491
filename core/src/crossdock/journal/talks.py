"""Talks: which alerts belong to one message, where it stands, and what of it has been told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.audit import StoredAct, stored_act
from crossdock.journal.codec import JsonText, instant, instant_or_none, micros, run_row
from crossdock.journal.hooks import Read, Write
from crossdock.journal.rows import RunRow, StoredAlert
from crossdock.journal.statements import load

_SQL = load("talks")
EVERY = timedelta(seconds=30)
"""A message about many is written anew so often at most; the migration's triggers hold to it, too."""
_MICRO = timedelta(microseconds=1)


class Part(Enum):
    """What an alert is to a talk."""

    LEAD = "lead"
    """The talk begins with it: post it."""
    REPLY = "reply"
    """It belongs below the message that stands."""
    ALONE = "alone"
    """It is told by itself."""
    GATHERED = "gathered"
    """The talk's message, written anew, will tell of it."""
    LATER = "later"
    """The message that it belongs below is not posted yet."""
    TOLD = "told"
    """It has been told already."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One message at one notifier, or what is gathered for one. `posted` None: not posted, or not to be changed."""

    no: int
    notifier: str
    lead: str
    begun_at: datetime
    open_until: datetime
    posted: dict[str, Any] | None
    written_at: datetime | None
    tries: int
    version: int
    threads: int
    joined: int


@dataclass(frozen=True, slots=True)
class Joining:
    """An alert that looks for its talk.

    `likeness` None: none but its thread's. `converses`: the notifier can change what it posted; where it cannot,
    `at_once` of those that are alike are told alone before the rest is gathered. `note`: it ends its thread's talk.
    """

    alert: str
    notifier: str
    thread: str | None
    likeness: str | None
    converses: bool
    window: timedelta
    at_once: int = 1
    note: bool = False


class Talks:
    """The talks of all notifiers. Raises `JournalError` as the journal does."""

    def __init__(self, write: Write, read: Read, json_text: JsonText) -> None:
        self._write = write
        self._read = read
        self._json = json_text

    async def join(self, joining: Joining, now: datetime) -> tuple[Part, Talk]:
        """Find or begin the talk of an alert; what it is to it. A gathered one is hidden until the talk is told."""
        return await self._write(partial(_join, joining=joining, now=micros(now)))

    async def posted(self, talk: Talk, posted: Mapping[str, Any], now: datetime) -> None:
        """Note where the talk's message stands, as it was at `talk.version`."""
        values = {"no": talk.no, "posted": self._json(posted), "version": talk.version, "every": EVERY // _MICRO}
        await self._write(partial(_run, statement="posted", values=values | {"now": micros(now)}))

    async def answered(self, talk: Talk, now: datetime, *, last: bool) -> None:
        """Note that something was put below its message, which is to be written anew; `last`: nothing follows."""
        await self._write(partial(_answered, no=talk.no, now=micros(now), last=last))

    async def due(self, now: datetime, *, hold: timedelta, limit: int, in_hand: Collection[int]) -> list[Talk]:
        """Talks whose message is to be written, each hidden from other callers for `hold`."""
        if not await self._read(_any_due, micros(now)):
            return []
        wanted = {"now": micros(now), "limit": limit, "in_hand": json.dumps(sorted(in_hand))}
        return await self._write(partial(_due, wanted=wanted, until=micros(now + hold)))

    async def written(self, talk: Talk, now: datetime, *, every: timedelta = EVERY) -> None:
        """Note that the message tells all that had joined: those alerts are told. What joined since comes next."""
        values = {"no": talk.no, "version": talk.version, "every": every // _MICRO, "now": micros(now)}
        await self._write(partial(_written, values=values, place=talk.joined))

    async def put_off(self, talk: Talk, until: datetime) -> None:
        """Let it be written later."""
        await self._write(partial(_run, statement="put_off", values={"no": talk.no, "until": micros(until)}))

    async def pending(self, talk: Talk, limit: int) -> tuple[list[dict[str, Any]], int]:
        """The newest alerts that it has yet to tell, as they are stored, and how many there are."""
        return await self._read(_pending, talk, limit)

    async def standing(self, talk: Talk) -> dict[str, int]:
        """How many of its chains of runs have which status."""
        return await self._read(_standing, talk.no)

    async def newest(self, talk: Talk, limit: int) -> list[RunRow]:
        """Its newest runs."""
        return await self._read(_newest, talk.no, limit)

    async def chain(self, root: str) -> list[RunRow]:
        """A run and its replays, oldest first."""
        return await self._read(_chain, root)

    async def acts(self, root: str, limit: int) -> list[StoredAct]:
        """The newest of what people did to the runs of a chain, oldest first."""
        return await self._read(_acts, root, limit)

    async def alert(self, alert_id: str) -> StoredAlert | None:
        """A stored alert; None once retention has taken it."""
        return await self._read(_alert, alert_id)

    async def troubled(self, root: str) -> bool:
        """Whether people were told that a run of this chain had failed or waits for them."""
        return await self._read(_troubled, root)

    async def recipients(self, about: str) -> tuple[str, ...]:
        """The notifiers for which there is an alert of this id."""
        return await self._read(_recipients, about)

    async def spend(self, nonce: str, until: datetime) -> bool:
        """Take a press; False if it was taken before. It is remembered until its token is void by its age."""
        return await self._write(partial(_spend, values={"nonce": nonce, "until": micros(until)}))

    async def forget(self, begun_before: datetime, now: datetime) -> None:
        """Delete talks with nothing left to tell, and spent tokens that are void by their age."""
        await self._write(partial(_run, statement="forget", values={"before": micros(begun_before)}))
        await self._write(partial(_run, statement="forget_spent", values={"now": micros(now)}))


def _join(db: sqlite3.Connection, joining: Joining, now: int) -> tuple[Part, Talk]:
    found = _known(db, joining, now)
    if found is None:
        row = _by_thread(db, joining)
        found = _in_thread(db, joining, row, now) if row else _alike(db, joining, now)
    part, no = found
    return part, _read_talk(db, no)


def _known(db: sqlite3.Connection, joining: Joining, now: int) -> tuple[Part, int] | None:
    """What an alert is that has joined before."""
    row = db.execute(_SQL["by_lead"], {"alert": joining.alert}).fetchone()
    if row is not None:
        return (Part.TOLD if row["posted"] is not None else Part.LEAD), row["no"]
    row = db.execute(_SQL["by_alert"], {"alert": joining.alert}).fetchone()
    if row is None:
        return None
    if joining.converses and row["posted"] is None and row["open_until"] <= now:
        # Whatever keeps the first one from being posted must not keep the others.
        values = {"alert": joining.alert, "no": row["no"], "until": now + joining.window // _MICRO}
        db.execute(_SQL["lead_instead"], values)
        db.execute(_SQL["forget_alert"], {"alert": joining.alert})
        return Part.LEAD, row["no"]
    _hide(db, joining, now)
    return Part.GATHERED, row["no"]


def _by_thread(db: sqlite3.Connection, joining: Joining) -> sqlite3.Row | None:
    wanted = {"thread": joining.thread, "notifier": joining.notifier}
    row: sqlite3.Row | None = db.execute(_SQL["by_thread"], wanted).fetchone() if joining.thread else None
    return row


def _in_thread(db: sqlite3.Connection, joining: Joining, talk: sqlite3.Row, now: int) -> tuple[Part, int]:
    no = talk["no"]
    if joining.converses and talk["posted"] is None:
        return Part.LATER, no
    if talk["threads"] > joining.at_once:
        # As many answers as there are runs would be the flood that one message is to prevent.
        if not joining.note and joining.likeness != talk["likeness"]:
            return _alike(db, joining, now)
        _gather(db, joining, talk, now)
        return Part.GATHERED, no
    return (Part.REPLY if joining.converses else Part.ALONE), no


def _alike(db: sqlite3.Connection, joining: Joining, now: int) -> tuple[Part, int]:
    wanted = {"notifier": joining.notifier, "likeness": joining.likeness, "now": now}
    talk = db.execute(_SQL["by_likeness"], wanted).fetchone() if joining.likeness and joining.window else None
    if talk is None:
        begun = wanted | {"alert": joining.alert, "until": now + joining.window // _MICRO}
        talk = db.execute(_SQL["begin"], begun).fetchone()
        _add_thread(db, joining, talk["no"])
        return Part.LEAD, talk["no"]
    threads = _add_thread(db, joining, talk["no"])
    if not joining.converses and threads <= joining.at_once:
        return Part.ALONE, talk["no"]
    _gather(db, joining, talk, now)
    return Part.GATHERED, talk["no"]


def _add_thread(db: sqlite3.Connection, joining: Joining, no: int) -> int:
    db.execute(_SQL["add_thread"], {"thread": joining.thread or joining.alert, "no": no})
    return int(db.execute(_SQL["count_threads"], {"no": no}).fetchone()["threads"])


def _gather(db: sqlite3.Connection, joining: Joining, talk: sqlite3.Row, now: int) -> None:
    db.execute(_SQL["add_alert"], {"alert": joining.alert, "no": talk["no"]})
    gathered = max(talk["open_until"], now + EVERY // _MICRO)
    values = {"no": talk["no"], "gathers": not joining.converses, "gathered": gathered, "now": now}
    db.execute(_SQL["count_alert"], values | {"every": EVERY // _MICRO})
    _hide(db, joining, now)


def _hide(db: sqlite3.Connection, joining: Joining, now: int) -> None:
    """It stays in the outbox: should its talk come to nothing, it looks for one again."""
    until = now + max(joining.window, 2 * EVERY) // _MICRO
    db.execute(_SQL["hide_alert"], {"alert": joining.alert, "until": until})


def _answered(db: sqlite3.Connection, no: int, now: int, last: bool) -> None:
    db.execute(_SQL["wake"], {"no": no, "now": now})
    if last:
        db.execute(_SQL["end"], {"no": no})


def _written(db: sqlite3.Connection, values: dict[str, Any], place: int) -> None:
    db.execute(_SQL["told"], {"no": values["no"], "place": place})
    db.execute(_SQL["written"], values)


def _run(db: sqlite3.Connection, statement: str, values: dict[str, Any]) -> None:
    db.execute(_SQL[statement], values)


def _any_due(db: sqlite3.Connection, now: int) -> bool:
    return db.execute(_SQL["any_due"], {"now": now}).fetchone() is not None


def _due(db: sqlite3.Connection, wanted: dict[str, Any], until: int) -> list[Talk]:
    rows = db.execute(_SQL["due"], wanted).fetchall()
    for row in rows:
        db.execute(_SQL["hide"], {"no": row["no"], "until": until})
    return [_talk(row) for row in rows]


def _read_talk(db: sqlite3.Connection, no: int) -> Talk:
    return _talk(db.execute(_SQL["one"], (no,)).fetchone())


def _talk(row: sqlite3.Row) -> Talk:
    known = {name: row[name] for name in ("no", "notifier", "lead", "tries", "version", "threads", "joined")}
    return Talk(
        begun_at=instant(row["begun_at"]),
        open_until=instant(row["open_until"]),
        posted=None if row["posted"] is None else jsonio.loads(row["posted"]),
        written_at=instant_or_none(row["written_at"]),
        **known,
    )


def _pending(db: sqlite3.Connection, talk: Talk, limit: int) -> tuple[list[dict[str, Any]], int]:
    wanted = {"no": talk.no, "place": talk.joined, "limit": limit}
    rows = db.execute(_SQL["pending"], wanted).fetchall()
    return [jsonio.loads(row["data"]) for row in rows], int(db.execute(_SQL["count_pending"], wanted).fetchone()[0])


def _standing(db: sqlite3.Connection, no: int) -> dict[str, int]:
    return {row["status"]: row["chains"] for row in db.execute(_SQL["standing"], {"no": no})}


def _newest(db: sqlite3.Connection, no: int, limit: int) -> list[RunRow]:
    return [run_row(row) for row in db.execute(_SQL["newest"], {"no": no, "limit": limit})]


def _chain(db: sqlite3.Connection, root: str) -> list[RunRow]:
    return [run_row(row) for row in db.execute(_SQL["chain"], (root,))]


def _acts(db: sqlite3.Connection, root: str, limit: int) -> list[StoredAct]:
    return [stored_act(row) for row in db.execute(_SQL["acts"], {"root": root, "limit": limit})][::-1]


def _alert(db: sqlite3.Connection, alert_id: str) -> StoredAlert | None:
    row = db.execute(_SQL["alert"], {"alert": alert_id}).fetchone()
    return None if row is None else StoredAlert(row["id"], jsonio.loads(row["data"]), row["tries"])


def _troubled(db: sqlite3.Connection, root: str) -> bool:
    return db.execute(_SQL["troubled"], {"root": root}).fetchone() is not None


def _recipients(db: sqlite3.Connection, about: str) -> tuple[str, ...]:
    return tuple(row["notifier"] for row in db.execute(_SQL["recipients"], {"about": about}))


def _spend(db: sqlite3.Connection, values: dict[str, Any]) -> bool:
    return db.execute(_SQL["spend"], values).fetchone() is not None
