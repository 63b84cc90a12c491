"""The connector of `bench/lane.py` for an API that keeps the key of an invoice, done as for QuickBooks."""

from __future__ import annotations

from typing import Any

import lane
from crossdock_sdk import Action, Invoice, Receipt, Redo, Sink, Source, hookimpl


class InvoiceCreate(lane.InvoiceCreate):
    redo = Redo.NATIVE_KEY

    async def apply(self, data: Invoice, key: str) -> lane.InvoiceReceipt:
        body = {"deal": data.note, "customer": data.customer_id, "lines": data.lines, "total": data.total}
        made = await self.connection.api.post("/invoices", params={"requestid": key}, json=body)
        return lane.invoice_receipt(made.json())

    async def exists(self, receipt: Receipt) -> bool:
        return True


class LaneSink(lane.LaneSink):
    actions: tuple[type[Action[Any]], ...] = (
        lane.CustomerFindOrCreate,
        InvoiceCreate,
        lane.DealWriteBack,
        lane.TaskCreate,
    )


@hookimpl
def crossdock_sources() -> list[type[Source]]:
    return [lane.LaneSource]


@hookimpl
def crossdock_sinks() -> list[type[Sink]]:
    return [LaneSink]
