"""A small world to configure: a CRM that brings deals, books that take invoices, and a way to tell people."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from crossdock.plugins import Registry, load_plugins
from crossdock_sdk import (
    Action,
    Alert,
    Connection,
    ConnectionConfig,
    Customer,
    Deal,
    DealUpdate,
    Event,
    EventSpec,
    Invoice,
    Notifier,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Task,
    Transform,
    WebhookRequest,
    hookimpl,
)
from pydantic import Field, SecretStr, field_validator


class CrmConfig(ConnectionConfig):
    base_url: str = "https://crm.example"
    api_token: SecretStr = Field(min_length=8)


class CrmConnection(Connection):
    connector: ClassVar[str] = "acmecrm"
    Config: ClassVar[type[ConnectionConfig]] = CrmConfig


class CrmSource(Source):
    connection_class: ClassVar[type[Connection]] = CrmConnection
    events: ClassVar[tuple[EventSpec, ...]] = (
        EventSpec("deal.won", {"deal": Deal}, ("deal.id",)),
        EventSpec("deal.lost", {"deal": Deal}, ("deal.id",)),
    )

    def verify(self, request: WebhookRequest) -> None:
        """Nothing arrives here."""

    def parse(self, request: WebhookRequest) -> list[Event]:
        return []

    async def hydrate(self, event: Event) -> dict[str, Record]:
        return {}


class _Write(Action[Any]):
    redo: ClassVar[Redo] = Redo.UPSERT

    async def apply(self, data: Any, key: str) -> Receipt:
        return Receipt(id="1")

    async def undo(self, receipt: Receipt) -> None:
        """Nothing was done."""


class UpdateDeal(_Write, Action[DealUpdate]):
    name: ClassVar[str] = "deal.update"


class CrmSink(Sink):
    connection_class: ClassVar[type[Connection]] = CrmConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (UpdateDeal,)


class BooksConfig(ConnectionConfig):
    base_url: str = "https://books.example"
    client_id: str
    client_secret: SecretStr = Field(min_length=1)
    environment: Literal["production", "sandbox"] = "production"
    realm: str = "main"

    @field_validator("realm")
    @classmethod
    def _chatty(cls, realm: str) -> str:
        if " " in realm:
            raise ValueError(f"{realm} has a blank in it")
        return realm


class BooksConnection(Connection):
    connector: ClassVar[str] = "acmebooks"
    Config: ClassVar[type[ConnectionConfig]] = BooksConfig


class InvoiceReceipt(Receipt):
    number: str | None = None


class FindOrCreateCustomer(_Write, Action[Customer]):
    name: ClassVar[str] = "customer.find_or_create"


class CreateInvoice(_Write, Action[Invoice]):
    name: ClassVar[str] = "invoice.create"
    receipt: ClassVar[type[Receipt]] = InvoiceReceipt


class CreateTask(_Write, Action[Task]):
    name: ClassVar[str] = "task.create"


class BooksSink(Sink):
    connection_class: ClassVar[type[Connection]] = BooksConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (FindOrCreateCustomer, CreateInvoice, CreateTask)


class PagerConnection(Connection):
    connector: ClassVar[str] = "pager"
    Config: ClassVar[type[ConnectionConfig]] = ConnectionConfig


class Pager(Notifier):
    connection_class: ClassVar[type[Connection]] = PagerConnection

    async def notify(self, alert: Alert) -> None:
        """Nobody is called."""


class Shout(Transform):
    name: ClassVar[str] = "shout"

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return f"{value}!"


class World:
    @hookimpl
    def crossdock_sources(self) -> list[type[Source]]:
        return [CrmSource]

    @hookimpl
    def crossdock_sinks(self) -> list[type[Sink]]:
        return [CrmSink, BooksSink]

    @hookimpl
    def crossdock_notifiers(self) -> list[type[Notifier]]:
        return [Pager]

    @hookimpl
    def crossdock_transforms(self) -> list[type[Transform]]:
        return [Shout]


@pytest.fixture(scope="session")
def registry() -> Registry:
    found = load_plugins(extra=[World()], entry_points=[])
    assert [p.error for p in found.plugins] == [None, None]
    return found


GOOD = """\
version: 1
connections:
  crm:    {connector: acmecrm, api_token: "${CRM_TOKEN}"}
  books:  {connector: acmebooks, client_id: abc, client_secret: "${BOOKS_SECRET}"}
  alerts: {connector: pager, base_url: "https://pager.example"}

flows:
  deal-to-invoice:
    when: crm.deal.won
    key: "{{ deal.id }}"
    ignore: [deal.custom.lead_score]
    checks:
      - that: "{{ invoice.total == deal.value }}"
        say: "invoice total and deal value differ"
    legs:
      customer:
        do: books.customer.find_or_create
        with: {name: "{{ deal.organization.name }}", email: "{{ deal.person.email }}"}
      invoice:
        do: books.invoice.create
        with:
          customer_id: "{{ customer.id }}"
          discount_percent: "{{ deal.custom.discount }}"
          lines:
            each: "{{ deal.products }}"
            as: product
            with:
              sku: "{{ product.code }}"
              quantity: "{{ product.quantity }}"
              unit_price: "{{ product.unit_price }}"
      writeback:
        do: crm.deal.update
        with: {id: "{{ deal.id }}", custom: {invoice_number: "{{ invoice.number }}"}}
      task:
        enabled: false
        do: books.task.create
        on_failure: skip
        with: {name: "Kick off {{ deal.title }}", project: "1201", notes: "Invoice {{ invoice.number }}"}
    retry: {attempts: 3, first: 2s, factor: 4, max: 10m}
    notify: [alerts]
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def env() -> dict[str, str]:
    return {"CRM_TOKEN": "crm-token-canary", "BOOKS_SECRET": "books-secret-canary"}
