"""How a connection does, in words: its circuit, credentials, limits, and when it was heard of and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from crossdock.web.dashboard.rendering import instant, left

SOON = timedelta(days=7)
"""A person connects an account anew in working hours: from here on it is said that it has to be done."""
SCARCE = 0.1
"""Less than this part of a limit is worth a colour."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One thing that tells how a connection does. `tone` is good, bad, warn or idle."""

    name: str
    text: Markup
    tone: str = "idle"


def vitals(one: Mapping[str, Any], now: datetime) -> list[Vital]:
    """All of them, of a connection as the API describes it."""
    if one["status"] == "stopped":
        return []
    found = [circuit(one), *credentials(one, now), limits(one)]
    return [*found, *_heard(one), *_read(one)]


def token(one: Mapping[str, Any], now: datetime) -> Vital | None:
    """The end that a person has to think of, in a table's cell: that of the refresh token, else the access token's."""
    ends = one["tokens"] or {}
    if "refresh" in ends:
        return replace(_refresh(ends["refresh"], now), text=left(ends["refresh"]))
    return Vital("Access token", left(ends["access"])) if "access" in ends else None


def least(one: Mapping[str, Any]) -> Vital | None:
    """The limit of which the smallest part is left, in a table's cell."""
    quotas = [quota for quota in (one["headroom"] or {}).get("quotas", ()) if quota["limit"]]
    if not quotas:
        return None
    part, name = min((quota["remaining"] / quota["limit"], quota["name"]) for quota in quotas)
    return Vital(name, Markup("{:.0%} of {}").format(part, name), "warn" if part < SCARCE else "idle")


def circuit(one: Mapping[str, Any]) -> Vital:
    """Whether calls go through."""
    if one["circuit"] == "closed":
        return Vital("Circuit", Markup("closed: calls go through"), "good")
    why = "its credentials are refused" if one["status"] == "paused" else "its vendor does not answer"
    since = Markup("since {}: {}").format(instant(one["since"], date=True), why)
    if one["circuit"] == "half_open":
        run = Markup('<a href="/runs/{0}">one run</a>').format(one["trying"])
        return Vital("Circuit", Markup("half open {}; {} tries it now").format(since, run), "warn")
    return Vital("Circuit", Markup("open {}; one run tries it {}").format(since, left(one["next_try"])), "bad")


def credentials(one: Mapping[str, Any], now: datetime) -> Iterator[Vital]:
    """When what opens the account stops working, as far as the vendor tells."""
    tokens = one["tokens"] or {}
    if not tokens:
        yield Vital("Credentials", Markup("those of the routing file; their end is not told by the vendor"))
    if "access" in tokens:
        when = Markup("ended {}; it is") if tokens["access"] <= now else Markup("expires {},")
        yield Vital("Access token", when.format(left(tokens["access"])) + " renewed by itself")
    if "refresh" in tokens:
        yield _refresh(tokens["refresh"], now)


def _refresh(ends: datetime, now: datetime) -> Vital:
    if ends <= now:
        return Vital("Refresh token", Markup("ended {}: connect the account anew").format(left(ends)), "bad")
    if ends - now < SOON:
        return Vital("Refresh token", Markup("ends {}: connect the account anew").format(left(ends)), "warn")
    return Vital("Refresh token", Markup("ends {}").format(left(ends)), "good")


def limits(one: Mapping[str, Any]) -> Vital:
    """What is left of the vendor's limits, as this process knows it."""
    room = one["headroom"]
    if room is None:
        return Vital("Vendor's limits", Markup("not known: this process has not called it since its start"))
    pause = Markup(" It wants to be left alone for {:.0f} s.").format(room["pause_seconds"])
    more, tone = (pause, "warn") if room["pause_seconds"] else (Markup(""), "idle")
    if not room["told"]:
        return Vital("Vendor's limits", Markup("not told by the vendor.") + more, tone)
    if not room["quotas"]:
        return Vital("Vendor's limits", Markup("not known: no reply has told of them lately.") + more, tone)
    scarce = any(quota["limit"] and quota["remaining"] < SCARCE * quota["limit"] for quota in room["quotas"])
    told = Markup("; ").join(map(_quota, room["quotas"]))
    return Vital("Vendor's limits", told + Markup(".") + more, "warn" if scarce else tone)


def _quota(quota: Mapping[str, Any]) -> Markup:
    of = Markup(" of {:,.0f}").format(quota["limit"]) if quota["limit"] else Markup("")
    full = Markup(", full again {}").format(left(quota["until"])) if quota["until"] else Markup("")
    seen = Markup(", seen {}").format(left(quota["seen_at"])) if quota["seen_at"] else Markup("")
    return Markup("{}: {:,.0f}{} left{}{}").format(quota["name"], quota["remaining"], of, full, seen)


def _heard(one: Mapping[str, Any]) -> Iterator[Vital]:
    hooks = one["webhooks"]
    if hooks is None:
        return
    number = hooks["registered"]
    standing = Markup("{} registered from here").format(number or "none")
    last = hooks["last_delivery_at"]
    came = Markup("last seen {}").format(left(last)) if last else Markup("none seen yet")
    yield Vital("Webhooks", Markup("{}; {}").format(came, standing), "warn" if number and not last else "idle")


def _read(one: Mapping[str, Any]) -> Iterator[Vital]:
    poll = one["poll"]
    if poll is None:
        return
    read = Markup("read to its end {}").format(left(poll["read_at"])) if poll["read_at"] else Markup("not read yet")
    yield Vital("Last poll", read)
    stands = Markup("stands where it was {}") if poll["read_at"] else Markup("begins with what happened {}")
    after = Markup("being read now") if poll["reading"] else Markup("next poll {}").format(left(poll["next"]))
    yield Vital("Cursor", Markup("{}; {}").format(stands.format(left(poll["read_at"] or poll["from"])), after))
    if poll["failures"]:
        told = Markup("{} times in a row: <bdi>{}</bdi>").format(poll["failures"], poll["reason"])
        yield Vital("Polls failed", told, "bad")
