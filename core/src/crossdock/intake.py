"""From a vendor's delivery to durable runs: verified, parsed, deduplicated, committed; only then acknowledged."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, count

from crossdock_sdk import ConfigError, Event, PayloadError, VerificationError, WebhookReply, WebhookRequest
from crossdock_sdk.crashpoints import reach

from crossdock.config.compiled import CompiledFlow
from crossdock.connections import Connections
from crossdock.handshakes import Handshakes
from crossdock.ids import run_id
from crossdock.journal.base import Arrivals, Journal, JournalError, NewEvent, NewRun
from crossdock.mapping import MappingError
from crossdock.metrics import RuntimeMetrics
from crossdock.telemetry import RunTrace, Telemetry
from crossdock.telemetry.story import webhook

_log = logging.getLogger("crossdock.intake")


class RefusedError(Exception):
    """A delivery that is not taken. `status` is for HTTP; the text says no more than a stranger may know."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


@dataclass(frozen=True, slots=True)
class Receiving:
    """What became of a delivery. `runs` are new; `unrouted` counts events that no flow waits for."""

    runs: tuple[str, ...] = ()
    duplicates: int = 0
    unrouted: int = 0
    reply: WebhookReply | None = None

    def and_(self, other: Receiving) -> Receiving:
        """Both together; the reply is this one's."""
        runs, duplicates = self.runs + other.runs, self.duplicates + other.duplicates
        return Receiving(runs, duplicates, self.unrouted + other.unrouted, self.reply)


