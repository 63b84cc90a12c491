"""`ApiClient`: a vendor's HTTP API, so that a connector states vendor facts and little else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from yarl import URL

from crossdock_sdk import jsonio
from crossdock_sdk.contracts.account import Headroom
from crossdock_sdk.contracts.connection import Context
from crossdock_sdk.errors import ConfigError, ConnectorError, RejectedError
from crossdock_sdk.http.auth import Auth, Authorised
from crossdock_sdk.http.errors import default_error, settled
from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.limits import Limited, Limits
from crossdock_sdk.http.quotas import Quotas, Read
from crossdock_sdk.http.reply import Reply
from crossdock_sdk.http.resend import ReadResend
from crossdock_sdk.http.tracing import Traced
from crossdock_sdk.http.transport import Network
from crossdock_sdk.http.wire import AiohttpWire, Wire

if TYPE_CHECKING:
    import httpx

Errors = Callable[[Reply], ConnectorError | None]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PLAIN = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&()*+,;=-]|%[0-9A-Fa-f]{2}){1,8000}")
"""A URL that is sent as it stands: to have httpx find that out is a fifth of what a call costs here."""
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "user-agent": "crossdock-sdk/0.1",
}


class ApiClient:
    """Calls below one `base_url`; raises only `ConnectorError`s. Lives in one event loop.

    `errors` is the vendor's own mapping and is asked about every reply, a 200 too: the error to raise, or
    None to leave it to the status. `pause` reads from a good reply for how many seconds the vendor wants to be
    left alone (its limit is used up), or None; `quotas` reads from any reply what it says of the vendor's limits.
    Redirects are not followed, cookies not kept, and proxies set in the environment not used. A read whose
    connection was lost is sent once more, a write never. `private`: the bodies hold tokens, and are told to nobody.
    """

    def __init__(
        self,
        base_url: str,
        context: Context,
        *,
        auth: Auth | None = None,
        limits: Limits = Limits(),  # noqa: B008 — frozen
        errors: Errors | None = None,
        pause: Callable[[Reply], float | None] | None = None,
        quotas: Read | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        private: bool = False,
    ) -> None:
        self._private = private
        self._base_url = _encoded(checked_url(base_url, f"connection {context.name}: base_url")).rstrip("/")
        self._context = context
        self._errors = errors
        self._pause = pause
        self._quotas = Quotas(quotas, context.now)
        self._headers = _HEADERS | {name.lower(): value for name, value in (headers or {}).items()}
        wire = partial(AiohttpWire, limits.concurrency) if context.transport is None else over_httpx(context.transport)
        traced = Traced(Network(wire, context.redactor, timeout), context.tracer_provider)
        self._limited = Limited(traced, limits, context.now, sleep=context.sleep)
        self._stack = Authorised(ReadResend(self._limited), auth)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool | None = None,
    ) -> Reply:
        """Send one request (`json`, `form` or `content`) and return its 2xx reply.

        `path` is appended to the base URL. `params` that are None are left out; a list repeats its name.
        `write`: it may change something at the vendor; by default all but GET, HEAD and OPTIONS do.
        """
        request = self._built(method.upper(), path, json, form, content, params, headers)
        if write is not None:
            request.write = write
        reply = await self._stack.send(request)
        self._quotas.note(reply)
        error = self._error(reply)
        if error is None:
            asked = self._pause(reply) if self._pause else None
            if asked:
                self._limited.park(asked)
            return reply
        # Below 500 a wish to be left alone is throttling, which concerns every caller of this connection.
        if error.retry_after and (reply.status < 500 or reply.status == 503):
            self._limited.park(error.retry_after)
        raise error

    async def get(self, path: str, **kwargs: Any) -> Reply:
        return await self.request("GET", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> Reply:
        return await self.request("POST", path, **kwargs)

    async def put(self, path: str, **kwargs: Any) -> Reply:
        return await self.request("PUT", path, **kwargs)

    async def patch(self, path: str, **kwargs: Any) -> Reply:
        return await self.request("PATCH", path, **kwargs)

    async def delete(self, path: str, **kwargs: Any) -> Reply:
        return await self.request("DELETE", path, **kwargs)

    @property
    def headroom(self) -> Headroom:
        """How far the calls are from the vendor's limits, as far as its replies have told."""
        return Headroom(self._quotas.standing, self._limited.pause, self._quotas.told)

    async def close(self) -> None:
        """Close all sockets; a later request raises `TransientError`."""
        await self._stack.close()

    def _built(
        self,
        method: str,
        path: str,
        json: Any,
        form: Mapping[str, str] | None,
        content: bytes | str | None,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Request:
        try:
            kind, body = _body(json, form, content)
            named = self._headers | kind
            if headers:
                named |= {name.lower(): _header(value) for name, value in headers.items()}
            url = f"{self._base_url}/{path.lstrip('/')}" if path else self._base_url
            if params:
                url += ("&" if "?" in url else "?") + _query(params)
            url = url if _PLAIN.fullmatch(url) and "/." not in url else _encoded(url)
            shown = self._context.redactor.text(url)
            return Request(method, url, named, body, method not in _READS, shown, self._private)
        except (TypeError, ValueError) as error:
            told = self._context.redactor.text(str(error))
        raise RejectedError(f"{method} {self._context.redactor.text(path)}: not sent, it cannot be encoded: {told}")

    def _error(self, reply: Reply) -> ConnectorError | None:
        default = default_error(reply, self._context.now(), self._context.redactor)
        if self._errors is None:
            return default
        try:
            own = self._errors(reply)
        except ConnectorError as error:
            # The mapping stumbled over a body that is not the vendor's; a bad status says more than that.
            return default or settled(error, reply, self._context.redactor)
        except Exception as error:
            unusable = default or reply.unusable("the reply is not what the vendor documents")
            unusable.__cause__ = error
            return unusable
        return default if own is None else settled(own, reply, self._context.redactor)


@lru_cache(1024)
def _encoded(url: str) -> str:
    """The URL as it is sent. Raises `ValueError`."""
    if not url.isprintable():
        raise ValueError("a URL has no control characters")
    return str(URL(url))


def _header(value: str) -> str:
    """A header's value; raises `ValueError` for one that would begin a line of its own, or cannot be sent."""
    if any(sign in value for sign in "\r\n\0"):
        raise ValueError("a header's value has one line")
    value.encode("latin-1")
    return value


def over_httpx(transport: Callable[[], httpx.AsyncBaseTransport]) -> Callable[[], Wire]:
    """A wire through an httpx transport. httpx is imported for it alone: a server does without, and starts sooner."""

    def make() -> Wire:
        from crossdock_sdk.http.adapter import OverHttpx

        return OverHttpx(transport())

    return make


def checked_url(url: str, name: str) -> str:
    """The URL without a trailing slash. Raises `ConfigError`, which says what `name` must be."""
    try:
        parsed = URL(url)
        good = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.port is not None
    except ValueError:
        good = False
    if not good or parsed.user is not None or parsed.password is not None or "?" in url or "#" in url:
        raise ConfigError(f"{name} must be http(s)://host[:port][/path], without user, query or fragment")
    return url.rstrip("/")


def _body(
    json: Any, form: Mapping[str, str] | None, content: bytes | str | None
) -> tuple[dict[str, str], bytes | None]:
    if (json is not None) + (form is not None) + (content is not None) > 1:
        raise ValueError("give one of json, form and content")
    if json is not None:
        return {"content-type": "application/json"}, jsonio.dumps(json)
    if form is not None:
        return {"content-type": "application/x-www-form-urlencoded"}, urlencode(form).encode()
    return {}, content.encode() if isinstance(content, str) else content


def _query(params: Mapping[str, Any]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        many = value if isinstance(value, (list, tuple)) else [value]
        pairs.extend((name, _plain(each)) for each in many if each is not None)
    return urlencode(pairs)


def _plain(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
