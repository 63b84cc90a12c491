"""Faults from a seed, without a socket: a transport that fails as networks and vendors do, over a simulator in process.

Where the network itself fails it raises what the real wire (`crossdock_sdk.http.wire`) raises, so that a connector and
the runtime cannot tell the two apart. `sdk/tests/test_chaos.py` holds every kind against a real socket.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import TypeVar

import aiohttp
import httpx
from aiohttp.client_reqrep import ConnectionKey
from starlette.types import ASGIApp

from crossdock_sdk import jsonio
from crossdock_sdk.http.adapter import is_write
from crossdock_sdk.http.wire import ConnectionLostError
from crossdock_sdk.testing.faults import Refusal
from crossdock_sdk.testing.inprocess import InProcess
from crossdock_sdk.testing.simulator import Simulator

T = TypeVar("T")
Ask = Callable[[], Awaitable[httpx.Response]]

_LAG = timedelta(seconds=3)
_ABSURD = ("31536000", "1e400", "9" * 40, "Wed, 21 Oct 9999 07:28:00 GMT")
_GARBAGE = ("soon", "", "12 parsecs", "Smarch 32nd")
_GENERIC: Mapping[str, Refusal] = {
    "unauthorized": Refusal(401, {"error": "unauthorized"}),
    "conflict": Refusal(409, {"error": "conflict"}),
    "throttled": Refusal(429, {"error": "too many requests"}),
    "error_200": Refusal(200, {"error": "it did not work"}),
}


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault that was injected: into the `number`th exchange, counted from 1."""

    number: int
    kind: str
    method: str
    path: str
    detail: str = ""

    def __str__(self) -> str:
        return f"#{self.number} {self.kind} {self.method} {self.path}" + (f" ({self.detail})" if self.detail else "")


@dataclass(slots=True)
class _Exchange:
    """What a kind has to play with; it may leave a word in `detail`."""

    request: httpx.Request
    ask: Ask
    random: random.Random
    simulator: Simulator | None
    detail: str = ""

    def refusal(self, name: str) -> Refusal | None:
        """The vendor's own reply of that name if it could answer this request, else what any vendor may say."""
        own = self.simulator.refusals().get(name) if self.simulator else None
        return own if own is not None and own.answers(self.request) else _GENERIC.get(name)

    def now(self) -> datetime:
        return self.simulator.clock() if self.simulator else datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Kind:
    play: Callable[[_Exchange], Awaitable[httpx.Response]]
    fits: Callable[[_Exchange], bool] = lambda exchange: True


