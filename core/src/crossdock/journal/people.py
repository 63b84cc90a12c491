"""Who may use this installation, as the journal keeps it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from crossdock_sdk import jsonio

from crossdock.actors import Role, Scope
from crossdock.journal.audit import Act, ActRow, insert_act
from crossdock.journal.codec import instant, instant_or_none, micros, micros_or_none
from crossdock.journal.hooks import Read, Write
from crossdock.journal.statements import load

_SQL = load("people")
NOTED = timedelta(minutes=1)
"""A use is noted once in so long: not every request is to write."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a password. `disabled_at`: they are let in no more."""

    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None
    password: str = ""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a program shows instead of a password; the token itself is kept nowhere."""

    id: str
    name: str
    role: Role
    scopes: frozenset[Scope] | None
    """The parts of the API that it opens; None: all."""
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None

    def good(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in. `person` None: with the admin token."""

    person: str | None
    role: Role
    csrf: str
    created_at: datetime
    seen_at: datetime


class People:
    """Names, tokens, sessions and refusals. Raises `JournalError` as the journal does."""

    def __init__(self, write: Write, read: Read, row: Callable[[Act], ActRow]) -> None:
        self._write = write
        self._read = read
        self._row = row

    async def add(self, name: str, role: Role, password: str, act: Act) -> bool:
        """Store a person; `password` is its hash. False, and nothing, if the name is taken."""
        values = {"name": name, "role": str(role), "password": password, "now": micros(act.at)}
        return await self._change("put_person", values, act)

    async def set_role(self, name: str, role: Role, act: Act) -> bool:
        """False if there is no such person. Their sessions end."""
        return await self._change("set_role", {"name": name, "role": str(role)}, act, ends=name)

    async def set_password(self, name: str, password: str, act: Act) -> bool:
        """False if there is no such person. Their sessions end."""
        return await self._change("set_password", {"name": name, "password": password}, act, ends=name)

    async def disable(self, name: str, act: Act) -> bool:
        """False if they were let in no more already. Their sessions end."""
        return await self._change("disable_person", {"name": name, "now": micros(act.at)}, act, ends=name)

    async def enable(self, name: str, act: Act) -> bool:
        """False if they were not disabled."""
        return await self._change("enable_person", {"name": name}, act)

    async def _change(self, statement: str, values: dict[str, Any], act: Act, ends: str | None = None) -> bool:
        return await self._write(partial(_changed, statement=statement, values=values, act=self._row(act), ends=ends))

    async def get(self, name: str) -> Person | None:
        return await self._read(_person_of, name)

    async def all(self) -> list[Person]:
        """Everybody, by name."""
        return await self._read(_all)

    async def guarded(self) -> bool:
        """Whether anybody has been let in by name, so that nobody is let in without one."""
        return await self._read(_guarded)

    async def add_token(self, token: AccessToken, digest: bytes, act: Act) -> None:
        values: dict[str, Any] = {"id": token.id, "name": token.name, "hash": digest, "role": str(token.role)}
        values |= {"created_by": token.created_by, "now": micros(token.created_at)}
        values |= {"expires_at": micros_or_none(token.expires_at)}
        values |= {"scopes": None if token.scopes is None else jsonio.dumps(sorted(token.scopes)).decode()}
        await self._write(partial(_noted, statement="put_token", values=values, act=self._row(act)))

    async def token(self, digest: bytes, now: datetime) -> AccessToken | None:
        """The token that is shown, good or not; that it was used is noted."""
        found = await self._read(_token_of, digest)
        if found is not None and found.good(now) and (found.used_at is None or now - found.used_at >= NOTED):
            values = {"id": found.id, "now": micros(now), "before": micros(now - NOTED)}
            await self._write(partial(_run, statement="use_token", values=values))
        return found

    async def tokens(self) -> list[AccessToken]:
        """All of them, newest first."""
        return await self._read(_tokens)

    async def revoke(self, token_id: str, act: Act) -> bool:
        """False if there is none, or it is revoked already."""
        return await self._change("revoke_token", {"id": token_id, "now": micros(act.at)}, act)

    async def sign_in(self, person: str | None, digest: bytes, csrf: str, act: Act) -> None:
        values = {"hash": digest, "person": person, "csrf": csrf, "now": micros(act.at)}
        await self._write(partial(_noted, statement="put_session", values=values, act=self._row(act)))

    async def session(self, digest: bytes, now: datetime) -> Session | None:
        """Who signed in with it; None if nobody did, or they are let in no more. That they are there is noted."""
        found = await self._read(_session_of, digest)
        if found is not None and now - found.seen_at >= NOTED:
            values = {"hash": digest, "now": micros(now), "before": micros(now - NOTED)}
            await self._write(partial(_run, statement="see_session", values=values))
        return found

    async def sign_out(self, digest: bytes) -> None:
        await self._write(partial(_run, statement="end_session", values=(digest,)))

    async def refusals(self, subject: bytes) -> tuple[int, datetime | None]:
        """How often in a row, and when last, somebody was refused under this name, or from this address."""
        return await self._read(_refusals, subject)

    async def refuse(self, subjects: list[bytes], now: datetime) -> None:
        await self._write(partial(_refuse, subjects=subjects, now=micros(now)))

    async def pardon(self, subject: bytes) -> None:
        await self._write(partial(_run, statement="pardon", values=(subject,)))

    async def forget(self, idle_before: datetime, signed_in_before: datetime, refused_before: datetime) -> None:
        """Delete sessions that are over, and refusals that are long past."""
        sessions = {"idle": micros(idle_before), "oldest": micros(signed_in_before)}
        await self._write(partial(_run, statement="forget_sessions", values=sessions))
        await self._write(partial(_run, statement="forget_refusals", values=(micros(refused_before),)))


