"""QuickBooks Online as a source: invoices that change, are paid or voided, and payments that come in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from crossdock_sdk import (
    ConnectorError,
    Event,
    EventSpec,
    EventVoid,
    IssuedInvoice,
    NotFoundError,
    PayloadError,
    Payment,
    Polling,
    PollPage,
    PollRequest,
    Record,
    Source,
    ThrottledError,
    TransientError,
    VerificationError,
    WebhookRequest,
)
from crossdock_sdk.webhooks import verify_hmac

from crossdock_quickbooks import notifications, polling, records
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.errors import GONE
from crossdock_quickbooks.events import (
    INVOICE_PAID,
    INVOICE_UPDATED,
    INVOICE_VOIDED,
    PAYMENT_CREATED,
    of_notification,
    says_void,
    was_told,
)
from crossdock_quickbooks.instants import second, told_at

Built = TypeVar("Built", bound=Record)

_OVER = timedelta(seconds=4)
"""How long after its beginning a second is surely over, also by a clock that differs by up to three of them."""
_SETTLED = timedelta(minutes=2)
"""How long after a change a reading that does not show it is doubted."""


class QuickBooksSource(Source):
    """A notification only says which record changed; what happened is judged by the record, when it is read.

    Polled by change data capture, for Intuit recommends it beside webhooks, whose order and completeness it does not
    promise. Reads are metered over all companies of an app (500,000 a month on the free tier): a poll is one of them.
    """

    connection_class = QuickBooksConnection
    connection: QuickBooksConnection
    events = (
        EventSpec(
            INVOICE_PAID, {"invoice": IssuedInvoice}, known=("invoice.id",), summary="an invoice is paid in full"
        ),
        EventSpec(
            INVOICE_UPDATED,
            {"invoice": IssuedInvoice},
            known=("invoice.id",),
            summary="an invoice is made or changed, also by a payment",
        ),
        EventSpec(INVOICE_VOIDED, {"invoice": IssuedInvoice}, known=("invoice.id",), summary="an invoice is voided"),
        EventSpec(
            PAYMENT_CREATED, {"payment": Payment}, known=("payment.id",), summary="a customer's payment is booked"
        ),
    )
    # Calls are metered and rows are not, so each poll may go back further than usual.
    polling = Polling(every=timedelta(minutes=5), overlap=timedelta(minutes=10))
    setup = (
        "Intuit has no API for webhooks. At developer.intuit.com open your app, then Webhooks (production and "
        "development apart): enter this connection's webhook address as the endpoint, and tick Invoice and Payment "
        "with all their operations. The verifier token shown there goes into the connection, as "
        "webhook: {verifier_token: …}. The one endpoint gets the deliveries of all companies of the app."
    )

    def verify(self, request: WebhookRequest) -> None:
        """Intuit docs, 'Webhooks': `intuit-signature` is the base64 of HMAC-SHA256 over the body."""
        expected = self.connection.config.webhook
        if expected is None:
            name = self.connection.context.name
            raise VerificationError(f"connection {name} takes no deliveries: it has no webhook verifier_token")
        verify_hmac(request, expected.verifier_token, header="intuit-signature", encoding="base64")

    def parse(self, request: WebhookRequest) -> list[Event]:
        """What each notification may mean, in the account that it names, each event once."""
        found: dict[str, Event] = {}
        for told in notifications.read(request, self._skipped):
            for event in of_notification(told, self.connection.account_of(told.realm)):
                if event.id not in found or says_void(event):
                    found[event.id] = event
        return list(found.values())

    def calls_for_poll(self, request: WebhookRequest) -> bool:
        """Whether it tells of a payment: which invoices that pays, no delivery says."""
        try:
            found = notifications.read(request, lambda _: None)
        except PayloadError:
            return False
        return any(told.entity == "Payment" and told.verb != "emailed" for told in found)

    async def poll(self, request: PollRequest) -> PollPage:
        return await polling.page(self.connection, request)

    async def hydrate(self, event: Event) -> dict[str, Record]:
        """The invoice or the payment. Raises `EventVoid` if what the event says does not hold of it (any more)."""
        if event.type == PAYMENT_CREATED:
            return {"payment": await self._payment(event)}
        return {"invoice": await self._invoice(event)}

    async def _invoice(self, event: Event) -> IssuedInvoice:
        if was_told(event):
            self._let_the_second_pass(event)
        row = await self._read("Invoice", event)
        url = self.connection.app_url("invoice", txnId=row["Id"])
        void = event.type == INVOICE_VOIDED and says_void(event)
        invoice = _built(lambda: records.issued_invoice(row, url, called_void=void), f"invoice {event.subject}")
        why = _unlike(event.type, invoice) if was_told(event) else None
        if why:
            raise self._over(event, row, why)
        return invoice

    async def _payment(self, event: Event) -> Payment:
        row = await self._read("Payment", event)
        url = self.connection.app_url("recvpayment", txnId=row["Id"])
        payment = _built(lambda: records.payment(row, url), f"payment {event.subject}")
        if was_told(event) and not payment.amount:
            why = f"payment {payment.id} brings no money: it is voided, or only puts a credit to an invoice"
            raise self._over(event, row, why)
        return payment

    async def _read(self, entity: str, event: Event) -> records.Json:
        try:
            return await self.connection.read(entity, event.subject)
        except NotFoundError as error:
            # Only QuickBooks' own word counts: a 404 may as well be a wrong address or a proxy.
            if error.code != GONE or not was_told(event):
                raise
            raise self._over(event, None, f"{entity.lower()} {event.subject} is deleted") from None

    def _let_the_second_pass(self, event: Event) -> None:
        """Another change within the same second has the same id and starts nothing, so it must be in what is read."""
        if event.occurred_at is None:
            return
        wait = event.occurred_at.replace(microsecond=0) + _OVER - self.connection.context.now()
        if timedelta(0) < wait < _SETTLED:
            said = f"invoice {event.subject} may change again within the same second, and is read once that is over"
            raise ThrottledError(said, retry_after=wait.total_seconds())

    def _over(self, event: Event, row: records.Json | None, why: str) -> ConnectorError:
        """The event does not hold. It comes once, so a reading that may be older than the change is no proof."""
        now, at = self.connection.context.now(), event.occurred_at
        shown = told_at(row) if row else None
        if at is None or abs(now - at) >= _SETTLED or (shown and shown >= at.replace(microsecond=0)):
            return EventVoid(why)
        wait = (at + _SETTLED - now).total_seconds()
        said = f"{why}; QuickBooks may not show the change of {second(at)} yet, so it is read once more"
        return TransientError(said, retry_after=wait)

    def _skipped(self, why: str) -> None:
        name = self.connection.context.name
        self.connection.context.logger.warning("an element of a delivery to %s is left out: %s", name, why)


def _unlike(kind: str, invoice: IssuedInvoice) -> str | None:
    """Why the invoice is not what the event says; None if it is."""
    name = f"invoice {invoice.number or invoice.id}"
    if kind == INVOICE_PAID and invoice.status != "paid":
        if invoice.status == "voided":
            return f"{name} is not paid but voided"
        if not invoice.total:
            return f"{name} is not paid: it comes to {invoice.total}"
        return f"{name} is not paid: {invoice.balance} of {invoice.total} is owed"
    if kind == INVOICE_VOIDED and invoice.status != "voided":
        return f"{name} is not voided: it comes to {invoice.total}, and {invoice.balance} is owed"
    return None


def _built(build: Callable[[], Built], what: str) -> Built:
    try:
        return build()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = " ".join(str(error).split())[:300]
        raise TransientError(f"QuickBooks' JSON of {what} is not as documented: {said}") from None
