"""Products and services, found by SKU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from crossdock_sdk import Action, ItemQuery, Receipt, Redo, RejectedError
from crossdock_sdk.models import Number

from crossdock_quickbooks import query
from crossdock_quickbooks.connection import QuickBooksConnection

_PER_QUERY = 50


class ItemReceipt(Receipt):
    """The item that was found."""

    sku: str
    name: str | None = None
    unit_price: Number | None = None


class ItemFind(Action[ItemQuery]):
    """Find the one active item with a SKU. It writes nothing, so there is nothing to undo."""

    name = "item.find"
    redo = Redo.UPSERT
    receipt: ClassVar[type[Receipt]] = ItemReceipt
    summary = "Find an item by SKU"
    connection: QuickBooksConnection

    async def apply(self, data: ItemQuery, key: str) -> ItemReceipt:
        found = await items_by_sku(self.connection, {data.sku: "sku"})
        item = found[data.sku]
        return ItemReceipt(
            id=item["Id"],
            created=False,
            sku=data.sku,
            name=item.get("Name"),
            unit_price=item.get("UnitPrice"),
        )

    async def recover(self, data: ItemQuery, key: str) -> ItemReceipt | None:
        try:
            return await self.apply(data, key)
        except RejectedError:
            return None

    async def undo(self, receipt: Receipt) -> None:
        return None


async def items_by_sku(connection: QuickBooksConnection, skus: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The active item of each SKU. `skus` is SKU → the field to blame; raises `RejectedError` for a bad one.

    SKUs are not unique in QuickBooks, so a SKU on several active items is refused too.
    """
    wanted = list(skus)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _PER_QUERY):
        part = wanted[start : start + _PER_QUERY]
        asked = query.equals("Sku", part[0]) if len(part) == 1 else query.within("Sku", part)
        rows += await connection.find("Item", asked, query.ALSO_INACTIVE)
    return {sku: _the_one(sku, skus[sku], rows) for sku in wanted}


def _the_one(sku: str, field: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    same = {row["Id"]: row for row in rows if str(row.get("Sku", "")).casefold() == sku.casefold()}
    exact = [row for row in same.values() if row["Sku"] == sku]
    active = [row for row in exact if row.get("Active", True)]
    if len(active) == 1:
        return active[0]
    if len(active) > 1:
        ids = ", ".join(sorted(row["Id"] for row in active))
        why = f"several active items have it (ids {ids}); leave it on one of them"
    elif exact:
        why = f"its item (id {exact[0]['Id']}) is inactive; make it active again"
    elif same:
        why = f"QuickBooks has {next(iter(same.values()))['Sku']!r}; write it the same in both systems"
    else:
        why = "no item in QuickBooks has it; add it there or correct it at the source"
    raise RejectedError(f"SKU {sku!r}: {why}", field=field)
