"""How a connection does, in the words of its page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock.web.dashboard.vitals import SOON, least, token, vitals

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def connection(**known: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("since", "next_try", "trying", "webhooks", "poll", "paused", "tokens", "headroom"))
    return {"name": "v", "status": "active", "reason": None, "circuit": "closed"} | unknown | known


def words(**known: Any) -> dict[str, tuple[str, str]]:
    found = vitals(connection(**known), NOW)
    return {one.name: (re.sub(r"<time[^>]*>[^<]*</time>", "@", one.text), one.tone) for one in found}


def test_what_is_not_known_is_said() -> None:
    assert words() == {
        "Circuit": ("closed: calls go through", "good"),
        "Credentials": ("those of the routing file; their end is not told by the vendor", "idle"),
        "Vendor's limits": ("not known: this process has not called it since its start", "idle"),
    }
    assert words(status="stopped", circuit=None) == {}
    assert (token(connection(), NOW), least(connection())) == (None, None)


def test_a_circuit_is_open_or_half_open_while_one_run_tries_the_connection() -> None:
    down = {"status": "down", "since": NOW, "next_try": NOW}
    told = words(circuit="open", **down)["Circuit"]
    assert told == ("open since @: its vendor does not answer; one run tries it @", "bad")
    told = words(circuit="half_open", trying="r1", **down)["Circuit"]
    one_run = '<a href="/runs/r1">one run</a>'
    assert told == (f"half open since @: its vendor does not answer; {one_run} tries it now", "warn")
    assert "credentials are refused" in words(circuit="open", **down | {"status": "paused"})["Circuit"][0]


def test_a_refresh_token_is_worth_a_colour_while_there_is_time_to_act() -> None:
    assert words(tokens={"refresh": NOW + SOON})["Refresh token"] == ("ends @", "good")
    soon = {"refresh": NOW + SOON - timedelta(seconds=1), "access": NOW}
    assert words(tokens=soon)["Refresh token"] == ("ends @: connect the account anew", "warn")
    assert words(tokens=soon)["Access token"] == ("ended @; it is renewed by itself", "idle")
    found = token(connection(tokens=soon), NOW)
    assert found is not None
    assert (found.name, found.tone) == ("Refresh token", "warn")


def test_limits_are_told_with_when_they_were_seen_and_what_the_vendor_wishes() -> None:
    much = {"name": "daily", "remaining": 9000.0, "limit": 10000.0, "until": None, "seen_at": NOW}
    little = {"name": "burst", "remaining": 1.0, "limit": 20.0, "until": NOW, "seen_at": NOW}
    room = {"told": True, "pause_seconds": 0.0, "quotas": [much]}
    assert words(headroom=room)["Vendor's limits"] == ("daily: 9,000 of 10,000 left, seen @.", "idle")
    both = room | {"quotas": [much, little], "pause_seconds": 30.0}
    said, tone = words(headroom=both)["Vendor's limits"]
    assert said.endswith("; burst: 1 of 20 left, full again @, seen @. It wants to be left alone for 30 s.")
    assert tone == "warn"
    found = least(connection(headroom=both))
    assert found is not None
    assert (str(found.text), found.tone) == ("5% of burst", "warn")
    assert "lately" in words(headroom=room | {"quotas": []})["Vendor's limits"][0]
    silent = {"told": False, "pause_seconds": 12.0, "quotas": []}
    assert words(headroom=silent)["Vendor's limits"] == (
        "not told by the vendor. It wants to be left alone for 12 s.",
        "warn",
    )


def test_when_it_was_heard_and_read_and_where_its_cursor_stands() -> None:
    hooks = {"registered": 2, "registered_at": NOW, "last_delivery_at": None}
    assert words(webhooks=hooks)["Webhooks"] == ("none seen yet; 2 registered from here", "warn")
    poll = {"read_at": None, "next": NOW, "reading": True, "failures": 0, "reason": None, "from": NOW}
    told = words(webhooks=hooks | {"last_delivery_at": NOW}, poll=poll)
    assert told["Webhooks"] == ("last seen @; 2 registered from here", "idle")
    assert (told["Last poll"][0], told["Cursor"][0]) == ("not read yet", "begins with what happened @; being read now")
    told = words(poll=poll | {"read_at": NOW, "reading": False, "failures": 3, "reason": "<b>no</b>"})
    assert told["Last poll"][0] == "read to its end @"
    assert told["Cursor"][0] == "stands where it was @; next poll @"
    assert told["Polls failed"] == ("3 times in a row: <bdi>&lt;b&gt;no&lt;/b&gt;</bdi>", "bad")
