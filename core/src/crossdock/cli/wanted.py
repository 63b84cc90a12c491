"""Which runs a command line wants, checked here so that both desks are asked the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crossdock.cli.errors import misused

if TYPE_CHECKING:
    from crossdock.journal.base import RunFilter


def query(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the API's query string names them, without those that were not given; instants are absolute.

    Raises a wrong usage for a status or an instant that is none.
    """
    wanted = {name: value for name, value in given.items() if value is not None and value != []}
    _known(wanted.get("status", ()))
    now = datetime.now(UTC)
    return wanted | {name: _moment(name, wanted[name], now) for name in ("since", "until") if name in wanted}


def run_filter(wanted: Mapping[str, Any]) -> RunFilter:
    """What `query` has made, for a journal."""
    from crossdock.journal.base import RunFilter

    since, until = (datetime.fromisoformat(wanted[name]) if name in wanted else None for name in ("since", "until"))
    return RunFilter(
        flow=wanted.get("flow"),
        statuses=tuple(wanted.get("status", ())),
        key=wanted.get("key"),
        connection=wanted.get("connection"),
        error_kind=wanted.get("error"),
        leg=wanted.get("leg"),
        since=since,
        until=until,
        needs_person=wanted.get("needs_person", False),
        text=wanted.get("text"),
    )


def _moment(name: str, text: str, now: datetime) -> str:
    from crossdock.moments import moment

    try:
        return moment(text, now).isoformat()
    except ValueError as error:
        raise misused(f"--{name}: {error}") from None


def _known(statuses: Sequence[str]) -> None:
    from crossdock.state import Status
    from crossdock.words import did_you_mean

    names = [str(known) for known in Status]
    for status in statuses:
        if status not in names:
            hint = did_you_mean(status, names) or f"; there are {', '.join(names)}"
            raise misused(f"--status: no status is called {status}{hint}")