class Intake:
    """Takes deliveries in. `flows` gives the flows in force at the moment of the call."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        handshakes: Handshakes,
        flows: Callable[[], Mapping[str, CompiledFlow]],
        telemetry: Telemetry,
        metrics: RuntimeMetrics,
        now: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._handshakes = handshakes
        self._heard: dict[str, datetime] = {}
        """When each connection's newest delivery that was proven authentic came to this process."""
        self._flows = flows
        self._telemetry = telemetry
        self._metrics = metrics
        self._now = now
        self._rng = rng

    async def heard(self) -> dict[str, datetime]:
        """When each connection was last delivered to: as this process heard, or any if it brought an event."""
        known = await self._journal.condition.heard()
        return known | {name: max(at, known.get(name, at)) for name, at in self._heard.items()}

    async def receive(self, connection: str, request: WebhookRequest) -> Receiving:
        """Take one delivery in; returns once its runs are on disk. Raises `RefusedError`, `JournalError`."""
        trace, begun = self._telemetry.new_trace(), self._now()
        with self._telemetry.inside(trace, trace.root_span_id):
            try:
                taken = await self._take(connection, request, trace, begun)
            except RefusedError as refused:
                self._tell(trace, connection, begun, refused.status)
                # A stranger chooses the name; only names of the configuration may become labels.
                known = connection if connection in self._connections.names() else "unknown"
                self._metrics.webhooks.add(known, f"refused_{refused.status}")
                raise
            except JournalError:
                self._metrics.webhooks.add(connection, "refused_503")
                raise
        if not taken.runs:
            self._tell(trace, connection, begun, 200)
        self._metrics.webhooks.add(connection, "taken")
        return taken

    def _tell(self, trace: RunTrace, connection: str, begun: datetime, status: int) -> None:
        """The span of a delivery that starts no run; the others are told with their runs."""
        told = webhook(connection, begun, self._now(), {"http.response.status_code": status})
        self._telemetry.tell_root(trace, told)

    async def _take(self, connection: str, request: WebhookRequest, trace: RunTrace, begun: datetime) -> Receiving:
        try:
            source = self._connections.source(connection)
        except ConfigError as error:
            if not self._connections.brings_events(connection):
                raise RefusedError(404, "no such webhook") from None
            _log.error("a delivery to %s cannot be taken: %s", connection, error)
            raise RefusedError(503, "deliveries cannot be taken at the moment") from None
        if source.agrees_secrets:
            request = replace(request, secrets=await self._handshakes.secrets(connection, request))
        try:
            handshake = source.handshake(request)
            if handshake is not None:
                return Receiving(reply=await self._handshakes.agree(connection, request, handshake))
            source.verify(request)
            self._heard[connection] = begun
            events = source.parse(request)
            poll = source.calls_for_poll(request)
            reply = source.acknowledgement(request)
        except VerificationError as error:
            _log.warning("a delivery to %s is refused: %s", connection, error)
            raise RefusedError(401, "the delivery is not authenticated") from None
        except PayloadError as error:
            _log.warning("a delivery to %s cannot be read: %s", connection, error)
            raise RefusedError(422, "the body is not what the vendor documents") from None
        except JournalError:
            raise
        except Exception:
            # A bug of the connector: the vendor shall deliver again, once it is mended.
            _log.exception("the connector of %s failed over a delivery", connection)
            raise RefusedError(500, "the connector failed over the delivery") from None
        if poll:
            await self._journal.polls.call(connection)
        taken = await self._accept_all(connection, events, trace, begun)
        return replace(taken, reply=reply)

    async def _accept_all(
        self, connection: str, events: Sequence[Event], trace: RunTrace, begun: datetime
    ) -> Receiving:
        """Store a delivery's events, each under the connection of the account that it happened in."""
        told: dict[str, list[Event]] = {}
        strangers = 0
        for event in events:
            theirs = connection if event.account is None else self._connections.of_account(connection, event.account)
            if theirs is None:
                strangers += 1
                _log.info("%s tells of %s, which no connection here is for", connection, event.account)
                continue
            told.setdefault(theirs, []).append(event)
        self.count(connection, "webhook", unrouted=strangers)
        taken = Receiving(unrouted=strangers)
        for name, its in told.items():
            taken = taken.and_(await self.accept(name, its, trace, begun))
            trace = trace.sibling()
        return taken

    async def accept(
        self, connection: str, events: Sequence[Event], trace: RunTrace, received_at: datetime | None = None
    ) -> Receiving:
        """Store events and the runs that they start, each event once however often it comes."""
        arrivals, unrouted = self.arrivals(connection, events, trace, received_at)
        self.count(connection, "webhook", unrouted=unrouted)
        if not arrivals:
            return Receiving(unrouted=unrouted)
        reach("intake.verified")
        accepted = await self._journal.accept(connection, arrivals)
        reach("intake.stored")
        self.count(connection, "webhook", len(arrivals) - accepted.duplicates, accepted.duplicates)
        return Receiving(accepted.runs, accepted.duplicates, unrouted)

    def arrivals(
        self,
        connection: str,
        events: Sequence[Event],
        trace: RunTrace,
        received_at: datetime | None = None,
        via: str = "webhook",
    ) -> tuple[Arrivals, int]:
        """Events as the journal takes them, with the runs that they start; and how many start none."""
        arrivals = []
        encoded = trace.encode()
        # The first run tells the span of what brought it, the others hang beside it.
        traces = chain([encoded], (trace.sibling().encode() for _ in count()))
        for event in events:
            wanted = [f for f in self._flows().values() if f.flow.when == f"{connection}.{event.type}"]
            if wanted:
                runs = [self._new_run(flow, event, next(traces)) for flow in wanted]
                arrivals.append((_new_event(event, encoded, received_at, via), runs))
        return arrivals, len(events) - len(arrivals)

    def _new_run(self, flow: CompiledFlow, event: Event, trace: str) -> NewRun:
        return NewRun(
            id=run_id(self._now(), self._rng),
            flow=flow.flow.name,
            key=_key(flow, event),
            plan_hash=flow.plan_hash,
            trace=trace,
        )

    def count(self, connection: str, via: str, accepted: int = 0, duplicates: int = 0, unrouted: int = 0) -> None:
        """Count what became of events: they started runs, were known already, or are waited for by no flow."""
        for outcome, number in (("accepted", accepted), ("duplicate", duplicates), ("unrouted", unrouted)):
            if number:
                self._metrics.events.add(connection, via, outcome, amount=number)


def _new_event(event: Event, trace: str, received_at: datetime | None, via: str) -> NewEvent:
    return NewEvent(event.id, event.type, event.subject, event.data, event.occurred_at, trace, received_at, via)


def _key(flow: CompiledFlow, event: Event) -> str:
    if flow.key is None:
        return event.subject
    try:
        return str(flow.key.evaluate(event.data))
    except MappingError as error:
        # `check` allows a key to read only what every event carries; whatever happens, no event is lost.
        _log.error("flow %s: its key cannot be computed, %s is used: %s", flow.flow.name, event.subject, error)
        return event.subject
