"""Which runs somebody asks for, from the words of a query string, a form, a JSON body or a command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crossdock.journal.base import RunFilter
from crossdock.moments import moment
from crossdock.state import Status
from crossdock.words import did_you_mean

NAMES = ("text", "flow", "status", "connection", "error", "leg", "key", "since", "until", "needs_person")
"""What a list of runs is filtered by, for people."""


def runs_asked(words: Mapping[str, Any], now: datetime) -> RunFilter:
    """The filter that these words come to; what is empty counts as not given.

    `status` is a list, `needs_person` a bool, all else text; `since` and `until` are as `moment` reads them. Raises
    `ValueError` with the name and what is wrong with it, in one line.
    """
    given = {name: value for name, value in words.items() if value and not (isinstance(value, str) and value.isspace())}
    return RunFilter(
        flow=given.get("flow"),
        statuses=tuple(_status(name) for name in given.get("status", ()) if name),
        key=given.get("key"),
        connection=given.get("connection"),
        error_kind=given.get("error"),
        leg=given.get("leg"),
        since=_instant(given, "since", now),
        until=_instant(given, "until", now),
        replay_of=given.get("replay_of"),
        root=given.get("root"),
        needs_person=bool(given.get("needs_person")),
        text=given.get("text"),
    )


def _status(name: str) -> str:
    known = [str(status) for status in Status]
    if name not in known:
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        raise ValueError(f"status: no status is called {name}{hint}")
    return str(name)


def _instant(given: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
    try:
        return moment(given[name], now) if name in given else None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
