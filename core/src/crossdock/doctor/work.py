"""What the journal tells: runs that stand still, closed connections, alerts on their way, sources unheard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from crossdock_sdk import Source

from crossdock.config.load import ConnectionSpec
from crossdock.doctor.findings import Finding, counted, span
from crossdock.journal.base import Journal
from crossdock.plugins import Registry
from crossdock.readiness import STALLED

UNDELIVERED = timedelta(minutes=15)
FAILING = timedelta(minutes=10)
"""A source that has failed for so long is told to a person."""
_PERSON = ("held", "in_doubt")


class Work:
    """Reads one journal. `waiting` names the connections whose events flows wait for."""

    def __init__(
        self,
        journal: Journal,
        specs: Mapping[str, ConnectionSpec],
        registry: Registry,
        waiting: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._specs = specs
        self._registry = registry
        self._waiting = waiting
        self._now = now

    async def queue(self) -> list[Finding]:
        """Runs that are due and that nobody performs."""
        since = await self._journal.oldest_due(self._now())
        age = max(self._now() - since, timedelta()) if since else timedelta()
        if age < STALLED:
            return [Finding("queue", "ok", "no run has been due for long")]
        told = f"a run has been due for {span(age.total_seconds())}, and no server performs it"
        return [Finding("queue", "wrong", told, "start crossdock serve on this database, or see its log")]

    async def people(self) -> list[Finding]:
        """Runs that wait for a person, what waits behind them, and runs that are put off."""
        counts: Counter[str] = Counter()
        for by_status in (await self._journal.counts()).values():
            counts.update({status: number for status, number in by_status.items() if status in _PERSON})
        found = []
        if counts:
            behind = len(await self._journal.blocked())
            told = ", ".join(f"{counted(number, 'run')} {status}" for status, number in sorted(counts.items()))
            also = f"; {counted(behind, 'other')} behind them" if behind else ""
            fix = "crossdock runs list --status held (or in_doubt), then replay, resolve or cancel"
            found.append(Finding("runs", "warning", told + also, fix))
        for run in await self._journal.condition.put_off(5):
            fix = "put back what it names, or install it; a defect is to be reported"
            found.append(Finding("runs", "wrong", f"run {run.id} of {run.flow} is put off: {run.message}", fix))
        return found or [Finding("runs", "ok", "none waits for a person, and none is put off")]

    async def closed(self) -> list[Finding]:
        """Connections that no run may use at the moment."""
        found = []
        for state in await self._journal.closed_connections():
            if state.name in self._specs:
                since = f" since {state.since:%Y-%m-%d %H:%M} UTC" if state.since else ""
                fix = (
                    "put in new credentials"
                    if state.status == "paused"
                    else "wait for the vendor; runs go on by themselves"
                )
                told = f"{state.status}{since}: {state.reason}"
                found.append(Finding(f"closed {state.name}", "wrong", told, fix))
        return found or [Finding("closed connections", "ok", "none")]

    async def alerts(self) -> list[Finding]:
        """Alerts that people have not got."""
        found = []
        for each in await self._journal.condition.undelivered():
            age = self._now() - each.oldest
            waiting = f"{counted(each.number, 'alert')} not taken by {each.notifier}"
            told = f"{waiting}, the oldest for {span(age.total_seconds())}"
            late = age >= UNDELIVERED
            fix = f"see to connection {each.notifier}; a running server tries again by itself"
            found.append(Finding("alerts", "wrong" if late else "ok", told, fix if late else ""))
        return found or [Finding("alerts", "ok", "all have arrived")]

    async def deliveries(self) -> list[Finding]:
        """When each source that sends webhooks was last heard of."""
        heard = await self._journal.condition.heard()
        found = []
        for name in self._waiting:
            source = self._source(name)
            if source is None or not source.webhooks:
                continue
            check = f"last delivery {name}"
            if name in heard:
                age = span(max((self._now() - heard[name]).total_seconds(), 0))
                found.append(Finding(check, "ok", f"{age} ago"))
            else:
                fix = source.setup or f"crossdock hooks list {name}, and see that the public URL reaches the server"
                found.append(Finding(check, "warning", "no webhook has brought an event yet", fix))
        return found

    async def polls(self) -> list[Finding]:
        """How the sources that are polled come along."""
        found = []
        for poll in await self._journal.polls.all():
            spec = self._specs.get(poll.connection)
            if spec is None or spec.poll is None or poll.connection not in self._waiting:
                continue
            check = f"poll {poll.connection}"
            if poll.failing_since is None:
                read = (
                    f"last read {span((self._now() - poll.read_at).total_seconds())} ago"
                    if poll.read_at
                    else "not read yet"
                )
                found.append(Finding(check, "ok", read))
                continue
            failing = self._now() - poll.failing_since
            late = failing >= FAILING
            told = f"fails for {span(failing.total_seconds())}: {poll.reason}"
            found.append(Finding(check, "wrong" if late else "warning", told, "see what it says"))
        return found

    def _source(self, name: str) -> type[Source] | None:
        return self._registry.sources.get(self._specs[name].connector) if name in self._specs else None
