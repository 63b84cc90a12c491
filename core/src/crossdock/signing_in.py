"""Who somebody is: by name and password, by a token, by the session that signing in began."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock.actors import Actor, Role
from crossdock.journal.base import Act, Journal
from crossdock.passwords import NOBODY, PREFIX, digest, matches, new_session
from crossdock.retention import SESSION, SESSION_IDLE

TRIES = 5
"""Failed sign-ins in a row, by one name or from one address, that are free."""
FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=15)
"""Then each one more doubles how long the next is not listened to."""
ADMIN = "admin"
"""What whoever shows the admin token is called."""


class RefusedSignInError(Exception):
    """Somebody is not let in; one line that does not say which of the two was wrong."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An actor, and the token that forms of their pages carry."""

    actor: Actor
    csrf: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Checks what somebody shows. `admin_token` is the setting, or None."""

    journal: Journal
    admin_token: str | None
    now: Callable[[], datetime]

    async def guarded(self) -> bool:
        """Whether somebody has to show something: once there is anything to show."""
        return self.admin_token is not None or await self.journal.people.guarded()

    async def by_token(self, shown: str) -> Actor | None:
        """The actor that a token stands for."""
        if self._is_admin(shown):
            return Actor(ADMIN, Role.ADMIN, "api")
        if not shown.startswith(PREFIX):
            return None
        found = await self.journal.people.token(digest(shown), self.now())
        return Actor(found.name, found.role, "api", found.scopes) if found and found.good(self.now()) else None

    async def by_session(self, cookie: str) -> SignedIn | None:
        """The actor whose session it is; None if it is over."""
        now = self.now()
        found = await self.journal.people.session(digest(cookie), now)
        if found is None or now - found.seen_at >= SESSION_IDLE or now - found.created_at >= SESSION:
            return None
        if found.person is None and self.admin_token is None:
            return None
        return SignedIn(Actor(found.person or ADMIN, found.role, "page"), found.csrf)

    async def begin(self, name: str, password: str, address: str) -> str:
        """The cookie of a new session. An empty `name`: `password` is the admin token. Raises `RefusedSignInError`."""
        subjects = [_subject("name", name), _subject("address", address)]
        await self._hold_pause(subjects)
        role = await self._role(name, password)
        if role is None:
            await self.journal.people.refuse(subjects, self.now())
            raise RefusedSignInError("that name and password do not go together")
        await self.journal.people.pardon(subjects[0])
        person, cookie = name or None, new_session()
        act = Act(self.now(), Actor(name or ADMIN, role, "page"), "sign in", "person", name or ADMIN)
        await self.journal.people.sign_in(person, digest(cookie), secrets.token_urlsafe(24), act)
        return cookie

    async def _role(self, name: str, password: str) -> Role | None:
        if not name:
            return Role.ADMIN if self._is_admin(password) else None
        person = await self.journal.people.get(name)
        kept = person.password if person and person.disabled_at is None else NOBODY
        # It takes a tenth of a second, in which the server has other things to do.
        right = await asyncio.to_thread(matches, password, kept)
        return person.role if person and right and person.disabled_at is None else None

    async def _hold_pause(self, subjects: list[bytes]) -> None:
        for subject in subjects:
            failures, last = await self.journal.people.refusals(subject)
            if failures < TRIES or last is None:
                continue
            pause = min(FIRST_PAUSE * 2 ** min(failures - TRIES, 20), LONGEST_PAUSE)
            left = last + pause - self.now()
            if left > timedelta():
                raise RefusedSignInError(f"too many tries; the next one is listened to in {left.seconds + 1} seconds")

    def _is_admin(self, shown: str) -> bool:
        return self.admin_token is not None and hmac.compare_digest(shown.encode(), self.admin_token.encode())


def _subject(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "replace")).digest()