def _run(db: sqlite3.Connection, statement: str, values: Any) -> None:
    db.execute(_SQL[statement], values)


def _noted(db: sqlite3.Connection, statement: str, values: Any, act: ActRow) -> None:
    db.execute(_SQL[statement], values)
    insert_act(db, act)


def _changed(db: sqlite3.Connection, statement: str, values: Any, act: ActRow, ends: str | None) -> bool:
    if db.execute(_SQL[statement], values).fetchone() is None:
        return False
    if ends is not None:
        db.execute(_SQL["end_sessions"], (ends,))
    insert_act(db, act)
    return True


def _refuse(db: sqlite3.Connection, subjects: list[bytes], now: int) -> None:
    for subject in subjects:
        db.execute(_SQL["refuse"], {"subject": subject, "now": now})


def _person_of(db: sqlite3.Connection, name: str) -> Person | None:
    row = db.execute(_SQL["person"], (name,)).fetchone()
    return None if row is None else _person(row)


def _all(db: sqlite3.Connection) -> list[Person]:
    return list(map(_person, db.execute(_SQL["people"]).fetchall()))


def _person(row: sqlite3.Row) -> Person:
    created, disabled = instant(row["created_at"]), instant_or_none(row["disabled_at"])
    return Person(row["name"], Role(row["role"]), created, disabled, row["password"])


def _guarded(db: sqlite3.Connection) -> bool:
    return bool(db.execute(_SQL["guarded"]).fetchone()[0])


def _token_of(db: sqlite3.Connection, digest: bytes) -> AccessToken | None:
    row = db.execute(_SQL["token"], (digest,)).fetchone()
    return None if row is None else _token(row)


def _tokens(db: sqlite3.Connection) -> list[AccessToken]:
    return list(map(_token, db.execute(_SQL["tokens"]).fetchall()))


def _token(row: sqlite3.Row) -> AccessToken:
    times = [instant_or_none(row[name]) for name in ("expires_at", "used_at", "revoked_at")]
    role = Role(row["role"])
    scopes = None if row["scopes"] is None else frozenset(map(Scope, jsonio.loads(row["scopes"])))
    return AccessToken(row["id"], row["name"], role, scopes, row["created_by"], instant(row["created_at"]), *times)


def _session_of(db: sqlite3.Connection, digest: bytes) -> Session | None:
    row = db.execute(_SQL["session"], (digest,)).fetchone()
    if row is None or row["disabled_at"] is not None:
        return None
    role = Role(row["role"]) if row["person"] is not None else Role.ADMIN
    return Session(row["person"], role, row["csrf"], instant(row["created_at"]), instant(row["seen_at"]))


def _refusals(db: sqlite3.Connection, subject: bytes) -> tuple[int, datetime | None]:
    row = db.execute(_SQL["refusals"], (subject,)).fetchone()
    return (0, None) if row is None else (row["failures"], instant(row["last_at"]))
