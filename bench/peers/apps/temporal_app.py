"""The flow as a Temporal workflow with its worker, behind FastAPI."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import temporal_steps as steps
    import uvicorn
    from fastapi import FastAPI, Request

QUEUE = "deals"
LIMIT = timedelta(seconds=10)


@workflow.defn
class DealToInvoice:
    @workflow.run
    async def run(self, ident: str) -> None:
        deal = await _step(steps.read_deal, ident)
        customer = await _step(steps.find_or_create_customer, deal)
        invoice = await _step(steps.create_invoice, deal, customer)
        await _step(steps.write_back, deal, invoice)
        await _step(steps.create_task, deal, invoice)


async def _step(step: Any, *args: Any) -> Any:
    return await workflow.execute_activity(step, args=args, start_to_close_timeout=LIMIT)


async def _connect() -> Client:
    """The server may be listening and not yet ready."""
    while True:
        try:
            client = await Client.connect(os.environ["BENCH_SERVER"])
            await client.count_workflows()
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.1)
        else:
            return client


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.client = await _connect()
    async with Worker(app.state.client, task_queue=QUEUE, workflows=[DealToInvoice], activities=steps.ALL):
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/webhook")
async def webhook(request: Request) -> dict[str, bool]:
    ident = (await request.json())["id"]
    once = WorkflowIDReusePolicy.REJECT_DUPLICATE
    try:
        await app.state.client.start_workflow(
            DealToInvoice.run, ident, id=f"won-{ident}", task_queue=QUEUE, id_reuse_policy=once
        )
    except WorkflowAlreadyStartedError:
        return {"accepted": False}
    return {"accepted": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning")
