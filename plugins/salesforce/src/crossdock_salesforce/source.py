"""Salesforce as a source: an opportunity is won."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from crossdock_sdk import (
    Change,
    Deal,
    Event,
    EventSpec,
    EventVoid,
    NotFoundError,
    Polling,
    PollPage,
    PollRequest,
    Record,
    RejectedError,
    Source,
    TransientError,
    WebhookReply,
    WebhookRequest,
    read_changes,
)

from crossdock_salesforce import outbound, reading, soql
from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.errors import MISSHAPEN
from crossdock_salesforce.stages import HISTORY, Stages

_TOLD = "deal.won:"
"""How the ids of events begin that a poll told."""
_PAGE = 200
_REMEMBERED = 8
_OPPORTUNITY = "Opportunity"


class SalesforceSource(Source):
    """Wins are read by polling; an Outbound Message makes the next poll due at once.

    What a message carries is the record as it was when the message was sent, with the fields that somebody ticked in
    Setup. That does not tell one win from the next, and the stage history, which only a query reads, does.
    """

    connection_class = SalesforceConnection
    connection: SalesforceConnection
    events = (EventSpec("deal.won", {"deal": Deal}, known=("deal.id",), summary="an opportunity is won"),)
    polling: ClassVar[Polling | None] = Polling(every=timedelta(seconds=60), overlap=timedelta(minutes=5))
    setup: ClassVar[str] = (
        "Webhooks are optional: Setup > Outbound Messages > New, object Opportunity, field Id, without session id, "
        "endpoint the address below with ?token=<webhook.token>; then let a record-triggered Flow send it."
    )

    def __init__(self, connection: SalesforceConnection) -> None:
        super().__init__(connection)
        self._sessions: deque[str] = deque()

    async def poll(self, request: PollRequest) -> PollPage:
        """Won opportunities by `SystemModstamp`, which every change moves on. One query for each page."""
        stages = await self.connection.stages.get()
        # Salesforce's instants are whole seconds: what happened later in the second of `since` looks earlier.
        whole = replace(request, since=request.since.replace(microsecond=0))

        async def page(at: datetime, after: str) -> tuple[Sequence[Change], bool]:
            rows, more = await self.connection.page(_statement(at, after))
            changes = [await self._change(row, stages, request.since) for row in rows]
            return changes, more or len(rows) == _PAGE

        return await read_changes(whole, page)

    def _mask(self, session: str) -> None:
        """Keep a live session out of logs; those that have ended long since are let go."""
        if session in self._sessions:
            return
        self.connection.context.redactor.add(session)
        self._sessions.append(session)
        if len(self._sessions) > _REMEMBERED:
            self.connection.context.redactor.forget(self._sessions.popleft())

    async def _change(self, row: Mapping[str, Any], stages: Stages, since: datetime) -> Change:
        try:
            history = await self.connection.children(row["OpportunityHistories"])
            changed, won = soql.instant(row["SystemModstamp"]), stages.won_at(row, history)
            opportunity, title = str(row["Id"]), row["Name"]
        except MISSHAPEN as error:
            raise TransientError(f"a won opportunity in the reply is not as documented: {error}") from None
        if changed is None:
            raise TransientError(f"opportunity {opportunity} has no SystemModstamp")
        # An edit moves an opportunity of last year into the poll; its win is no news.
        news = won >= since.replace(microsecond=0)
        return Change(changed, opportunity, _event(opportunity, title, won, since) if news else None)

    def verify(self, request: WebhookRequest) -> None:
        """Salesforce signs nothing; the secret in the address is what proves a message."""
        config = self.connection.config
        message = outbound.verify(request, config.webhook, config.organization_id, self.connection.context.name)
        if message is not None and message.session:
            self._mask(message.session)

    def parse(self, request: WebhookRequest) -> list[Event]:
        """Nothing by itself: see `calls_for_poll`. Raises `PayloadError` for what is no Outbound Message."""
        outbound.read(request.body)
        return []

    def calls_for_poll(self, request: WebhookRequest) -> bool:
        return any(told.object == _OPPORTUNITY for told in outbound.read(request.body).notifications)

    def acknowledgement(self, request: WebhookRequest) -> WebhookReply | None:
        """`Ack=true`. Salesforce sends a message that got no such answer for 24 hours, a bare 200 or not."""
        return WebhookReply(200, {"content-type": "text/xml; charset=utf-8"}, outbound.ACK)

    async def hydrate(self, event: Event) -> dict[str, Record]:
        """The deal with its lines, their products, its account and contact.

        Raises `EventVoid` if a poll told of a win that was taken back since: the opportunity is open, lost or deleted,
        or was won anew, which is an event of its own. An event that none told (what `crossdock plan` makes up) claims
        nothing that could no longer hold.
        """
        told = event.id.startswith(_TOLD)
        try:
            found = await reading.read(self.connection, event.subject)
        except NotFoundError as error:
            if told:
                raise EventVoid(f"the event no longer holds: {error.message}") from None
            raise
        except RejectedError as error:
            if error.code == "INVALID_FIELD":
                self.connection.fields.forget()
            raise
        if told:
            _require_same_win(event, found)
        return {"deal": found.deal}


def _statement(at: datetime, after: str) -> str:
    place = f"SystemModstamp >= {soql.literal(at)}"
    if after:
        place = (
            f"(SystemModstamp > {soql.literal(at)} OR "
            f"(SystemModstamp = {soql.literal(at)} AND Id > {soql.text(after)}))"
        )
    columns = ("Id", "Name", "StageName", "CreatedDate", "SystemModstamp", HISTORY)
    order = f"ORDER BY SystemModstamp ASC, Id ASC LIMIT {_PAGE}"
    return soql.select(columns, _OPPORTUNITY, f"WHERE IsWon = true AND {place}", order)


def _event(opportunity: str, title: Any, won_at: datetime, since: datetime) -> Event:
    deal = {"id": opportunity} | ({"title": title} if isinstance(title, str) else {})
    return Event("deal.won", event_id(opportunity, won_at), opportunity, {"deal": deal}, max(won_at, since))


def event_id(opportunity: str, won_at: datetime) -> str:
    """One for each time that an opportunity is won, however often and by whichever way it is told."""
    return f"{_TOLD}{opportunity}:{won_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _require_same_win(event: Event, found: reading.Opportunity) -> None:
    if not found.won or found.won_at is None:
        now = "open again" if found.deal.status == "open" else f"{found.deal.status} by now"
        raise EventVoid(f"the event no longer holds: opportunity {event.subject} is {now}")
    if event_id(event.subject, found.won_at) != event.id:
        raise EventVoid(
            f"the event no longer holds: opportunity {event.subject} was reopened and won again at {found.won_at}"
        )
