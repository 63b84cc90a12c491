"""The work that everything here is measured on, as a connector and a flow.

A deal is won → GET the deal; GET and POST its customer; POST the invoice; PATCH the deal; POST a task: six calls
in five durable steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    ApiClient,
    Connection,
    ConnectionConfig,
    Context,
    Customer,
    Deal,
    DealUpdate,
    Event,
    EventSpec,
    Invoice,
    Limits,
    Organization,
    Person,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    Task,
    WebhookRequest,
    hookimpl,
)
from crossdock_sdk.models import Number
from crossdock_sdk.webhooks import BasicWebhook, json_body, verify_basic

FLOW = """
version: 1
connections:
  lane: {connector: lane, base_url: "%s", webhook: {user: bench, password: bench-password}}
flows:
  deal-to-invoice:
    when: lane.deal.won
    key: "{{ deal.id }}"
    checks:
      - {that: "{{ invoice.total == deal.value }}", say: invoice total and deal value differ}
    legs:
      customer:
        do: lane.customer.find_or_create
        with: {name: "{{ deal.organization.name }}", email: "{{ deal.person.email }}"}
      invoice:
        do: lane.invoice.create
        with:
          customer_id: "{{ customer.id }}"
          note: "{{ deal.id }}"
          lines:
            each: "{{ deal.products }}"
            as: product
            with:
              sku: "{{ product.code }}"
              quantity: "{{ product.quantity }}"
              unit_price: "{{ product.unit_price }}"
      writeback:
        do: lane.deal.update
        with: {id: "{{ deal.id }}", custom: {invoice_number: "{{ invoice.number }}"}}
      task:
        do: lane.task.create
        with: {name: "Kick off {{ deal.title }}", notes: "Invoice {{ invoice.number }}"}
"""


class LaneConfig(ConnectionConfig):
    webhook: BasicWebhook


class LaneConnection(Connection):
    connector = "lane"
    Config = LaneConfig
    config: LaneConfig

    def __init__(self, config: LaneConfig, context: Context) -> None:
        super().__init__(config, context)
        self.api = ApiClient(config.base_url, context, limits=Limits(concurrency=64))

    async def close(self) -> None:
        await self.api.close()


class CustomerReceipt(Receipt):
    name: str


class CustomerFindOrCreate(Action[Customer]):
    name = "customer.find_or_create"
    redo = Redo.LOOKUP
    receipt = CustomerReceipt
    object = "customer"
    connection: LaneConnection

    async def apply(self, data: Customer, key: str) -> CustomerReceipt:
        found = await self.recover(data, key)
        if found is not None:
            return found.model_copy(update={"created": False})
        made = await self.connection.api.post("/customers", json={"name": data.name, "email": data.email})
        return CustomerReceipt(id=made.require("id"), name=data.name)

    async def recover(self, data: Customer, key: str) -> CustomerReceipt | None:
        reply = await self.connection.api.get("/customers", params={"name": data.name})
        rows = reply.require("customers")
        return CustomerReceipt(id=rows[0]["id"], name=data.name) if rows else None

    async def undo(self, receipt: Receipt) -> None:
        await self.connection.api.delete(f"/customers/{receipt.id}")

    def serialize_by(self, data: Customer) -> str | None:
        return f"customer {data.name.casefold()}"


class InvoiceReceipt(Receipt):
    number: str
    total: Number


class InvoiceCreate(Action[Invoice]):
    """Found again by its deal, which is its note."""

    name = "invoice.create"
    redo = Redo.LOOKUP
    receipt = InvoiceReceipt
    object = "invoice"
    connection: LaneConnection

    async def apply(self, data: Invoice, key: str) -> InvoiceReceipt:
        body = {"deal": data.note, "customer": data.customer_id, "lines": data.lines, "total": data.total}
        return invoice_receipt((await self.connection.api.post("/invoices", json=body)).json())

    async def recover(self, data: Invoice, key: str) -> InvoiceReceipt | None:
        reply = await self.connection.api.get("/invoices", params={"deal": data.note})
        rows = reply.require("invoices")
        return invoice_receipt(rows[0]) if rows else None

    async def undo(self, receipt: Receipt) -> None:
        await self.connection.api.delete(f"/invoices/{receipt.id}")


class DealWriteBack(Action[DealUpdate]):
    name = "deal.update"
    redo = Redo.UPSERT
    connection: LaneConnection

    async def apply(self, data: DealUpdate, key: str) -> Receipt:
        await self.connection.api.patch(f"/deals/{data.id}", json=data.custom)
        return Receipt(id=data.id)

    async def undo(self, receipt: Receipt) -> None:
        await self.connection.api.patch(f"/deals/{receipt.id}", json={"invoice_number": None})


class TaskCreate(Action[Task]):
    name = "task.create"
    redo = Redo.LOOKUP
    object = "task"
    connection: LaneConnection

    async def apply(self, data: Task, key: str) -> Receipt:
        made = await self.connection.api.post("/tasks", json={"name": data.name, "notes": data.notes})
        return Receipt(id=made.require("id"))

    async def recover(self, data: Task, key: str) -> Receipt | None:
        rows = (await self.connection.api.get("/tasks", params={"name": data.name})).require("tasks")
        return Receipt(id=rows[0]["id"]) if rows else None

    async def undo(self, receipt: Receipt) -> None:
        await self.connection.api.delete(f"/tasks/{receipt.id}")


class LaneSource(Source):
    connection_class = LaneConnection
    events = (EventSpec("deal.won", {"deal": Deal}, ("deal.id",)),)
    connection: LaneConnection

    def verify(self, request: WebhookRequest) -> None:
        verify_basic(request, self.connection.config.webhook)

    def parse(self, request: WebhookRequest) -> list[Event]:
        ident = str(json_body(request)["id"])
        return [Event("deal.won", f"won:{ident}", ident, {"deal": {"id": ident}})]

    async def hydrate(self, event: Event) -> dict[str, Record]:
        found = (await self.connection.api.get(f"/deals/{event.subject}")).json()
        return {"deal": _deal(found)}


class LaneSink(Sink):
    connection_class = LaneConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (
        CustomerFindOrCreate,
        InvoiceCreate,
        DealWriteBack,
        TaskCreate,
    )


def invoice_receipt(row: dict[str, Any]) -> InvoiceReceipt:
    return InvoiceReceipt(id=row["id"], number=row["number"], total=row["total"])


def _deal(row: dict[str, Any]) -> Deal:
    lines = [
        {"id": str(n), "name": line["sku"], "code": line["sku"]} | {k: line[k] for k in ("quantity", "unit_price")}
        for n, line in enumerate(row["lines"])
    ]
    return Deal(
        id=row["id"],
        title=row["title"],
        status="won",
        value=row["value"],
        organization=Organization(id=row["id"], name=row["customer"]),
        person=Person(id=row["id"], name=row["customer"], email=row["email"]),
        products=lines,
        native=row,
    )


def routing(folder: Path, url: str) -> Path:
    """The routing file, written into `folder`."""
    path = folder / "crossdock.yaml"
    path.write_text(FLOW % url)
    return path


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [LaneSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [LaneSink]
