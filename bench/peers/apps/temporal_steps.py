"""The steps of the flow as Temporal activities, apart from the workflow, whose module is loaded anew in a sandbox."""

from __future__ import annotations

from typing import Any

import work
from temporalio import activity

read_deal = activity.defn(work.read_deal)
find_or_create_customer = activity.defn(work.find_or_create_customer)
write_back = activity.defn(work.write_back)
create_task = activity.defn(work.create_task)


@activity.defn
async def create_invoice(deal: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
    info = activity.info()
    return await work.create_invoice(deal, customer, f"{info.workflow_id}-{info.activity_id}")


ALL = (read_deal, find_or_create_customer, create_invoice, write_back, create_task)
