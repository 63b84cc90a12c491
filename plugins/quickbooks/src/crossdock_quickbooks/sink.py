"""QuickBooks Online as a place to write to."""

from __future__ import annotations

from typing import Any, ClassVar

from crossdock_sdk import Action, Connection, Sink

from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.customers import CustomerFindOrCreate
from crossdock_quickbooks.delivery import InvoiceMail, InvoiceVoid
from crossdock_quickbooks.invoices import InvoiceCreate
from crossdock_quickbooks.items import ItemFind


class QuickBooksSink(Sink):
    """Customers, items and invoices."""

    connection_class: ClassVar[type[Connection]] = QuickBooksConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (
        CustomerFindOrCreate,
        ItemFind,
        InvoiceCreate,
        InvoiceMail,
        InvoiceVoid,
    )
