"""What people are told: alerts are made from a run, and stored with it until they are delivered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from crossdock_sdk import Alert, jsonio

from crossdock.approval import writes
from crossdock.heritage import leaves
from crossdock.journal.base import Blocked, ConnectionState, Journal, NewAlert, RunRow
from crossdock.payload import payload_of
from crossdock.program import Program
from crossdock.saga import culprit, reports, why_held
from crossdock.state import Phase, Run, Status

_log = logging.getLogger("crossdock.alerts")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}

_TITLES = {
    Status.ROLLED_BACK: "rolled back: nothing of it remains",
    Status.DEAD: "failed and waits for a person",
    Status.HELD: "is held and waits for a person",
    Status.IN_DOUBT: "is in doubt: a write may or may not have taken effect",
    Status.SUCCEEDED: "succeeded, but left out an optional leg",
    Status.AWAITING_APPROVAL: "waits for a person's yes before it writes",
    Status.CANCELLED: "was not approved in time; nothing of it was written",
}
_SEVERITIES = {Status.SUCCEEDED: "warning", Status.AWAITING_APPROVAL: "info", Status.CANCELLED: "warning"}
_UNWRITTEN = "was stopped before its first write"
_SHARED = "rolled back; what another run uses stays"
_ADVICE = {
    Status.ROLLED_BACK: "Mend the cause at the vendor or in the routing file, then replay the run.",
    Status.DEAD: "Mend the cause, see to what still stands, then replay the run.",
    Status.HELD: "Mend the cause, then replay the run to go on from this leg, or cancel it to roll back.",
    Status.IN_DOUBT: (
        "Look at the vendor whether the write is there, and say so with `crossdock runs resolve`;"
        " where the vendor can be asked the run goes on asking by itself."
    ),
    Status.AWAITING_APPROVAL: (
        "Look at what would be written, and say yes or no: on the run's page, or with `crossdock runs approve`."
    ),
    Status.CANCELLED: "Replay the run to be asked again.",
    Status.SUCCEEDED: "Do the left-out leg by hand, or mend the cause for the next deal.",
}
_CLOSED = {
    "paused": (
        "is paused: its credentials are refused",
        "Renew the credentials and reload the configuration; the runs that wait go on by themselves.",
    ),
    "down": (
        "is down: its vendor does not answer",
        (
            "Nothing is lost: runs wait, the vendor is asked again and again, and they go on by themselves. Look at the"
            " vendor's status page; if the vendor is well, at the connection's address and the network."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Links:
    """Where a person can look; `public_url` is what people reach this server by, without a trailing slash."""

    public_url: str | None = None

    def run(self, run_id: str) -> dict[str, str]:
        return {"Run": f"{self.public_url}/runs/{run_id}"} if self.public_url else {}

    def runs(self, **wanted: str | None) -> dict[str, str]:
        """The list of runs that are so; what is None or empty does not matter."""
        query = urlencode({name: value for name, value in wanted.items() if value})
        return {"All of them": f"{self.public_url}/runs?{query}"} if self.public_url else {}


def run_alert(program: Program, row: RunRow, run: Run, status: Status, now: datetime, links: Links) -> Alert:
    """The alert of a run that ended without success, or that waits for a person."""
    leg = culprit(program.plan, run)
    state = run.leg(leg) if leg else None
    error = (state.error if state else None) or run.error or why_held(run) or {}
    severity = _SEVERITIES.get(status, "error")
    payload: Any = payload_of(run, leg)
    if status is Status.AWAITING_APPROVAL:
        payload = {"writes": writes(program.compiled, run)}
    return Alert(
        id=f"{row.id}:{status}:{run.steps}",
        title=f"{row.flow} for {row.key} {_title(run, status)}",
        severity=severity,
        at=now,
        flow=row.flow,
        run=row.id,
        status=str(status),
        key=row.key,
        leg=leg,
        action=program.leg(leg).leg.do if leg else None,
        connection=program.leg(leg).leg.connection if leg else program.flow.source,
        error={k: v for k, v in error.items() if k != "jitter"},
        payload=payload,
        legs=reports(program.plan, run),
        advice=_ADVICE[status],
        links=links.run(row.id),
        thread=row.root,
        trace_id=_trace_id(row.trace),
    )


def recovery_note(program: Program, row: RunRow, run: Run, now: datetime, links: Links) -> Alert:
    """That a run came to a good end of which, or of whose ancestors, people were told that it had not."""
    how = f"as replay of {row.replay_of}" if row.replay_of else "after it had stopped"
    return Alert(
        id=f"{row.id}:recovered:{row.root}",
        title=f"{row.flow} for {row.key} has succeeded, {how}",
        severity="info",
        at=now,
        flow=row.flow,
        run=row.id,
        status=str(Status.SUCCEEDED),
        key=row.key,
        legs=reports(program.plan, run),
        links=links.run(row.id),
        thread=row.root,
        trace_id=_trace_id(row.trace),
    )


def _title(run: Run, status: Status) -> str:
    phases = {leg.phase for leg in run.legs.values()}
    if status is Status.DEAD and phases <= {Phase.PENDING} and not leaves(run):
        return _UNWRITTEN
    if status is Status.ROLLED_BACK and Phase.KEPT in phases:
        return _SHARED
    return _TITLES[status]


def connection_alert(connection: str, status: str, error: dict[str, Any], row: RunRow, now: datetime) -> Alert:
    """The one alert of a connection that may not be used, `paused` or `down`."""
    title, advice = _CLOSED[status]
    return Alert(
        id=f"connection:{connection}:{status}:{now.isoformat()}",
        title=f"connection {connection} {title}",
        at=now,
        flow=row.flow,
        run=row.id,
        status=str(Status.WAITING),
        key=row.key,
        connection=connection,
        error={k: v for k, v in error.items() if k != "jitter"},
        advice=advice,
        thread=f"connection:{connection}",
        trace_id=_trace_id(row.trace),
    )


def closed_about(state: ConnectionState) -> str:
    """The id of the alert that tells of a closed connection."""
    since = state.since.isoformat() if state.since else ""
    return f"connection:{state.name}:{state.status}:{since}"


def reopened_note(state: ConnectionState, waiting: int, now: datetime) -> Alert:
    """That a connection which was closed, as `state` tells, can be used again, and how many runs go on."""
    took = _span(now - state.since) if state.since else "a while"
    went = "; 1 run goes on" if waiting == 1 else f"; {waiting} runs go on" if waiting else ""
    return Alert(
        id=f"connection:{state.name}:active:{now.isoformat()}",
        title=f"connection {state.name} is back after {took}{went}",
        severity="info",
        at=now,
        connection=state.name,
        thread=f"connection:{state.name}",
    )


def _span(took: timedelta) -> str:
    minutes, seconds = divmod(int(took.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((at for at, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def poll_alert(connection: str, since: datetime, message: str, now: datetime) -> Alert:
    """A source that cannot be polled, once for each episode, which began `since`."""
    return Alert(
        id=f"poll:{connection}:{since.isoformat()}",
        title=f"connection {connection} cannot be polled: what its webhooks do not tell is not seen",
        at=now,
        connection=connection,
        error={"kind": "poll", "message": message},
        advice="Mend what the message says; the poll goes on by itself from where it stood, and nothing is left out.",
    )


def poll_gap_alert(connection: str, missed: str, now: datetime) -> Alert:
    """Something happened at a source that nobody can be told of any more."""
    return Alert(
        id=f"poll:{connection}:missed:{now.isoformat()}",
        title=f"connection {connection}: some of what happened there can no longer be read",
        at=now,
        connection=connection,
        error={"kind": "poll", "message": missed},
        advice="Look at the vendor for what happened in that time, and see to it by hand.",
    )


def stuck_alert(row: RunRow, message: str, now: datetime) -> Alert:
    """A run that cannot go on with what is installed and configured now."""
    return Alert(
        id=f"{row.id}:stuck:{now.isoformat()}",
        title=f"{row.flow} for {row.key} cannot go on",
        at=now,
        flow=row.flow,
        run=row.id,
        status=str(Status.WAITING),
        key=row.key,
        error={"kind": "config", "message": message},
        advice="Put back what the message names, or install it; the run goes on by itself.",
        thread=row.root,
        trace_id=_trace_id(row.trace),
    )


def defect_alert(row: RunRow, message: str, now: datetime) -> Alert:
    """A run over which the runtime itself fails, or whose rows it cannot read."""
    return Alert(
        id=f"{row.id}:defect:{now.isoformat()}",
        title=f"{row.flow} for {row.key} cannot go on: a defect of Crossdock or its database",
        at=now,
        flow=row.flow,
        run=row.id,
        status=str(Status.WAITING),
        key=row.key,
        error={"kind": "defect", "message": message},
        advice="It is tried again by itself. Report what the log says; restore a backup if the database is damaged.",
        thread=row.root,
        trace_id=_trace_id(row.trace),
    )


def blocked_alert(blocked: Blocked, now: datetime) -> Alert:
    """A run that cannot begin, or go on, before a person has seen to another."""
    row = blocked.row
    return Alert(
        id=f"{row.id}:behind:{blocked.behind}",
        title=f"{row.flow} for {row.key} waits behind run {blocked.behind}, which is {blocked.behind_status}",
        severity="warning",
        at=now,
        flow=row.flow,
        run=row.id,
        status=row.status,
        key=row.key,
        error={"kind": "blocked", "message": f"run {blocked.behind} waits for a person, and this one for it"},
        advice=f"See to run {blocked.behind}; this one goes on by itself then.",
        thread=row.root,
        trace_id=_trace_id(row.trace),
    )


def outbox(alert: Alert, notifiers: tuple[str, ...], now: datetime, *, note: bool = False) -> tuple[NewAlert, ...]:
    """The alert as the journal keeps it, once for each notifier. `note`: it ends what was told before."""
    body = jsonio.plain(alert.model_dump())
    more = {"note": True} if note else {}
    return tuple(NewAlert(f"{alert.id}@{name}", {"notifier": name, "alert": body, **more}, now) for name in notifiers)


def tell_log(alert: Alert) -> None:
    """Every alert is a line in the log, too."""
    level = _LEVELS.get(alert.severity, logging.ERROR)
    facts = {"run": alert.run, "leg": alert.leg, "flow": alert.flow, "alert": alert.id}
    _log.log(level, "%s: %s", alert.title, alert.error.get("message", ""), extra=facts)


async def post(journal: Journal, alert: Alert, notifiers: tuple[str, ...], now: datetime) -> None:
    """Store an alert that comes with no checkpoint, and log it. The same alert again changes nothing."""
    fresh = True
    for entry in outbox(alert, notifiers, now):
        fresh = await journal.put_alert(entry.id, entry.data, entry.due_at)
    if fresh:
        tell_log(alert)


def _trace_id(trace: str) -> str | None:
    parts = trace.split("-")
    return parts[1] if len(parts) > 2 else None
