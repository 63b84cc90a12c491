"""What a message says once more has happened: the run's way since, or how many fail alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crossdock_sdk import Alert, AlertAction

from crossdock.alerts import Links
from crossdock.journal.audit import StoredAct
from crossdock.journal.base import Journal, RunRow, Talk
from crossdock.offers import offers, state_of
from crossdock.state import Status
from crossdock.tokens import Tokens

_NEWEST = 5
_MOST_ACTS = 10
_DONE = {
    "replay": "replayed",
    "cancel": "asked to cancel",
    "approve": "approved",
    "reject": "rejected",
    "resolve": "settled",
    "dismiss": "dismissed",
    "edit and replay": "edited and replayed",
    "replay from a leg": "replayed from a leg",
}
_SEVERITIES = {
    Status.SUCCEEDED: "good",
    Status.CANCELLED: "info",
    Status.IGNORED: "info",
    Status.AWAITING_APPROVAL: "info",
    Status.DEAD: "error",
    Status.ROLLED_BACK: "error",
    Status.HELD: "error",
    Status.IN_DOUBT: "error",
}
_OVER = frozenset({"good", "info"})
_VARIABLE = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*"|`[^`]*`)|(?P<word>\S*\d\S*)|(?P<address>\S+@\S+)""",
)
_WHOLE = 400


def likeness(alert: Alert) -> str | None:
    """What alerts of runs that fail alike have in common; None for one that is about no run, or that asks for a yes."""
    if alert.flow is None or alert.run is None or alert.id.startswith("connection:"):
        return None
    if alert.status == Status.AWAITING_APPROVAL:
        return None
    message = normalised(str(alert.error.get("message", "")))
    parts = (alert.flow, alert.leg, alert.error.get("kind"), alert.status, message)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def normalised(message: str) -> str:
    """A message without what differs from run to run: what is quoted, and words with digits or an @."""
    return " ".join(_VARIABLE.sub("…", message[:_WHOLE]).lower().split())


@dataclass(frozen=True, slots=True)
class Retelling:
    """Makes what a talk's message says now, from what the journal says now."""

    journal: Journal
    links: Links = field(default_factory=Links)
    tokens: Tokens | None = None

    async def armed(self, alert: Alert, connection: str, run: str | None = None) -> Alert:
        """The alert with the buttons that its run (or `run`) offers as it stands; none if it has moved on since."""
        history = await self.journal.history(run or alert.run or "") if self.tokens else None
        if history is None or self.tokens is None:
            return alert
        row, steps = history
        if run is None and row.status != alert.status:
            return alert
        replayed = await self.journal.replay_of(row.id) is not None
        state = state_of(row, steps)
        actions = tuple(
            AlertAction(
                name=offer.action,
                label=offer.label,
                style=offer.style,
                token=self.tokens.issue(offer.action, row.id, state, connection),
            )
            for offer in offers(row, replayed=replayed)
        )
        return alert.model_copy(update={"actions": actions})

    async def again(self, talk: Talk, *, pressable: bool) -> Alert | None:
        """What the message of a talk says now; None if what it was about is not in the journal any more."""
        stored = await self.journal.talks.alert(talk.lead)
        if stored is None:
            return None
        lead = Alert.model_validate(stored.data["alert"])
        if talk.threads > 1:
            return await self._alike(talk, lead)
        if lead.id.startswith("connection:"):
            return await self._connection(lead)
        chain = await self.journal.talks.chain(lead.thread or "")
        if not chain:
            return lead
        told = _since(lead, chain[-1], await self.journal.talks.acts(chain[-1].root, _MOST_ACTS))
        told = told.model_copy(update={"links": {**lead.links, **self.links.run(chain[-1].id)}})
        return await self.armed(told, talk.notifier, chain[-1].id) if pressable else told

    async def gathered(self, talk: Talk) -> Alert | None:
        """What a notifier that cannot change its messages is told of all that was gathered; None if there is nothing.

        Of one alone it is that alert itself.
        """
        pending, count = await self.journal.talks.pending(talk, _NEWEST)
        if not pending:
            return None
        newest = [Alert.model_validate(one["alert"]) for one in pending]
        if count == 1:
            return newest[0]
        notes = sum(bool(one.get("note")) for one in pending)
        told = await self._alike(talk, newest[0])
        title = told.title if notes == len(pending) else f"{count} more: {told.title}"
        return told.model_copy(update={"id": f"{talk.lead}:gathered:{talk.joined}", "title": title})

    async def _alike(self, talk: Talk, lead: Alert) -> Alert:
        counts = await self.journal.talks.standing(talk)
        newest = await self.journal.talks.newest(talk, _NEWEST)
        good = set(counts) == {str(Status.SUCCEEDED)}
        said = lead.title.removeprefix(f"{lead.flow} for {lead.key} ")
        begun = f"{_time(talk.begun_at)}: the first of them, {lead.title}"
        state = "now " + ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        keys = "newest: " + ", ".join(row.key for row in newest)
        links = {row.key: url for row in newest for url in self.links.run(row.id).values()}
        kind = lead.error.get("kind")
        where = self.links.runs(
            flow=lead.flow, error=str(kind) if kind else None, leg=lead.leg, since=talk.begun_at.isoformat()
        )
        return lead.model_copy(
            update={
                "id": f"{talk.lead}:{talk.version}",
                "title": f"{talk.threads} runs of {lead.flow} alike: {said}",
                "severity": "good" if good else lead.severity,
                "story": (begun, keys, *((state,) if counts else ())),
                "links": {**where, **links},
                "actions": (),
                "payload": None,
                "legs": (),
                "run": None,
                "key": None,
                "trace_id": None,
                "advice": None if good else lead.advice,
            }
        )

    async def _connection(self, lead: Alert) -> Alert:
        state = await self.journal.connection_state(lead.connection or "")
        if state.status != "active":
            return lead
        back = f"{_time(state.since)}: it is back" if state.since else "it is back"
        title = f"connection {lead.connection} is back"
        return lead.model_copy(update={"title": title, "severity": "good", "story": (lead.title, back), "advice": None})


def _since(lead: Alert, row: RunRow, acts: list[StoredAct]) -> Alert:
    """The alert with the story of its run since, and of the replays of it."""
    if not acts and (row.id, row.status) == (lead.run, lead.status):
        return lead
    severity = _SEVERITIES.get(Status(row.status), "warning")
    told = [f"{_DONE.get(act.action, act.action)} by {act.actor}" for act in acts]
    lines = [
        f"{_time(act.at)}: {said}" + (f" ({act.why})" if act.why else "") for act, said in zip(acts, told, strict=True)
    ]
    now = row.status.replace("_", " ")
    state = f"{_time(row.updated_at)}: {now}" + (f", as run {row.id}" if row.id != lead.run else "")
    changed: Mapping[str, Any] = {
        "title": f"{row.flow} for {row.key}: {' → '.join([*told[-2:], now])}",
        "severity": severity,
        "status": row.status,
        "story": (f"{_time(lead.at)}: {lead.title}", *lines, state),
    }
    over = {"payload": None, "advice": None} if severity in _OVER and row.status != Status.AWAITING_APPROVAL else {}
    return lead.model_copy(update={**changed, **over})


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
