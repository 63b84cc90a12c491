"""Letting people and programs in, and keeping them out: for the API and the command line alike."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock.actors import Actor, Role, Scope
from crossdock.journal.base import Act, Journal
from crossdock.journal.people import AccessToken, Person
from crossdock.passwords import PasswordError, digest, hashed, new_token

NAME = re.compile(r"[\w.@+-]{1,64}")
"""What people and tokens are called."""


class AccessError(Exception):
    """It cannot be done; one line, with the HTTP status that says so."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """What an administrator does; all of it is noted in the audit, no secret ever."""

    journal: Journal
    by: Actor
    now: Callable[[], datetime]

    async def people(self) -> list[dict[str, Any]]:
        """Everybody, without what is kept of their passwords."""
        return [_person(person) for person in await self.journal.people.all()]

    async def add(self, name: str, role: Role, password: str) -> dict[str, Any]:
        """Raises `AccessError` if the name is none or taken, or the password too short."""
        _hold_name(name)
        kept = await _hashed(password)
        if not await self.journal.people.add(name, role, kept, self._act("add", name, after={"role": role})):
            raise AccessError(f"there is somebody called {name} already")
        return await self._shown(name)

    async def change(
        self, name: str, *, role: Role | None = None, password: str | None = None, disabled: bool | None = None
    ) -> dict[str, Any]:
        """Raises `AccessError` if there is no such person."""
        before = await self.journal.people.get(name)
        if before is None:
            raise AccessError(f"nobody is called {name}", 404)
        if role is not None and role is not before.role:
            act = self._act("change role", name, before={"role": before.role}, after={"role": role})
            await self.journal.people.set_role(name, role, act)
        if password is not None:
            await self.journal.people.set_password(name, await _hashed(password), self._act("change password", name))
        if disabled is True:
            await self.journal.people.disable(name, self._act("disable", name))
        elif disabled is False:
            await self.journal.people.enable(name, self._act("enable", name))
        return await self._shown(name)

    async def tokens(self) -> list[dict[str, Any]]:
        """All tokens, newest first, without themselves."""
        return [_token(token) for token in await self.journal.people.tokens()]

    async def make_token(
        self, name: str, role: Role, expires_at: datetime | None, scopes: Collection[Scope] | None = None
    ) -> dict[str, Any]:
        """A new one, confined to `scopes` if there are any; `token` in the answer is shown this once."""
        _hold_name(name)
        if scopes is not None and not scopes:
            raise AccessError("a token without any scope opens nothing; leave scopes out for one that opens all", 422)
        if expires_at is not None and expires_at.tzinfo is None:
            raise AccessError("expires_at needs a zone, such as 2027-01-01T00:00:00Z", 422)
        token, now, kept = new_token(), self.now(), None if scopes is None else frozenset(scopes)
        made = AccessToken(secrets.token_hex(6), name, role, kept, self.by.name, now, expires_at, None, None)
        shown = _token(made)
        told = {part: shown[part] for part in ("name", "role", "scopes")}
        act = Act(now, self.by, "make token", "token", made.id, after=told)
        await self.journal.people.add_token(made, digest(token), act)
        return shown | {"token": token}

    async def revoke(self, token_id: str) -> dict[str, Any]:
        """Raises `AccessError` if there is none that is good."""
        if not await self.journal.people.revoke(token_id, Act(self.now(), self.by, "revoke", "token", token_id)):
            raise AccessError(f"no token that is good has the id {token_id}", 404)
        return {"id": token_id, "revoked_at": self.now()}

    async def _shown(self, name: str) -> dict[str, Any]:
        person = await self.journal.people.get(name)
        if person is None:
            raise AccessError(f"nobody is called {name}", 404)
        return _person(person)

    def _act(self, action: str, name: str, *, before: Any = None, after: Any = None) -> Act:
        return Act(self.now(), self.by, action, "person", name, before=before, after=after)


def _hold_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise AccessError(f"{name} is no name: letters, digits and . _ @ + -, 64 at most", 422)


async def _hashed(password: str) -> str:
    try:
        return await asyncio.to_thread(hashed, password)
    except PasswordError as error:
        raise AccessError(str(error), 422) from None


def _person(person: Person) -> dict[str, Any]:
    known = {"name": person.name, "role": person.role, "created_at": person.created_at}
    return known | {"disabled_at": person.disabled_at}


def _token(token: AccessToken) -> dict[str, Any]:
    names = ("id", "name", "role", "created_by", "created_at", "expires_at", "used_at", "revoked_at")
    return {name: getattr(token, name) for name in names} | {"scopes": token.scopes and sorted(token.scopes)}