class FaultTransport(httpx.AsyncBaseTransport):
    """Passes requests to `inner`, and lets a share `rate` of them fail in one of `kinds` (default: all of `KINDS`).

    `inner` is a simulator, or another ASGI application, called in process; or any httpx transport. The same `seed` and
    the same requests give the same faults. `write_rate` is the share of writes, if it is another one: most requests
    read. Both may be changed at any time. Paths that match a glob in `spare` are never struck. A kind that cannot
    befall a request is not drawn for it.

    Give it as `Context(name, transport=lambda: chaos)`: one transport serves all clients of a connection, so closing
    it does nothing.
    """

    def __init__(
        self,
        inner: ASGIApp | httpx.AsyncBaseTransport,
        *,
        seed: int,
        rate: float = 0.1,
        write_rate: float | None = None,
        kinds: Collection[str] | None = None,
        spare: Sequence[str] = (),
    ) -> None:
        unknown = sorted(set(kinds or ()) - set(KINDS))
        if unknown:
            raise ValueError(f"no such kind of fault: {', '.join(unknown)}; there are {', '.join(KINDS)}")
        self.rate = rate
        self.write_rate = rate if write_rate is None else write_rate
        self._kinds = tuple(name for name in KINDS if kinds is None or name in kinds)
        self._spare = tuple(spare)
        self._random = random.Random(seed)
        self._inner = inner if isinstance(inner, httpx.AsyncBaseTransport) else InProcess(inner)
        self._simulator = inner if isinstance(inner, Simulator) else None
        self._exchanges = 0
        self._injected: list[Injection] = []

    def plan(self) -> tuple[Injection, ...]:
        """What was injected so far, oldest first; `"\\n".join(map(str, transport.plan()))` prints it."""
        return tuple(self._injected)

    @property
    def defects(self) -> tuple[Exception, ...]:
        """What an application in process itself raised: its bugs, answered with 500."""
        return tuple(self._inner.defects) if isinstance(self._inner, InProcess) else ()

    def calm(self) -> None:
        """Inject nothing from now on."""
        self.rate = self.write_rate = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._exchanges += 1
        exchange = _Exchange(request, lambda: self._asked(request), self._random, self._simulator)
        name = self._drawn(exchange)
        if name is None:
            return await exchange.ask()
        struck = Injection(self._exchanges, name, request.method, request.url.path)
        try:
            return await KINDS[name].play(exchange)
        finally:
            self._injected.append(replace(struck, detail=exchange.detail))

    async def aclose(self) -> None:
        """Nothing: another client of the connection may still use it."""

    def _drawn(self, exchange: _Exchange) -> str | None:
        struck = self._random.random() < (self.write_rate if is_write(exchange.request) else self.rate)
        if not struck or any(fnmatchcase(exchange.request.url.path, glob) for glob in self._spare):
            return None
        fitting = [name for name in self._kinds if KINDS[name].fits(exchange)]
        return self._random.choice(fitting) if fitting else None

    async def _asked(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        return response


def shuffled_deliveries(
    events: Sequence[T], seed: int, *, duplicates: float = 0.3, reach: int | None = None
) -> list[T]:
    """`events` as a vendor may deliver them: in another order, a share of them twice or more; none is lost.

    None comes more than about `reach` places earlier or later than it happened (None: any order).
    """
    rng = random.Random(seed)
    spread = len(events) if reach is None else reach
    placed: list[tuple[float, int, T]] = []
    for index, event in enumerate(events):
        placed.append((index + rng.uniform(0, spread), index, event))
        while rng.random() < duplicates:
            placed.append((index + rng.uniform(0, spread), index, event))
    return [event for *_, event in sorted(placed, key=lambda entry: entry[:2])]


def _not_sent(error: Callable[[httpx.Request], Exception]) -> _Kind:
    async def play(exchange: _Exchange) -> httpx.Response:
        raise error(exchange.request)

    return _Kind(play)


def _lost(error: Callable[[httpx.Request], Exception], *, applied: bool) -> _Kind:
    async def play(exchange: _Exchange) -> httpx.Response:
        if applied:
            await exchange.ask()
        raise error(exchange.request)

    return _Kind(play)


def _answered(status: int, *, applied: bool) -> _Kind:
    async def play(exchange: _Exchange) -> httpx.Response:
        if applied:
            await exchange.ask()
        kind = {"content-type": "text/html"}
        return httpx.Response(status, headers=kind, content=f"<html><body>{status}</body></html>")

    return _Kind(play)


def _spoilt(spoil: Callable[[httpx.Response], httpx.Response]) -> _Kind:
    """The vendor acts, and something between it and us garbles its reply. A reply without a body is lost whole."""

    async def play(exchange: _Exchange) -> httpx.Response:
        response = await exchange.ask()
        if not response.content:
            raise _dropped(exchange.request)
        return spoil(response)

    return _Kind(play)


def _refused(name: str, *, only_writes: bool = False) -> _Kind:
    """The vendor says no and does nothing."""

    async def play(exchange: _Exchange) -> httpx.Response:
        return _reply(exchange.refusal(name))

    return _Kind(play, lambda e: (is_write(e.request) or not only_writes) and e.refusal(name) is not None)


def _throttled(wish: Callable[[_Exchange], str | None]) -> _Kind:
    async def play(exchange: _Exchange) -> httpx.Response:
        asked = wish(exchange)
        exchange.detail = f"Retry-After: {asked}" if asked is not None else "no Retry-After"
        return _reply(exchange.refusal("throttled"), {} if asked is None else {"retry-after": asked})

    return _Kind(play)


def _reply(refusal: Refusal | None, headers: Mapping[str, str] | None = None) -> httpx.Response:
    if refusal is None:
        raise LookupError("this kind of fault is only for vendors that know such a reply")
    raw = refusal.body.encode() if isinstance(refusal.body, str) else jsonio.dumps(refusal.body)
    named = {"content-type": "application/json"} | dict(refusal.headers) | dict(headers or {})
    return httpx.Response(refusal.status, headers=named, content=raw)


def _key(request: httpx.Request) -> ConnectionKey:
    url = request.url
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    return ConnectionKey(url.host, port, secure, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)


def _unreachable(request: httpx.Request) -> Exception:
    return aiohttp.ClientConnectorError(_key(request), ConnectionRefusedError(111, "Connect call failed"))


def _nameless(request: httpx.Request) -> Exception:
    return aiohttp.ClientConnectorDNSError(_key(request), OSError(-2, "Name or service not known"))


def _insecure(request: httpx.Request) -> Exception:
    return aiohttp.ClientConnectorSSLError(_key(request), OSError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"))


def _unconnected(request: httpx.Request) -> Exception:
    return aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}")


def _silent(request: httpx.Request) -> Exception:
    return aiohttp.SocketTimeoutError("Timeout on reading data from socket")


def _dropped(request: httpx.Request) -> Exception:
    error = ConnectionLostError("[Errno 104] Connection reset by peer")
    error.__cause__ = aiohttp.ClientOSError(104, "Connection reset by peer")
    return error


def _cut(request: httpx.Request) -> Exception:
    return aiohttp.ClientPayloadError("Response payload is not completed: <ContentLengthError: 400>")


def _dripping(request: httpx.Request) -> Exception:
    """What `Network` makes of a reply that does not end within its time."""
    return TimeoutError()


def _half(response: httpx.Response) -> httpx.Response:
    kind = {"content-type": response.headers.get("content-type", "application/json")}
    return httpx.Response(response.status_code, headers=kind, content=response.content[: len(response.content) // 2])


def _page(response: httpx.Response) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/html"}, content="<html><body>It works!</body></html>")


def _multi_status(response: httpx.Response) -> httpx.Response:
    return httpx.Response(207, headers={"content-type": "application/json"}, content=b'[{"status":200},{"status":424}]')


def _lagging(kind: _Kind) -> _Kind:
    """The vendor has acted before `kind`, which is one that does not let it, and its searches do not show it yet."""

    async def play(exchange: _Exchange) -> httpx.Response:
        simulator = exchange.simulator
        if simulator is None:
            raise LookupError("only a simulator's searches can lag behind")
        simulator.search_lag, before = _LAG, simulator.search_lag
        try:
            await exchange.ask()
        finally:
            simulator.search_lag = before
        exchange.detail = f"searches do not show it for {_LAG.total_seconds():g} s"
        return await kind.play(exchange)

    def fits(exchange: _Exchange) -> bool:
        return exchange.simulator is not None and exchange.simulator.lags and is_write(exchange.request)

    return _Kind(play, fits)


def _date(exchange: _Exchange) -> str:
    return format_datetime((exchange.now() + timedelta(seconds=30)).astimezone(UTC), usegmt=True)


KINDS: Mapping[str, _Kind] = {
    "refused": _not_sent(_unreachable),
    "no_name": _not_sent(_nameless),
    "tls": _not_sent(_insecure),
    "connect_timeout": _not_sent(_unconnected),
    "timeout": _lost(_silent, applied=False),
    "timeout_applied": _lost(_silent, applied=True),
    "timeout_lagging": _lagging(_lost(_silent, applied=False)),
    "503_lagging": _lagging(_answered(503, applied=False)),
    "reset": _lost(_dropped, applied=False),
    "reset_applied": _lost(_dropped, applied=True),
    "reset_in_body": _lost(_cut, applied=True),
    "drip": _lost(_dripping, applied=True),
    "truncated": _spoilt(_half),
    "not_json": _spoilt(_page),
    "multi_status": _spoilt(_multi_status),
    "error_200": _refused("error_200"),
    "unauthorized": _refused("unauthorized"),
    "conflict": _refused("conflict", only_writes=True),
    "stale": _refused("stale", only_writes=True),
    "throttled": _throttled(lambda e: str(e.random.randint(1, 90))),
    "throttled_date": _throttled(_date),
    "throttled_bare": _throttled(lambda e: None),
    "throttled_absurd": _throttled(lambda e: e.random.choice(_ABSURD)),
    "throttled_negative": _throttled(lambda e: "-5"),
    "throttled_garbage": _throttled(lambda e: e.random.choice(_GARBAGE)),
    **{str(status): _answered(status, applied=False) for status in (500, 502, 503, 504)},
    **{f"{status}_applied": _answered(status, applied=True) for status in (500, 502, 503, 504)},
}
"""Every kind of fault by name. `…_applied`, `reset_in_body`, `drip`, `truncated`, `not_json`, `multi_status` and
`…_lagging` strike after the vendor has done what was asked, all others instead of it."""
