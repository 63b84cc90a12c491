"""OAuth 2 tokens: renewed once for all callers, and never lost."""

from __future__ import annotations

import asyncio
import base64
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import SecretStr

from crossdock_sdk.contracts.connection import Context, Token
from crossdock_sdk.crashpoints import reach
from crossdock_sdk.errors import AmbiguousError, AuthError, ConnectorError, TransientError, UnavailableError
from crossdock_sdk.http.client import ApiClient, checked_url
from crossdock_sdk.http.errors import retry_after
from crossdock_sdk.http.limits import Limits
from crossdock_sdk.http.reply import Reply
from crossdock_sdk.http.transport import DRIP

_PATIENCE = 15.0
_GRANTS = 2
LONGEST_REFRESH = _GRANTS * DRIP * _PATIENCE
"""Seconds that a token endpoint can keep a refresh: the stored token's grant and another's. The right to refresh
must outlast them, or two processes show one single-use refresh token."""
_REFUSED = "invalid_grant"
_RECONNECT = "connect the account anew and put its new refresh_token into the connection's settings"
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_REMEMBERED = 8
_ERROR_CODE = re.compile(r"[\w.-]{1,60}")
_TOLD = 200
_LONGEST_LIFE = 10 * 365 * 86_400.0


class OAuth2Tokens(ABC):
    """Bearer tokens from a token endpoint, kept in `context.tokens`; how they are granted, a subclass says.

    However many callers, processes included, find the access token old, one grant is asked for, under the store's
    `exclusive()`. `early` is how many seconds before its end a token counts as old; one whose end the vendor does not
    tell is used until it is refused. Raises `AuthError` if it is refused, `TransientError` for all that may pass.
    """

    mend: ClassVar[str]
    """What a person can do about a grant that is refused."""
    _refresh_lifetime: str | None = None
    """The field of the vendor's answer that says for how many seconds its refresh token lives."""

    def __init__(
        self, context: Context, *, token_url: str, early: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        self._context = context
        self._token_url = checked_url(token_url, f"connection {context.name}: token_url")
        self._headers = dict(headers or {})
        self._asked_early = self._early = early
        self._token: Token | None = None
        self._unsaved: tuple[Token, int] | None = None
        self._renewing: asyncio.Task[Token] | None = None
        self._masked: deque[str] = deque()
        self._lasting: frozenset[str | None] = frozenset()

    async def headers(self) -> Mapping[str, str]:
        """The bearer header; renews the token first if it is old."""
        token = self._token
        if token is None or not self._fresh(token):
            token = await self._renewed(None)
        return {"Authorization": f"Bearer {token.access_token}"}

    async def refused(self, reply: Reply, sent: Mapping[str, str]) -> bool:
        """True once there is another access token than the refused one."""
        old = sent.get("Authorization", "").removeprefix("Bearer ")
        token = self._token
        if token is None or token.access_token == old:
            token = await self._renewed(old)
        return token.access_token != old

    async def close(self) -> None:
        """Wait for a renewal that is on its way, so that its tokens are stored."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    async def _renewed(self, refused: str | None) -> Token:
        """Join the renewal that is on its way, or start it. It outlives a caller that is cancelled."""
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew(refused))
            self._renewing.add_done_callback(self._renewal_done)
        return await asyncio.shield(self._renewing)

    def _renewal_done(self, task: asyncio.Task[Token]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()

    async def _renew(self, refused: str | None) -> Token:
        try:
            async with self._context.tokens.exclusive():
                await self._save_unsaved()
                stored = await self._load()
                if stored is not None and stored.access_token != refused and self._fresh(stored):
                    token = stored
                else:
                    token = await self._granted(stored)
        except ConnectorError:
            raise
        except Exception as error:
            told = self._context.redactor.text(f"{type(error).__name__} {error}")
            raise TransientError(f"connection {self._context.name}: the token store failed ({told})") from None
        self._token = token
        return token

    @abstractmethod
    async def _granted(self, stored: Token | None) -> Token:
        """A token from the vendor, stored; `stored` is what the store holds."""

    async def _grant(self, stored: Token | None, form: Mapping[str, str], refresh_token: str | None = None) -> Token:
        """Ask for a token and store it. `refresh_token` is kept where the vendor gives no new one."""
        asked = self._context.now()
        answer = await self._ask(form)
        expected = stored.version if stored else 0
        lifetime = _seconds(answer.get("expires_in"))
        ends = None if lifetime is None else asked + timedelta(seconds=lifetime)
        if lifetime is not None:
            self._early = min(self._asked_early, lifetime / 2)
        newest = answer.get("refresh_token") or refresh_token
        lasts = _seconds(answer.get(self._refresh_lifetime)) if self._refresh_lifetime else None
        refresh_ends = None if lasts is None else asked + timedelta(seconds=lasts)
        token = Token(answer["access_token"], newest, ends, expected + 1, refresh_ends)
        self._mask(token)
        self._unsaved = (token, expected)
        reach("token.granted")
        await self._save_unsaved()
        reach("token.stored")
        return await self._load() or token

    async def _save_unsaved(self) -> None:
        """Store granted tokens; if the store fails they wait for the next try: they are granted once."""
        if self._unsaved is None:
            return
        token, expected = self._unsaved
        # Not swapped: somebody was faster, and what they stored (perhaps a new sign-in by a person) stands.
        await self._context.tokens.swap(token, expected=expected)
        self._unsaved = None

    async def _load(self) -> Token | None:
        token = await self._context.tokens.load()
        if token is not None:
            self._mask(token)
        return token

    async def _ask(self, form: Mapping[str, str]) -> dict[str, Any]:
        # Its own client: the token endpoint is another host, with none of the API's limits and credentials.
        once = Limits(1)
        client = ApiClient(
            self._token_url, self._context, limits=once, errors=self._refusal, timeout=_PATIENCE, private=True
        )
        try:
            reply = await client.post("", form=form, headers=self._headers)
            answer = reply.json()
        except (AmbiguousError, UnavailableError) as error:
            # Whatever became of this try, what was shown is kept: showing it again is all that can be done.
            raise TransientError(
                error.message, status=error.status, retry_after=error.retry_after, unanswered=error.unanswered
            ) from None
        finally:
            await client.close()
        return dict(answer)

    def _refusal(self, reply: Reply) -> ConnectorError | None:
        """What the token endpoint's reply means. A reply that carries tokens is never quoted."""
        if reply.status >= 500 or reply.status in (408, 429):
            wait = retry_after(reply.headers.get("retry-after"), self._context.now())
            return TransientError(self._told(f"HTTP {reply.status}"), status=reply.status, retry_after=wait)
        try:
            answer = reply.json()
        except ConnectorError:
            answer = None
        known = answer if isinstance(answer, dict) else {}
        access = known.get("access_token")
        if reply.status < 300 and isinstance(access, str) and access:
            return None
        if reply.status < 400 and "error" not in known:
            return TransientError(self._told(f"HTTP {reply.status} without an access token"), status=reply.status)
        code = str(known.get("error") or "")
        shown = code if _ERROR_CODE.fullmatch(code) else f"HTTP {reply.status}"
        if code in _PASSING:
            return TransientError(self._told(code), code=code, status=reply.status)
        about = " ".join(self._context.redactor.text(str(known.get("error_description") or "")).split())
        said = f"{shown} {about[:_TOLD]}".strip() + (f"; {self.mend}" if code == _REFUSED else "")
        return AuthError(self._told(said), code=shown, status=reply.status)

    def _told(self, what: str) -> str:
        return f"connection {self._context.name}: the token refresh failed: {what}"

    def _fresh(self, token: Token) -> bool:
        if not token.access_token or token.expires_at is None:
            return bool(token.access_token)
        return self._context.now() + timedelta(seconds=self._early) < token.expires_at

    def _mask(self, token: Token) -> None:
        """Register the tokens' texts, and let go of those that are long superseded."""
        for secret in filter(None, (token.access_token, token.refresh_token)):
            self._context.redactor.add(secret)
            if secret in self._masked:
                self._masked.remove(secret)
            self._masked.append(secret)
        while len(self._masked) > _REMEMBERED:
            superseded = self._masked.popleft()
            if superseded not in self._lasting:
                self._context.redactor.forget(superseded)


class OAuth2Refresh(OAuth2Tokens):
    """Bearer tokens from a refresh token (RFC 6749, 6), kept in `context.tokens`.

    `refresh_token` is only the first one: what the store holds wins while it works. Once that is refused,
    `refresh_token` is tried, for a person may have connected the account anew. The new refresh token is stored before
    the new access token is used. `basic` sends the client's id and secret by HTTP Basic, else in the form.
    `refresh_lifetime` names the field of the answer that tells for how many seconds the refresh token lives; RFC 6749
    has none. Raises `AuthError` if the refresh tokens of store and settings are refused, `TransientError` for all that
    may pass.
    """

    mend = _RECONNECT

    def __init__(
        self,
        context: Context,
        *,
        token_url: str,
        client_id: str,
        client_secret: SecretStr,
        refresh_token: SecretStr | None,
        basic: bool = True,
        early: float = 60.0,
        headers: Mapping[str, str] | None = None,
        extra_form: Mapping[str, str] | None = None,
        refresh_lifetime: str | None = None,
    ) -> None:
        secret = client_secret.get_secret_value()
        pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        known = ({"authorization": f"Basic {pair}"} if basic else {}) | dict(headers or {})
        super().__init__(context, token_url=token_url, early=early, headers=known)
        self._refresh_lifetime = refresh_lifetime
        self._first = refresh_token.get_secret_value() if refresh_token else None
        self._lasting = frozenset({self._first})
        self._form = ({} if basic else {"client_id": client_id, "client_secret": secret}) | dict(extra_form or {})
        context.redactor.add(secret, pair, self._first or "")

    async def _granted(self, stored: Token | None) -> Token:
        try:
            return await self._refreshed(stored, self._kept(stored))
        except AuthError as error:
            refused = error.code == _REFUSED
            newer = await self._newer(stored) if refused else None
            if newer is None and not (refused and self._first not in (None, self._kept(stored))):
                raise
        if newer is None:
            # A person who connects the account anew can put the new refresh token only into the settings.
            return await self._refreshed(stored, self._first)
        # Somebody stored other tokens since: a superseded refresh token says nothing about theirs.
        return newer if self._fresh(newer) else await self._refreshed(newer, self._kept(newer))

    async def _newer(self, seen: Token | None) -> Token | None:
        newest = await self._load()
        return None if newest is None or newest.version == (seen.version if seen else 0) else newest

    def _kept(self, stored: Token | None) -> str | None:
        return (stored.refresh_token if stored else None) or self._first

    async def _refreshed(self, stored: Token | None, refresh_token: str | None) -> Token:
        if not refresh_token:
            raise AuthError(
                f"connection {self._context.name}: no refresh token; connect the account and put its refresh_token "
                "into the connection's settings"
            )
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token} | self._form
        return await self._grant(stored, form, refresh_token)


def _seconds(value: object) -> float | None:
    """`expires_in` as seconds, number or text; None if it says nothing usable."""
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return max(0.0, seconds) if seconds < _LONGEST_LIFE else None
