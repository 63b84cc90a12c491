"""Webhooks at a vendor that has an API for them: what stands there, held against what flows wait for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from crossdock_sdk import Subscription

from crossdock.config.compiled import CompiledFlow
from crossdock.handshakes import QUERY
from crossdock.journal.hooks import StoredHook

_PORTS = {"http": 80, "https": 443}

_BEST_FIRST = ("ok", "unfinished", "off", "unknown")
UNKNOWN = "it was registered elsewhere, or its registration broke off: its secret is not known here"
UNFINISHED = "its registration broke off before the vendor's yes was noted"


@dataclass(frozen=True, slots=True)
class Line:
    """One webhook that stands or should.

    `state` is `ok`; `missing`, or `wrong url` if one like it stands for another address; `off` with the vendor's
    reason; `unfinished`, `unknown` or `unwanted` for one of ours that must be seen to; `other` for somebody else's.
    """

    state: str
    subscription: Subscription
    note: str = ""
    wanted: Subscription | None = None
    """What a sync would register, now or in its place."""

    @property
    def stands(self) -> bool:
        return self.state not in {"missing", "wrong url"}

    @property
    def wrong(self) -> bool:
        """Whether a sync has something to do about it."""
        return self.state not in {"ok", "other"}


class Known:
    """What the journal knows of the webhooks of one connection."""

    def __init__(self, rows: Sequence[StoredHook], *, needs_secret: bool, opens: Callable[[StoredHook], bool]) -> None:
        self.rows = rows
        self._needs_secret = needs_secret
        self._opens = opens

    def row(self, subscription: Subscription) -> StoredHook | None:
        """The row of a webhook at the vendor: by what its URL carries, or by the vendor's id."""
        nonce = nonce_of(subscription.url)
        for row in self.rows:
            if row.nonce == nonce or (
                nonce is None and subscription.id is not None and row.subscription == subscription.id
            ):
                return row
        return None

    def judge(self, subscription: Subscription) -> tuple[str, Subscription, str]:
        """A webhook of ours that is wanted, after its state and before a note."""
        state, note = self._judged(subscription)
        return state, subscription, note

    def _judged(self, subscription: Subscription) -> tuple[str, str]:
        if subscription.trouble:
            return "off", subscription.trouble
        row = self.row(subscription)
        if self._needs_secret:
            if row is None or row.secret is None:
                return "unknown", UNKNOWN
            if not self._opens(row):
                return "unknown", "its secret was encrypted with a key that is not in CROSSDOCK_SECRET_KEY"
        if row is not None and row.registered_at is None:
            return "unfinished", UNFINISHED
        return "ok", ""


def waited_for(connection: str, flows: Mapping[str, CompiledFlow]) -> tuple[str, ...]:
    """The event types of a connection that flows wait for."""
    prefix = f"{connection}."
    whens = (compiled.flow.when for compiled in flows.values())
    return tuple(sorted({when.removeprefix(prefix) for when in whens if when.startswith(prefix)}))


def compare(wanted: Sequence[Subscription], standing: Sequence[Subscription], url: str, known: Known) -> list[Line]:
    """What should stand, each topic once, then what stands besides: ours, then others'."""
    ours = [each for each in standing if same_place(each.url, url)]
    others = [each for each in standing if not same_place(each.url, url)]
    topics = {each.topic: each for each in wanted}
    lines: list[Line] = []
    for topic, want in topics.items():
        judged = [Line(*known.judge(each), wanted=want) for each in ours if each.topic == topic]
        judged.sort(key=lambda line: _BEST_FIRST.index(line.state))
        lines += judged[:1] or [_missing(want, others)]
        # Of two that deliver, one is enough.
        lines += [Line("unwanted", line.subscription, "it stands twice") for line in judged[1:]]
    unwanted = [each for each in ours if each.topic not in topics]
    lines += [Line("unwanted", each, "no flow waits for it") for each in unwanted]
    return lines + [Line("other", each, each.trouble or "") for each in others]


def _missing(want: Subscription, others: Sequence[Subscription]) -> Line:
    path = urlsplit(want.url).path.rstrip("/").rpartition("/webhooks/")[2]
    for other in others:
        if other.topic == want.topic and urlsplit(other.url).path.rstrip("/").endswith(f"/webhooks/{path}"):
            at = other.url.partition("?")[0]
            told = f"one stands for {at}; if that was this server, remove it with --url"
            return Line("wrong url", want, told, want)
    return Line("missing", want, wanted=want)


def same_place(one: str, other: str) -> bool:
    """Whether two URLs differ in nothing but their query."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str | None, int | None, str] | None:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")
    except ValueError:
        return None


def nonce_of(url: str) -> str | None:
    """What tells one registration of ours from another."""
    try:
        return parse_qs(urlsplit(url).query).get(QUERY, [None])[0]
    except ValueError:
        return None
